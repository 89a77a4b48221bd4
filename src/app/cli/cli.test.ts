// The command line as a shell sees it, without an installation: what it says, where, and with which exit code.
import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const ENTRY = join(import.meta.dirname, "../../../bin/continuity.js");

type Answer = { code: number | null; stdout: string; stderr: string };

async function run(folder: string, args: string[], environment: Record<string, string> = {}): Promise<Answer> {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("CONTINUITY_"));
  const env = { ...Object.fromEntries(own), ...environment };
  const child = spawn(process.execPath, [ENTRY, ...args], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  const answer: Answer = { code: null, stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text) => (answer.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (answer.stderr += text));
  [answer.code] = await once(child, "close");
  return answer;
}

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "continuity-cli-"));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** One line, no stack trace. */
function assertLine({ stderr, stdout }: Answer, pattern: RegExp): void {
  assert.match(stderr, pattern);
  assert.doesNotMatch(stderr, /\n {4}at /);
  assert.equal(stdout, "");
}

test("nothing runs: every question says so, with exit code 3", async () => {
  await inFolder(async (folder) => {
    for (const command of ["status", "sessions", "channels"])
      for (const json of [[], ["--json"]]) {
        const answer = await run(folder, [command, ...json]);
        assertLine(
          answer,
          /^continuity: network\.unreachable: Nothing has run in \.continuity: start it with `npm start`/,
        );
        assert.equal(answer.code, 3);
      }
  });
});

test("an address where nobody, somebody else, or nothing at all answers", async () => {
  const other = createServer((_, response) => response.end("<html>")).listen(0, "127.0.0.1");
  const closed = createTcpServer().listen(0, "127.0.0.1");
  await Promise.all([once(other, "listening"), once(closed, "listening")]);
  const port = (server: { address(): unknown }) => (server.address() as AddressInfo).port;
  const dead = port(closed);
  await new Promise((resolve) => closed.close(resolve));
  try {
    await inFolder(async (folder) => {
      const cases: [string, RegExp, number][] = [
        [`http://127.0.0.1:${dead}`, /does not answer\. Is it running\?/, 3],
        [`http://127.0.0.1:${port(other)}`, /is not Continuity \(HTTP 200\)/, 3],
        ["nonsense", /"nonsense" is no address/, 2],
        ["localhost:8080", /"localhost:8080" is no address/, 2],
      ];
      for (const [url, pattern, code] of cases)
        for (const answer of [
          await run(folder, ["status", "--url", url]),
          await run(folder, ["status"], { CONTINUITY_URL: url }),
        ]) {
          assertLine(answer, pattern);
          assert.equal(answer.code, code, url);
        }
    });
  } finally {
    other.close();
  }
});

test("what is written wrong is exit code 2", async () => {
  await inFolder(async (folder) => {
    await writeFile(join(folder, "bad.yaml"), "prt: 1\nwarm:\n  min: -1\n");
    const cases: [string[], RegExp][] = [
      [["nosuch"], /unknown command 'nosuch'/],
      [["up", "--nosuch"], /unknown option '--nosuch'/],
      [["publish"], /missing required argument 'file'/],
      [["up", "--port", "99999"], /--port: port must be a whole number from 0 to 65535/],
      [["up", "--config", "nowhere.yaml"], /nowhere\.yaml cannot be read: there is no such file\./],
      [
        ["up", "--config", "bad.yaml"],
        /bad\.yaml:1: prt is not known; did you mean port\?\n.*bad\.yaml:3: warm\.min must be/,
      ],
      [["up", "--roles", "origin"], /set gatewayUrl/],
      [["up", "--host", "0.0.0.0"], /can be reached from other machines/],
    ];
    for (const [args, pattern] of cases) {
      const answer = await run(folder, args);
      assertLine(answer, pattern);
      assert.equal(answer.code, 2, args.join(" "));
    }
    await mkdir(join(folder, "data"));
    await writeFile(join(folder, "data/run.json"), "{");
    const answer = await run(folder, ["status", "--data", "data"]);
    assertLine(answer, /run\.json is not what `up` writes/);
    assert.equal(answer.code, 2);
  });
});

test("a data folder that cannot be one, and a port that is taken, are told in one line that says what to do", async () => {
  const taken = createTcpServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  try {
    await inFolder(async (folder) => {
      await writeFile(join(folder, "file"), "");
      await symlink("nowhere/else", join(folder, "dangling"));
      for (const data of ["file", "dangling"]) {
        const answer = await run(folder, ["up", "--data", data, "--port", "0", "--rtmp-port", "0"]);
        assertLine(answer, /cannot be used: E\w+: [^\n]*Choose another with --data\.\n$/);
        assert.equal(answer.code, 2);
      }
      const port = String((taken.address() as AddressInfo).port);
      for (const ports of [
        ["--port", port, "--rtmp-port", "0"],
        ["--port", "0", "--rtmp-port", port],
      ]) {
        const { code, stdout, stderr } = await run(folder, ["up", "--data", "äöü data", ...ports]);
        const lines = stderr.split("\n").filter((line) => line.startsWith("continuity: "));
        assert.deepEqual([code, stdout, lines.length], [1, "", 1], stderr);
        assert.match(
          lines[0]!,
          new RegExp(`^continuity: network\\.address_in_use: Another program already listens on port ${port}`),
        );
      }
    });
  } finally {
    taken.close();
  }
});

test("doctor loads FFmpeg, changes nothing, and its exit code is its answer", async () => {
  await inFolder(async (folder) => {
    const { stdout } = await run(folder, ["doctor", "--json"]);
    const { findings } = JSON.parse(stdout) as { findings: { check: string; ok: boolean; detail: string }[] };
    const found = new Map(findings.map((finding) => [finding.check, finding]));
    assert.equal(found.get("node")?.ok, true);
    assert.match(found.get("ffmpeg")?.detail ?? "", /^ffmpeg \d/);
    assert.match(found.get("data")?.detail ?? "", /will be made at the first start$/);
    const here = await run(folder, ["doctor"]);
    assert.equal(here.code, findings.every(({ ok }) => ok) ? 0 : 1, here.stdout);
    await writeFile(join(folder, "file"), "");
    const bad = await run(folder, ["doctor", "--data", "file"]);
    assert.match(bad.stdout, /^FAIL {2}data .*it is not a folder; choose another with --data$/m);
    assert.equal(bad.code, 1);
    assert.deepEqual((await run(folder, ["status"])).code, 3, "no folder was made");
  });
});
