import { strict as assert } from "node:assert";
import { test } from "node:test";
import type { AudioTrack, VideoTrack } from "./entries.ts";
import { audioOf, largestFirst, leadOf, sameTrack, sameTracks, videoOf } from "./tracks.ts";

const picture = (track: number, width: number, height: number): VideoTrack => ({
  track,
  kind: "video",
  codec: "h264",
  config: Uint8Array.of(1, 2),
  width,
  height,
  pixelAspect: { num: 1, den: 1 },
  declaredRate: null,
  interlaced: false,
  bitDepth: 8,
  range: "SDR",
  rotation: 0,
});
const sound = (track: number): AudioTrack => ({
  track,
  kind: "audio",
  codec: "aac",
  config: Uint8Array.of(0x11, 0x90),
  sampleRate: 48_000,
  channels: 2,
  samplesPerUnit: 1024,
  language: "und",
});

test("the largest picture leads, of equal ones the first; without pictures the first sound", () => {
  const [small, large, other] = [picture(1, 640, 360), picture(2, 1280, 720), picture(3, 720, 1280)];
  const tracks = [sound(4), small, large, other, sound(5)];
  assert.deepEqual(largestFirst(tracks), [large, other, small]);
  assert.equal(videoOf(tracks), large);
  assert.equal(leadOf(tracks), large);
  assert.equal(audioOf(tracks)?.track, 4);
  assert.equal(leadOf([sound(5), sound(4)])?.track, 5);
  assert.deepEqual([videoOf([]), audioOf([]), leadOf([])], [null, null, null]);
});

test("a track is the same when all its parameters are, its configuration byte for byte", () => {
  assert.ok(sameTrack(sound(4), sound(4)));
  assert.ok(!sameTrack(sound(4), sound(5)));
  assert.ok(!sameTrack(sound(4), { ...sound(4), config: Uint8Array.of(0x11, 0x91) }));
  assert.ok(!sameTrack(picture(1, 640, 360), { ...picture(1, 640, 360), declaredRate: { num: 25, den: 1 } }));
  assert.ok(sameTrack(null, null) && !sameTrack(sound(4), null) && !sameTrack(null, sound(4)));
  assert.ok(sameTracks([sound(4), sound(5)], [sound(4), sound(5)]) && sameTracks([], []));
  assert.ok(!sameTracks([sound(4), sound(5)], [sound(5), sound(4)]));
  assert.ok(!sameTracks([sound(4)], [sound(4), sound(5)]));
});
