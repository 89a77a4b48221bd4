import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { buildAacConfig, buildHeAacConfig } from "./aac.ts";
import { silentAac } from "./aac-silence.ts";

const hasFfmpeg = spawnSync("ffmpeg", ["-version"]).status === 0;
const FRAMES = 50;

/** Frames behind ADTS headers. Source: ISO/IEC 14496-3, 1.A.2.2 */
function adts(frame: Buffer, channelConfiguration: number): Buffer {
  const head = Buffer.alloc(7);
  const bytes = head.length + frame.length;
  head.writeUInt16BE(0xfff1);
  head[2] = (1 << 6) | (3 << 2) | (channelConfiguration >> 2); // LC, 48 kHz
  head.writeUInt32BE((((channelConfiguration & 3) << 30) | (bytes << 13) | 0x1ffc) >>> 0, 3);
  return Buffer.concat([head, frame]);
}

test("a decoder hears nothing, in every channel and without a warning", {
  skip: hasFfmpeg ? false : "no ffmpeg",
}, () => {
  for (const [configuration, channels] of [1, 2, 3, 4, 5, 6, 8].entries()) {
    const frame = silentAac(buildAacConfig(2, 48_000, channels))!;
    const input = Buffer.concat(Array.from({ length: FRAMES }, () => adts(frame, configuration + 1)));
    const options = "-f aac -i pipe:0 -f s16le -acodec pcm_s16le pipe:1".split(" ");
    const { stdout, stderr } = spawnSync("ffmpeg", ["-v", "warning", ...options], { input, maxBuffer: 1e8 });
    assert.doesNotMatch(stderr.toString(), /error|invalid|missing/i);
    assert.ok(
      stdout.byteLength >= (FRAMES - 2) * 1024 * 2 * channels,
      `${channels} channels: ${stdout.byteLength} bytes`,
    );
    assert.ok(stdout.every((byte) => byte === 0));
  }
});

test("HE-AAC has the silence of its core; channels that are described elsewhere have none", () => {
  assert.deepEqual(silentAac(buildHeAacConfig(48_000, 2)), silentAac(buildAacConfig(2, 24_000, 2)));
  assert.equal(silentAac(Buffer.from("1180", "hex")), null);
  assert.throws(() => silentAac(Buffer.of(0x11)), { code: "media.truncated" });
});
