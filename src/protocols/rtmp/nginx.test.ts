// Our client publishes to a server that is not ours (nginx with its RTMP module), which records what it understood.
import { strict as assert } from "node:assert";
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "#base/clock.ts";
import { systemRandom } from "#base/random.ts";
import { nodeNetwork } from "#platform/network/drivers/node.ts";
import type { Network, TcpConnection } from "#platform/network/network.ts";
import { parseRtmpUrl } from "./address.ts";
import { type RtmpClientEvent, RtmpClientSession } from "./client.ts";
import { missing } from "./testing/program.ts";

const MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so";
const skip = missing("nginx", "-v") || missing("test", "-e", MODULE) || missing("ffmpeg", "-version");

const configuration = (folder: string, port: number) => `
load_module ${MODULE};
daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
rtmp { server { listen 127.0.0.1:${port}; application live { live on; record all; record_path ${folder}/recorded; } } }
`;

/** nginx cannot choose a port: this one was free a moment ago. */
async function freePort(network: Network): Promise<number> {
  const listener = await network.listenTcp({ host: "127.0.0.1", port: 0 }, () => {});
  await listener.close();
  return listener.port;
}

async function connected(network: Network, port: number): Promise<TcpConnection> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await network.connectTcp({ host: "127.0.0.1", port, timeoutMs: 1000 });
    } catch (error) {
      if (tries > 200) throw error; // nginx has no way to say that it listens
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** The tags of an FLV file: type, time and body. Source: Video File Format 10, Annex E.4 */
function flvTags(file: Buffer): { type: number; timestampMs: number; body: Buffer }[] {
  const tags = [];
  for (let at = 13; at + 11 <= file.length; ) {
    const bytes = file.readUIntBE(at + 1, 3);
    const timestampMs = file.readUIntBE(at + 4, 3) + file.readUInt8(at + 7) * 0x1000000;
    tags.push({ type: file.readUInt8(at), timestampMs, body: file.subarray(at + 11, at + 11 + bytes) });
    at += 11 + bytes + 4;
  }
  return tags;
}

/** One line per audio and video tag. nginx writes codec headers twice: a line that repeats the last is left out. */
function media(tags: ReturnType<typeof flvTags>): string[] {
  const hash = (body: Buffer) => createHash("sha256").update(body).digest("hex").slice(0, 16);
  return tags
    .filter((tag) => tag.type !== 18)
    .map(({ type, timestampMs, body }) => `${type} at ${timestampMs} ms: ${body.length} bytes ${hash(body)}`)
    .filter((line, i, all) => line !== all[i - 1]);
}

test("nginx records what our client publishes, bit for bit", { skip, timeout: 60_000 }, async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "rtmp-"));
  context.after(() => rm(folder, { recursive: true }));
  await chmod(folder, 0o755);
  await mkdir(join(folder, "recorded"));
  await chmod(join(folder, "recorded"), 0o777); // nginx leaves root behind
  const source = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-f", "lavfi", "-i", "sine"];
  const encode = ["-t", "4", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac"];
  const made = spawnSync("ffmpeg", ["-nostdin", "-v", "error", ...source, ...encode, join(folder, "a.flv")]);
  assert.equal(made.status, 0, made.stderr.toString());
  const tags = flvTags(await readFile(join(folder, "a.flv")));

  const network = nodeNetwork();
  const port = await freePort(network);
  await writeFile(join(folder, "nginx.conf"), configuration(folder, port));
  const nginx = spawn("nginx", ["-c", join(folder, "nginx.conf"), "-p", folder], { stdio: "ignore" });
  const gone = new Promise<void>((resolve) => nginx.on("close", () => resolve()));
  try {
    const socket = await connected(network, port);
    const closed = new Promise<void>((resolve) => socket.onClose(() => resolve()));
    await new Promise<void>((resolve, reject) => {
      const client = new RtmpClientSession({
        clock: systemClock(),
        random: systemRandom(),
        address: parseRtmpUrl(`rtmp://127.0.0.1:${port}/live/x`),
        send: (bytes) => socket.write(bytes),
        on(event: RtmpClientEvent) {
          if (event.kind !== "ready") return reject(new Error(JSON.stringify(event)));
          for (const { type, timestampMs, body } of tags) client.sendMedia(type as 8 | 9 | 18, timestampMs, body);
          client.end();
          socket.end();
          resolve();
        },
      });
      socket.onData((bytes) => client.receive(bytes));
    });
    await closed;
  } finally {
    nginx.kill("SIGQUIT"); // it finishes its files
    await gone;
  }
  const [name] = await readdir(join(folder, "recorded"));
  const recorded = flvTags(await readFile(join(folder, "recorded", name!)));
  assert.deepEqual(media(recorded), media(tags));
});
