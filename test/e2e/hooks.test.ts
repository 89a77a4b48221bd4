// A customer's own server, as hooks reach it: asked before a publisher is let in, told about streams, and away for a while.
import { strict as assert } from "node:assert";
import { createHmac } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  AAC,
  eventually,
  ffmpeg,
  H264,
  publishPicture,
  sessionIn,
  TEST_AUDIO,
  TEST_VIDEO,
  unlessInstalled,
  withInstallation,
} from "./installation.ts";

const SECRET = "shared with the customer";

type Asked = { path: string; body: string; signature: string };
type Answer = { status: number; body?: string };

test("a publisher is let in by the customer's word, with its settings; events outlive a kill of the front", {
  skip: unlessInstalled("ffmpeg"),
}, async () => {
  const asked: Asked[] = [];
  let answer: (asked: Asked) => Answer = () => ({ status: 204 });
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const piece of request.setEncoding("utf8")) body += piece;
    const one = { path: request.url ?? "", body, signature: String(request.headers["x-continuity-signature"]) };
    const { status, body: said = "" } = answer(one);
    if (status < 300) asked.push(one);
    response.writeHead(status).end(said);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const folder = await mkdtemp(join(tmpdir(), "continuity-hooks-"));
  const config = join(folder, "continuity.yaml");
  const hooks = {
    publish: { url: `${url}/publish`, secret: SECRET, cacheSeconds: 0 },
    events: [{ url: `${url}/events`, secret: SECRET }],
  };
  await writeFile(config, JSON.stringify({ demo: false, hooks }));
  const events = () => asked.filter(({ path }) => path === "/events").map(({ body }) => JSON.parse(body));
  try {
    await withInstallation({ args: ["--config", config] }, async (installation) => {
      answer = ({ path, body }) => {
        if (path !== "/publish") return { status: 204 };
        return JSON.parse(body).channel === "blocked"
          ? { status: 403, body: '{"message":"Your plan has ended."}' }
          : { status: 200, body: '{"ladder":[{"height":180}]}' };
      };
      const blocked = ffmpeg([
        ...TEST_VIDEO(),
        ...TEST_AUDIO,
        ...H264(),
        ...AAC,
        "-f",
        "flv",
        installation.rtmpUrl("blocked"),
      ]);
      await blocked.done;
      const { items } = await installation.get<{ items: { channel: string; code: string; message: string }[] }>(
        "/api/v1/refusals",
      );
      assert.deepEqual(
        items.filter(({ channel }) => channel === "blocked").map(({ code, message }) => [code, message])[0],
        ["publish.hook_refused", "Your plan has ended."],
      );

      const source = publishPicture(installation, "cam");
      const session = await sessionIn(installation, "cam", "live");
      await eventually("the customer's ladder", async () => {
        const text = await (await fetch(`${installation.url}/live/cam/index.m3u8`)).text();
        return text.includes("v180.m3u8") && !text.includes("v360.m3u8");
      });
      const started = await eventually("told of the start", () =>
        events().find(({ type }) => type === "stream.started"),
      );
      assert.deepEqual([started.channel, started.session], ["cam", session.id]);
      for (const { body, signature } of asked) {
        const [, seconds, mac] = /^t=(\d+),v1=([0-9a-f]+)$/.exec(signature)!;
        assert.equal(mac, createHmac("sha256", SECRET).update(`${seconds}.${body}`).digest("hex"));
      }

      answer = () => ({ status: 503 });
      await source.end();
      await eventually("an event waits", async () => {
        const { items: targets } = await installation.get<{ items: { pending: number; lastError: string | null }[] }>(
          "/api/v1/hooks",
        );
        return targets[0]!.pending > 0 && targets[0]!.lastError !== null;
      });
      const { processes } = await installation.get<{ processes: Record<string, number> }>("/api/v1/status");
      process.kill(processes.front!, "SIGKILL");
      answer = () => ({ status: 204 });
      await eventually("told of the end, once", () => events().some(({ type }) => type === "stream.ended"), 20_000);
      const types = events()
        .filter(({ session: of }) => of === session.id)
        .map(({ type }) => type);
      assert.deepEqual(
        types.filter((type) => type !== "stream.interrupted"),
        ["stream.started", "stream.ended"],
      );
    });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true, force: true });
  }
});
