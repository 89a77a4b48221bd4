import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import type { CmafUnit } from "#media/cmaf/demux.ts";
import { PacedMerge } from "./paced-merge.ts";
import { objectName } from "./representation.ts";

test("names of one representation lead to one, whatever the encoder's template", () => {
  const of = (path: string) => {
    const name = objectName(path);
    return name.kind === "media" ? name.representation : name.kind;
  };
  const families: string[][] = [
    ["init-stream0.m4s", "chunk-stream0-00001.m4s", "chunk-stream0-99999.m4s"],
    ["init-stream1.m4s", "chunk-stream1-00001.m4s"],
    ["video_720/init.mp4", "video_720/1.m4s", "video_720/160000.m4s"],
    ["h264_720p_init.mp4", "h264_720p_1.m4s"],
    ["audio/init-0.mp4", "audio/segment-0-12.m4s"],
    ["Streams(video_720p.cmfv)"],
    ["Streams(a1.cmfa)"],
    ["init.mp4", "17.m4s", "segment_18.m4s"],
  ];
  const names = families.map((family) => [...new Set(family.map(of))]);
  for (const [i, found] of names.entries()) assert.equal(found.length, 1, JSON.stringify([families[i], found]));
  assert.equal(new Set(names.flat()).size, families.length, JSON.stringify(names));
  assert.deepEqual(["out.mpd", "a/b.MPD", "master.m3u8", "thumb.jpg"].map(of), [
    "manifest",
    "manifest",
    "other",
    "other",
  ]);
});

const unitAt = (track: number, dtsTicks: number, bytes = 10): CmafUnit => ({
  dtsTicks,
  loss: null,
  unit: {
    kind: "unit",
    track,
    ptsTicks: dtsTicks,
    dtsTicks,
    randomAccess: true,
    damaged: false,
    payload: new Uint8Array(bytes),
  },
});

const units = (track: number, from: number, count: number, step: number) =>
  Array.from({ length: count }, (_, i) => unitAt(track, from + i * step));

/** Lets time pass to `untilMs`, obeying what `advance` asks for. */
function run(merge: PacedMerge, fromMs: number, untilMs: number): void {
  let nowMs = fromMs;
  while (nowMs <= untilMs) nowMs += Math.min(merge.advance(nowMs) ?? untilMs, untilMs - nowMs + 1);
}

test("segments of two tracks come out in time order and in real time", () => {
  const out: { track: number; dts: number }[] = [];
  const merge = new PacedMerge(1 << 20, ({ dtsTicks, unit }) => out.push({ track: unit.track, dts: dtsTicks }));
  merge.announce(1, 0);
  merge.announce(2, 0);
  merge.add(1, units(1, 0, 60, 3000), 180_000, 0);
  run(merge, 0, 299);
  assert.equal(out.length, 0, "the other track's first segment is waited for");
  merge.add(2, units(2, 0, 94, 1920), 180_480, 300);
  run(merge, 300, 300 + 250 + 1000);
  assert.ok(Math.abs(out.filter(({ track }) => track === 1).length - 31) <= 1, `${out.length}`);
  assert.deepEqual(
    out,
    out.toSorted((a, b) => a.dts - b.dts),
  );
  merge.add(1, units(1, 180_000, 60, 3000), 360_000, 2000);
  merge.add(2, units(2, 180_480, 94, 1920), 360_960, 2100);
  run(merge, 1551, 5000);
  assert.equal(out.length, 2 * (60 + 94));
  assert.deepEqual(
    out,
    out.toSorted((a, b) => a.dts - b.dts),
  );
});

test("a segment sent twice counts once; a track that stays away holds up the others only so long; too much is refused", () => {
  const out: number[] = [];
  const merge = new PacedMerge(5000, ({ dtsTicks }) => out.push(dtsTicks));
  merge.add(1, units(1, 0, 30, 3000), 90_000, 0);
  merge.add(1, units(1, 0, 30, 3000), 90_000, 10);
  merge.announce(2, 0);
  run(merge, 10, 4000 + 250 + 1100 + 800);
  assert.deepEqual(
    out,
    units(1, 0, 30, 3000).map(({ dtsTicks }) => dtsTicks),
  );
  merge.add(1, units(1, 0, 30, 3000), 90_000, 6200); // late, and all of it is out
  run(merge, 6200, 7000);
  assert.equal(out.length, 30);
  assert.equal(merge.dropped, 30);
  assert.equal(merge.add(1, [unitAt(1, 90_000, 6000)], 93_000, 7001), false);
});

test("any order of segments: what comes out rises per track, and nothing in time is lost", () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6 }), (order) => {
      const out: number[] = [];
      const merge = new PacedMerge(1 << 20, ({ dtsTicks }) => out.push(dtsTicks));
      for (const segment of order) merge.add(1, units(1, segment * 90_000, 30, 3000), (segment + 1) * 90_000, 0);
      merge.flush();
      assert.deepEqual(
        out,
        units(1, 0, 180, 3000).map(({ dtsTicks }) => dtsTicks),
      );
    }),
  );
});

test("a sender whose clock is fast does not fill the memory", () => {
  let waiting = 0;
  const merge = new PacedMerge(1 << 30, () => (waiting -= 1));
  let nowMs = 0;
  let most = 0;
  for (let second = 0; second < 3600; second += 1) {
    merge.add(1, units(1, second * 90_000, 30, 3000), (second + 1) * 90_000, nowMs);
    waiting += 30;
    run(merge, nowMs, nowMs + 990);
    nowMs += 990; // 1 % fast
    most = Math.max(most, waiting);
  }
  assert.ok(most < 30 * 15, `${most} units waited`);
});
