// Goal: whatever bytes a publisher sends through the real readers, the log keeps its promises and nothing throws.
// Method: recorded streams with bits flipped, pieces cut out, doubled and moved; every entry checked.
// Replay: SEED=17 node --test src/modules/ingest/sequencer.fuzz.test.ts
import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { simClock } from "#base/clock.ts";
import { type Random, seededRandom } from "#base/random.ts";
import { channelDefaults } from "#media/channel.ts";
import { flvDemuxer } from "#media/flv/demux.ts";
import { mpegtsDemuxer } from "#media/mpegts/demux.ts";
import { Sequencer } from "./sequencer.ts";
import { CheckedLog } from "./testing/checked-log.ts";

const recorded = (name: string) => readFileSync(join(import.meta.dirname, "../../../test/fixtures/recorded", name));
const STREAMS = ["h264-bframes", "h264-open-gop", "h264-interlaced", "hevc", "audio-only"].map((name) =>
  recorded(`${name}.mpegts`),
);
const FLV = recorded("h264-aac.flv");

const LADDERS = ["auto", "passthrough", [{ copy: true }, { height: 360 }]] as const;

function spoil(random: Random, bytes: Buffer): Buffer {
  const flips = random.int(0, 40);
  const spoiled = Buffer.from(bytes);
  for (let i = 0; i < flips; i += 1) spoiled[random.int(0, spoiled.length)]! ^= 1 << random.int(0, 8);
  const [a, b] = [random.int(0, spoiled.length), random.int(0, spoiled.length)].sort((x, y) => x - y) as [
    number,
    number,
  ];
  const kind = random.int(0, 4);
  if (kind === 0) return Buffer.concat([spoiled.subarray(0, a), spoiled.subarray(b)]);
  if (kind === 1) return Buffer.concat([spoiled, spoiled.subarray(a, b)]);
  return spoiled;
}

function bench(random: Random) {
  const clock = simClock();
  const log = new CheckedLog();
  const ladder = LADDERS[random.int(0, LADDERS.length)]!;
  const copyFallback = random.next() < 0.7 ? "transcode" : "refuse";
  const channel = { ...channelDefaults, name: "fuzz", origin: "auto", ladder, copyFallback } as const;
  return { clock, log, sequencer: new Sequencer({ clock, channel, sink: log }) };
}

function finish({ clock, log, sequencer }: ReturnType<typeof bench>): void {
  clock.advance(12_000);
  sequencer.tick();
  sequencer.detach(false);
  sequencer.tick();
  sequencer.end("lost");
  assert.equal(log.of("end").length, 1);
}

function transportStream(random: Random): number {
  const subject = bench(random);
  const { clock, log, sequencer } = subject;
  for (let round = random.int(1, 4); round > 0; round -= 1) {
    const demuxer = mpegtsDemuxer((event) => sequencer.event(event));
    sequencer.attach(demuxer.clock);
    const bytes = spoil(random, STREAMS[random.int(0, STREAMS.length)]!);
    for (let at = 0; at < bytes.length; ) {
      const size = random.int(1, 4000);
      demuxer.push(bytes.subarray(at, at + size));
      at += size;
      clock.advance(random.int(0, 120));
      sequencer.tick();
    }
    demuxer.end();
    if (round > 1) sequencer.detach(random.next() < 0.5);
  }
  finish(subject);
  return log.units().length;
}

function flashVideo(random: Random): number {
  const subject = bench(random);
  const { clock, log, sequencer } = subject;
  const demuxer = flvDemuxer((event) => sequencer.event(event));
  sequencer.attach(demuxer.clock);
  for (let at = FLV.readUInt32BE(5) + 4; at + 11 < FLV.length; ) {
    const size = FLV.readUIntBE(at + 1, 3);
    const body = Buffer.from(FLV.subarray(at + 11, at + 11 + size));
    const flips = random.next() < 0.05 ? random.int(1, 8) : 0;
    for (let i = 0; i < flips && body.length > 0; i += 1)
      body[random.int(0, Math.min(body.length, 32))]! ^= 1 << random.int(0, 8);
    const jump = random.next() < 0.01 ? random.int(0, 2 ** 32) : 0;
    demuxer.tag(FLV[at] as 8, (FLV.readUIntBE(at + 4, 3) + jump) >>> 0, body);
    at += 11 + size + 4;
    clock.advance(random.int(0, 40));
    sequencer.tick();
  }
  finish(subject);
  return log.units().length;
}

const seeds = process.env.SEED ? [Number(process.env.SEED)] : Array.from({ length: 120 }, (_, i) => i + 1);

for (const [name, run] of [
  ["transport streams", transportStream],
  ["FLV tags", flashVideo],
] as const)
  test(`${seeds.length} spoiled ${name}`, () => {
    let units = 0;
    for (const seed of seeds) {
      try {
        units += run(seededRandom(seed));
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
    if (!process.env.SEED) assert.ok(units > 50 * seeds.length, `only ${units} units got through`);
  });
