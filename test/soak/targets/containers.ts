// Containers: MPEG-TS, FLV, CMAF. What comes out is held to its promises as well: times in range, no more bytes out than
// in, a codec string and colours for every track.
import { strict as assert } from "node:assert";
import { CmafTrackReader } from "#media/cmaf/demux.ts";
import { FragmentReader } from "#media/cmaf/fragments.ts";
import { CmafReader } from "#media/cmaf/read.ts";
import { parseInit } from "#media/cmaf/read-init.ts";
import { audioTrack, syntheticChunk, videoTrack } from "#media/cmaf/testing/synthetic.ts";
import { type CmafTrack, writeChunk, writeInit } from "#media/cmaf/write.ts";
import { codecString } from "#media/codec/codec-string.ts";
import { presumedColour } from "#media/codec/colour.ts";
import { isInstantRefresh } from "#media/codec/video-stream.ts";
import type { DemuxClock, DemuxEvent } from "#media/demux.ts";
import { flvDemuxer } from "#media/flv/demux.ts";
import { mpegtsDemuxer } from "#media/mpegts/demux.ts";
import { crc32 } from "#media/mpegts/sections.ts";
import type { Track } from "#media/session-log/entries.ts";
import { ofBoxes, ofItems, ofPieces, pack, unpack } from "../mutate.ts";
import { mayRefuse, pieces, type Target } from "../target.ts";
import { demuxed, flvItems, recorded } from "./fixtures.ts";

const PACKET_BYTES = 188;
const SEED_BYTES = 24 * 1024;
/** Every event costs its receiver something: so many for so few bytes would be an attack. */
const BYTES_PER_EVENT_MIN = 4;

/** @param growth payload bytes allowed for a byte of input, 4-byte lengths of tiny NAL units counted */
function watcher(clock: DemuxClock, inputBytes: number, growth: number): (event: DemuxEvent) => void {
  const wrap = 2 ** clock.wrapBits;
  let tracks: readonly Track[] = [];
  let payloadBytes = 0;
  let events = 0;
  return (event) => {
    events += 1;
    assert.ok(events <= 1000 + inputBytes / BYTES_PER_EVENT_MIN, `${events} events of ${inputBytes} bytes`);
    if (event.kind === "tracks") {
      tracks = event.tracks;
      for (const track of tracks) {
        assert.ok(codecString(track).length > 0);
        if (track.kind === "video")
          assert.ok(presumedColour(track).transfer <= 255 && track.width > 0 && track.height > 0);
        else assert.ok(track.sampleRate > 0 && track.channels > 0 && track.samplesPerUnit > 0);
      }
    }
    if (event.kind !== "unit") return;
    const track = tracks.find((candidate) => candidate.track === event.track);
    assert.ok(track, "a unit of a track that was not told");
    assert.ok(Number.isInteger(event.ptsTicks) && event.ptsTicks >= 0 && event.ptsTicks < wrap);
    assert.ok(Number.isInteger(event.dtsTicks) && event.dtsTicks >= 0 && event.dtsTicks < wrap);
    if (track.kind === "video") isInstantRefresh(track.codec, event.payload);
    payloadBytes += event.payload.byteLength;
    assert.ok(payloadBytes <= 64 + inputBytes * growth, `${payloadBytes} bytes of ${inputBytes}`);
  };
}

/** Sections of one packet get the checksum that their bytes have: tables with wrong numbers are the ones to fear. */
function mendSection(packet: Buffer): void {
  const at = 5;
  const length = packet.readUInt16BE(at + 1) & 0xfff;
  const end = at + 3 + length;
  const isTable = (packet[1]! & 0x40) !== 0 && (packet[3]! & 0x30) === 0x10 && packet[4] === 0 && packet[at]! <= 2;
  if (isTable && length >= 9 && end <= PACKET_BYTES) packet.writeUInt32BE(crc32(packet.subarray(at, end - 4)), end - 4);
}

const ofPackets = ofPieces(PACKET_BYTES, 4, mendSection);
/** The number and the payload of each media message are what an FLV reader gets. */
function runFlv(input: Buffer): void {
  const demuxer = flvDemuxer(watcher({ timescale: 1000, wrapBits: 32 }, input.length, 5));
  for (const item of unpack(input)) {
    if (item.length < 5) continue;
    const type = ([8, 9, 18] as const)[item[0]! % 3]!;
    demuxer.tag(
      item[0] === 8 || item[0] === 9 || item[0] === 18 ? item[0] : type,
      item.readUInt32BE(1),
      item.subarray(5),
    );
  }
  demuxer.end();
}

/** CMAF of our own writer, of every codec that a fixture holds. */
function cmafSeeds(): Buffer[] {
  const seeds = [
    Buffer.concat([writeInit(videoTrack(30_000)), synthetic(0), synthetic(30_030)]),
    Buffer.concat([writeInit(audioTrack()), synthetic(0), synthetic(30_720)]),
  ];
  for (const { bytes } of recorded(".mpegts")) {
    const { tracks, units } = demuxed(bytes);
    for (const track of tracks) {
      const init = cmafTrack(track);
      if (init === null) continue;
      const samples = units
        .filter((unit) => unit.track === track.track)
        .slice(0, 4)
        .map(({ payload, randomAccess }) => ({
          bytes: payload,
          durationTicks: 1024,
          compositionOffsetTicks: 0,
          sync: randomAccess,
        }));
      if (samples.length === 0) continue;
      const chunk = writeChunk({ sequence: 1, baseDecodeTicks: 9_000_000, samples, startsSegment: true });
      seeds.push(Buffer.concat([writeInit(init), chunk]));
    }
  }
  return seeds;
}

const synthetic = (start: number) =>
  syntheticChunk({ start, count: 6, sampleTicks: 1001, startsSegment: start === 0, sync: "first" });

function cmafTrack(track: Track): CmafTrack | null {
  if (track.kind === "video") {
    const codec = ({ h264: "avc1", hevc: "hvc1", av1: "av01" } as const)[track.codec];
    const { config, width, height, pixelAspect } = track;
    return { kind: "video", codec, timescale: 90_000, width, height, pixelAspect, config, bitrate: null };
  }
  const codec = ({ aac: "mp4a", mp2: null, mp3: "mp3", ac3: "ac-3", eac3: "ec-3", opus: "Opus" } as const)[track.codec];
  const { config, channels, sampleRate } = track;
  return codec && { kind: "audio", codec, timescale: sampleRate, channels, config, bitrate: null };
}

export const containerTargets: readonly Target[] = [
  {
    name: "mpegts",
    seeds: () => recorded(".mpegts").map(({ bytes }) => bytes.subarray(0, SEED_BYTES)),
    mutations: [ofPackets, ofPackets, ofPackets],
    run(input, random) {
      const demuxer = mpegtsDemuxer(watcher({ timescale: 90_000, wrapBits: 33 }, input.length, 5));
      for (const piece of pieces(input, random)) demuxer.push(piece);
      demuxer.end();
    },
  },
  {
    name: "flv",
    seeds: () =>
      recorded(".flv").flatMap(({ bytes }) => {
        const items = flvItems(bytes);
        return [pack(items.slice(0, 24)), pack(items.filter((item, i) => i < 12 && item.length < 2000))];
      }),
    mutations: [ofItems],
    run: runFlv,
  },
  {
    name: "cmaf-init",
    seeds: () => cmafSeeds().map((bytes) => bytes.subarray(0, bytes.indexOf("moof") - 4)),
    mutations: [ofBoxes],
    run: (input) => mayRefuse(() => parseInit(input)),
  },
  {
    name: "cmaf",
    seeds: cmafSeeds,
    mutations: [ofBoxes],
    run(input, random) {
      mayRefuse(() => {
        const reader = new CmafReader();
        for (const piece of pieces(input, random)) reader.push(piece);
        reader.end();
      });
    },
  },
  {
    name: "cmaf-ingest",
    seeds: cmafSeeds,
    mutations: [ofBoxes],
    run(input, random) {
      mayRefuse(() => {
        const reader = new FragmentReader();
        let track: CmafTrackReader | null = null;
        for (const piece of pieces(input, random))
          for (const event of reader.push(piece)) {
            if (event.kind === "init") track = new CmafTrackReader(event.init, 1);
            else for (const sample of event.samples) track?.units(sample);
          }
      });
    },
  },
];
