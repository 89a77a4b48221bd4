import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import { PlatformError } from "#base/errors.ts";
import { seededRandom } from "#base/random.ts";
import { CmafTrackReader } from "./demux.ts";
import { type FragmentEvent, FragmentReader } from "./fragments.ts";
import { audioTrack, videoTrack } from "./testing/synthetic.ts";
import { type CmafSample, writeChunk, writeInit } from "./write.ts";

const sample = fc.record({
  bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
  durationTicks: fc.integer({ min: 1, max: 5000 }),
  compositionOffsetTicks: fc.integer({ min: -3000, max: 9000 }),
  sync: fc.boolean(),
});

function readInPieces(bytes: Buffer, cuts: readonly number[]): FragmentEvent[] {
  const reader = new FragmentReader();
  const events: FragmentEvent[] = [];
  let at = 0;
  for (const cut of [...cuts.map((share) => Math.floor(share * bytes.length)).sort((a, b) => a - b), bytes.length]) {
    events.push(...reader.push(bytes.subarray(at, cut)));
    at = cut;
  }
  reader.end();
  return events;
}

test("what our writer writes comes back, however it is cut", () => {
  const shares = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 });
  const start = fc.integer({ min: 0, max: 2 ** 50 });
  fc.assert(
    fc.property(fc.array(sample, { minLength: 1, maxLength: 12 }), start, shares, (samples, baseDecodeTicks, cuts) => {
      const chunk = writeChunk({ sequence: 1, baseDecodeTicks, samples: samples as CmafSample[], startsSegment: true });
      const events = readInPieces(Buffer.concat([writeInit(videoTrack(90_000)), chunk]), cuts);
      assert.deepEqual(
        events.map(({ kind }) => kind),
        ["init", "fragment"],
      );
      const fragment = events[1] as Extract<FragmentEvent, { kind: "fragment" }>;
      let dtsTicks = baseDecodeTicks;
      for (const [i, got] of fragment.samples.entries()) {
        const sent = samples[i]!;
        assert.deepEqual(Buffer.from(got.bytes), Buffer.from(sent.bytes));
        assert.deepEqual(
          [got.dtsTicks, got.ptsTicks, got.sync],
          [dtsTicks, dtsTicks + sent.compositionOffsetTicks, sent.sync],
        );
        dtsTicks += sent.durationTicks;
      }
      assert.equal(fragment.endTicks, dtsTicks);
    }),
    { numRuns: 200 },
  );
});

test("a fragment without its init segment is asked for it; one that is cut off is told", () => {
  const chunk = writeChunk({
    sequence: 1,
    baseDecodeTicks: 0,
    samples: [{ bytes: Buffer.of(1), durationTicks: 1, compositionOffsetTicks: 0, sync: true }],
    startsSegment: false,
  });
  const code = (act: () => unknown) => {
    try {
      act();
    } catch (error) {
      return (error as PlatformError).code;
    }
    return null;
  };
  assert.equal(
    code(() => new FragmentReader().push(chunk)),
    "origin.init_missing",
  );
  const reader = new FragmentReader();
  reader.push(writeInit(audioTrack()));
  reader.push(chunk.subarray(0, chunk.length - 1));
  assert.equal(
    code(() => reader.end()),
    "media.truncated",
  );
});

const missing = spawnSync("sh", ["-c", "command -v ffmpeg"]).status === 0 ? false : "skipped: no ffmpeg";

test("ffmpeg's fragments: every picture and sound of the source, in order, with its language", {
  skip: missing,
}, () => {
  for (const flags of ["cmaf", "dash+frag_keyframe+empty_moov", "frag_keyframe+empty_moov+default_base_moof"]) {
    // biome-ignore format: an ffmpeg command line
    const made = spawnSync("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=30000/1001", "-t", "3", "-c:v", "libx264", "-bf", "2", "-g", "30",
      "-movflags", flags, "-f", "mp4", "-metadata:s:v", "language=deu", "pipe:1"], { maxBuffer: 1 << 26 });
    assert.equal(made.status, 0, made.stderr.toString());
    const reader = new FragmentReader();
    const events = reader.push(made.stdout);
    const init = events.find((event) => event.kind === "init")!;
    assert.equal(init.init.language, "deu", flags);
    const track = new CmafTrackReader(init.init, 1);
    assert.deepEqual([track.track?.kind, (track.track as unknown as { width: number }).width], ["video", 160]);
    for (const event of events) if (event.kind === "fragment") track.prepare(event.samples);
    const units = events
      .flatMap((event) => (event.kind === "fragment" ? event.samples : []))
      .flatMap((one) => track.units(one));
    assert.ok(units.length >= 88 && units.length <= 91, `${units.length} units with ${flags}`);
    assert.ok(units[0]!.unit.randomAccess);
    for (const [i, { unit }] of units.entries()) {
      assert.ok(unit.dtsTicks <= unit.ptsTicks, flags);
      if (i > 0) assert.ok(Math.abs(unit.dtsTicks - units[i - 1]!.unit.dtsTicks - 3003) <= 1, `${flags} ${i}`);
    }
    const shown = units.map(({ unit }) => unit.ptsTicks).sort((a, b) => a - b);
    assert.ok(
      shown.every((ticks, i) => i === 0 || Math.abs(ticks - shown[i - 1]! - 3003) <= 1),
      flags,
    );
  }
});

test("fuzz: flipped, cut and inserted bytes end in a code or in samples", () => {
  const chance = seededRandom(11);
  const pick = (below: number) => Math.floor(chance.next() * below);
  const good = Buffer.concat([
    writeInit(videoTrack(90_000)),
    ...[0, 3000, 6000].map((baseDecodeTicks) =>
      writeChunk({
        sequence: 1,
        baseDecodeTicks,
        samples: [{ bytes: Buffer.alloc(50, 7), durationTicks: 3000, compositionOffsetTicks: 10, sync: true }],
        startsSegment: baseDecodeTicks === 0,
      }),
    ),
  ]);
  for (let run = 0; run < 3000; run += 1) {
    let bytes = Buffer.from(good);
    for (let i = pick(4); i >= 0; i -= 1) {
      const at = pick(bytes.length);
      if (pick(3) === 0) bytes = bytes.subarray(0, at + 1);
      else if (pick(2) === 0) bytes = Buffer.concat([bytes.subarray(0, at), Buffer.of(pick(256)), bytes.subarray(at)]);
      else bytes[at] = pick(256);
    }
    try {
      const reader = new FragmentReader();
      for (const event of reader.push(bytes))
        if (event.kind === "fragment")
          for (const { bytes: payload } of event.samples) assert.ok(payload.length <= bytes.length);
      reader.end();
    } catch (error) {
      assert.ok(error instanceof PlatformError, String((error as Error).stack));
    }
  }
});
