import { strict as assert } from "node:assert";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { systemClock } from "#base/clock.ts";
import { jsonLog } from "#base/log.ts";
import { openConsoleBundle } from "./console-bundle.ts";
import { consoleFiles } from "./console-files.ts";

const cacheFolder = mkdtempSync(join(tmpdir(), "continuity-console-"));
const files = consoleFiles({ cacheFolder, clock: systemClock(), log: jsonLog("silent") });
const server = createServer((request, response) => {
  if (!files.handler(request, response)) response.writeHead(418).end();
});

type Answer = { status: number; headers: Record<string, string | string[] | undefined>; body: Buffer };

/** The path as it is: fetch would tidy "/../" away. */
function get(path: string, options: { method?: string; headers?: Record<string, string> } = {}): Promise<Answer> {
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: "127.0.0.1", port, path, agent: false, ...options }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) }),
      );
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end();
  });
}

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

after(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(cacheFolder, { recursive: true, force: true });
});

test("before the build the page says so and comes back by itself; afterwards it is the console", async () => {
  const early = await get("/");
  assert.equal(early.status, 503);
  assert.match(early.body.toString(), /http-equiv="refresh"/);
  assert.equal(early.headers["cache-control"], "no-store");
  await files.prepare();
  const page = await get("/");
  assert.equal(page.status, 200);
  assert.match(page.body.toString(), /<script type="module"[^>]* src="\/assets\/index-[\w-]+\.js"/);
  assert.doesNotMatch(page.body.toString(), /https?:\/\//, "nothing is loaded from elsewhere");
});

test("two processes that build at once get the same whole build, and a second opening builds nothing", async () => {
  const folder = mkdtempSync(join(tmpdir(), "continuity-console-"));
  try {
    const [first, second] = await Promise.all([openConsoleBundle(folder), openConsoleBundle(folder)]);
    assert.deepEqual([...first.keys()].sort(), [...second.keys()].sort());
    const names = readdirSync(folder);
    assert.equal(names.length, 1, `left behind: ${names}`);
    const startMs = performance.now();
    const third = await openConsoleBundle(folder);
    assert.ok(performance.now() - startMs < 300, "read from the cache");
    assert.equal(third.get("index.html")!.etag, first.get("index.html")!.etag);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("pages are asked for each time, assets never again", async () => {
  await files.prepare();
  const page = await get("/watch/demo");
  assert.equal(page.headers["cache-control"], "no-cache");
  const again = await get("/watch/demo", { headers: { "if-none-match": String(page.headers.etag) } });
  assert.equal(again.status, 304);
  assert.equal(again.body.length, 0);
  const assets = [...page.body.toString().matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map((match) => match[1]!);
  assert.ok(assets.length >= 3, "script, style and icon");
  for (const path of assets) {
    const asset = await get(path);
    assert.equal(asset.status, 200, path);
    assert.match(String(asset.headers["cache-control"]), /immutable/);
    const packed = await get(path, { headers: { "accept-encoding": "br, gzip" } });
    if (packed.headers["content-encoding"] === "gzip") assert.ok(gunzipSync(packed.body).equals(asset.body));
    else assert.ok(packed.body.equals(asset.body) && asset.body.length < 1024);
  }
});

test("HEAD has the head of GET and no body", async () => {
  await files.prepare();
  const [head, whole] = [await get("/", { method: "HEAD" }), await get("/")];
  assert.equal(head.status, 200);
  assert.equal(head.body.length, 0);
  assert.equal(head.headers["content-length"], String(whole.body.length));
  assert.equal((await get("/", { method: "POST" })).status, 405);
});

test("the console cannot be framed, the player can, and neither runs inline script", async () => {
  await files.prepare();
  const policy = async (path: string) => String((await get(path)).headers["content-security-policy"]);
  assert.match(await policy("/"), /frame-ancestors 'none'/);
  assert.match(await policy("/watch/demo"), /frame-ancestors \*/);
  for (const path of ["/", "/watch/demo"]) {
    assert.match(await policy(path), /default-src 'none'; script-src 'self';/);
    const { body, headers } = await get(path);
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.doesNotMatch(body.toString(), /<script(?![^>]* src=)|<style|onload=/);
  }
});

test("tricks with paths find nothing, and foreign paths are left to others", async () => {
  await files.prepare();
  for (const path of [
    "/assets/../index.html",
    "/assets/../../../package.json",
    "/assets/..%2f..%2fpackage.json",
    "/assets/%2e%2e/key.txt",
    "/assets//etc/passwd",
    "/assets/",
    "/assets/__proto__",
    "/watch",
    "/watch/",
    "/watch/../",
    "/watch/a/b",
    "/watch/%2e%2e",
    "/watch/UPPER",
    `/watch/${"a".repeat(65)}`,
  ]) {
    const answer = await get(path);
    assert.equal(answer.status, 404, path);
    assert.equal(JSON.parse(answer.body.toString()).code, "api.not_found");
  }
  for (const path of ["/api/v1/status", "/live/demo/index.m3u8", "/watches", "/index.html", "/key.txt", "//"])
    assert.equal((await get(path)).status, 418, path);
});
