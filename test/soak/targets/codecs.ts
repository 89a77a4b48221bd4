// What codecs say in their own bytes: parameter sets, slices, messages, OBUs, frame headers, configuration records.
import { strict as assert } from "node:assert";
import { parseAacConfig } from "#media/codec/aac.ts";
import { ADTS } from "#media/codec/adts.ts";
import { type AudioSyntax, splitUnits } from "#media/codec/audio-syntax.ts";
import { splitObus } from "#media/codec/av1.ts";
import { Av1Stream } from "#media/codec/av1-stream.ts";
import { parseAvcConfig } from "#media/codec/avcc.ts";
import { codecString } from "#media/codec/codec-string.ts";
import { declaredColour } from "#media/codec/colour.ts";
import { DOLBY } from "#media/codec/dolby.ts";
import { parseHevcConfig } from "#media/codec/hvcc.ts";
import { latmSyntax } from "#media/codec/latm.ts";
import { MPEG_AUDIO } from "#media/codec/mpeg-audio.ts";
import { joinLengths, splitAnnexB, splitLengths } from "#media/codec/nal.ts";
import { describeOpus, opusLayout, opusSyntax, parseOpusHead } from "#media/codec/opus.ts";
import { VideoStream } from "#media/codec/video-stream.ts";
import { flvDemuxer } from "#media/flv/demux.ts";
import type { Track } from "#media/session-log/entries.ts";
import { ofItems, pack, unpack } from "../mutate.ts";
import { mayRefuse, type Target } from "../target.ts";
import { demuxed, flvItems, recorded } from "./fixtures.ts";

const videoOf = (codec: "h264" | "hevc") =>
  recorded(".mpegts").flatMap(({ bytes }) => {
    const { tracks, units } = demuxed(bytes);
    const track = tracks.find((candidate) => candidate.codec === codec);
    return track ? [{ track, units: units.filter((unit) => unit.track === track.track) }] : [];
  });

/** Parameter sets, then the NAL units of some pictures. */
function nalSeeds(codec: "h264" | "hevc"): Buffer[] {
  return videoOf(codec).flatMap(({ track, units }) => {
    const sets = codec === "h264" ? { vps: [], ...parseAvcConfig(track.config) } : parseHevcConfig(track.config);
    const nals: Buffer[] = [...sets.vps, ...sets.sps, ...sets.pps];
    const pictures = units.slice(0, 6).map(({ payload }) => splitLengths(Buffer.from(payload)));
    return [
      pack([...nals, ...pictures.flat().map((nal) => nal.subarray(0, 1200))]),
      pack([...nals, ...pictures.flat().map((nal) => nal.subarray(0, 60))]),
    ];
  });
}

function runNals(codec: "h264" | "hevc", input: Buffer): void {
  const stream = new VideoStream(0, codec);
  const nals = unpack(input).filter((nal) => nal.length > 0);
  for (let at = 0; at < nals.length; at += 5)
    for (const unit of stream.units(nals.slice(at, at + 5), { randomAccessHint: at % 2 === 0, single: at % 3 === 0 }))
      assert.ok(splitLengths(unit.payload).length > 0);
  if (stream.track) checkTrack(stream.track);
}

function checkTrack(track: Track): void {
  assert.ok(codecString(track).length > 0);
  if (track.kind === "video") declaredColour(track);
}

const configsOf = (codec: Track["codec"]) =>
  [...recorded(".mpegts").flatMap(({ bytes }) => demuxed(bytes).tracks), ...flvTracks()]
    .filter((track) => track.codec === codec)
    .map(({ config }) => Buffer.from(config));

function flvTracks(): Track[] {
  return recorded(".flv").flatMap(({ bytes }) => {
    let tracks: readonly Track[] = [];
    const demuxer = flvDemuxer((event) => {
      if (event.kind === "tracks") tracks = event.tracks;
    });
    for (const item of flvItems(bytes)) demuxer.tag(item[0] as 8, item.readUInt32BE(1), item.subarray(5));
    return [...tracks];
  });
}

/** Temporal units of the AV1 fixture. */
function av1Seeds(): Buffer[] {
  return recorded("av1-multitrack.flv").flatMap(({ bytes }) => {
    const units: Buffer[] = [];
    const demuxer = flvDemuxer((event) => {
      if (event.kind === "unit" && event.track === 0) units.push(Buffer.from(event.payload));
    });
    for (const item of flvItems(bytes)) demuxer.tag(item[0] as 8, item.readUInt32BE(1), item.subarray(5));
    return [pack(units.slice(0, 6)), pack(units.map((unit) => unit.subarray(0, 80)))];
  });
}

function framesOf(...codecs: string[]): Buffer[] {
  return recorded(".mpegts").flatMap(({ bytes }) => {
    const { tracks, units } = demuxed(bytes);
    return tracks
      .filter(({ codec }) => codecs.includes(codec))
      .map(({ track }) =>
        Buffer.concat(
          units
            .filter((unit) => unit.track === track)
            .slice(0, 8)
            .map(({ payload }) => payload),
        ),
      );
  });
}

/** The PES data of the first elementary stream of a file: frames with their transport headers. */
function rawFrames(name: string): Buffer[] {
  return recorded(name).map(({ bytes }) => {
    const parts: Buffer[] = [];
    for (let at = 0; at + 188 <= bytes.length && parts.length < 40; at += 188) {
      if ((bytes.readUInt16BE(at + 1) & 0x1fff) !== 0x100) continue;
      const from = at + 4 + (bytes[at + 3]! & 0x20 ? 1 + bytes[at + 4]! : 0);
      const begins = (bytes[at + 1]! & 0x40) !== 0;
      parts.push(bytes.subarray(begins ? from + 9 + bytes[from + 8]! : from, at + 188));
    }
    return Buffer.concat(parts);
  });
}

function runSyntax(syntax: AudioSyntax, input: Buffer): void {
  const { units, left } = splitUnits(syntax, input);
  assert.ok(left >= 0);
  for (const { unit, head } of units)
    mayRefuse(() => {
      const described = syntax.describe(unit, head);
      if (described) checkTrack({ ...described, track: 1, kind: "audio", language: "und" });
      syntax.payload?.(unit);
    });
}

const audio = (name: string, seeds: () => Buffer[], syntax: () => AudioSyntax): Target => ({
  name,
  seeds,
  mutations: [],
  run: (input) => runSyntax(syntax(), input),
});

export const codecTargets: readonly Target[] = [
  { name: "h264", seeds: () => nalSeeds("h264"), mutations: [ofItems], run: (input) => runNals("h264", input) },
  { name: "hevc", seeds: () => nalSeeds("hevc"), mutations: [ofItems], run: (input) => runNals("hevc", input) },
  {
    name: "annex-b",
    seeds: () => videoOf("h264").map(({ units }) => Buffer.concat(units.slice(0, 4).map(({ payload }) => payload))),
    mutations: [],
    run(input) {
      mayRefuse(() => {
        const { nals } = splitAnnexB(input);
        assert.deepEqual(splitLengths(joinLengths(nals)).length, nals.length);
      });
      mayRefuse(() => splitLengths(input));
    },
  },
  {
    name: "records",
    seeds: () => [...configsOf("h264"), ...configsOf("hevc"), ...configsOf("av1"), ...configsOf("aac")],
    mutations: [],
    run(input) {
      for (const codec of ["h264", "hevc"] as const) {
        mayRefuse(() => {
          const stream = new VideoStream(0, codec);
          stream.configure(input);
          if (stream.track) checkTrack(stream.track);
        });
        mayRefuse(() => declaredColour({ codec, config: input }));
        mayRefuse(() => codecString({ codec, config: input }));
      }
      mayRefuse(() => {
        const stream = new Av1Stream(0);
        stream.configure(input);
        if (stream.track) checkTrack(stream.track);
      });
      mayRefuse(() => parseAacConfig(input));
    },
  },
  {
    name: "av1",
    seeds: av1Seeds,
    mutations: [ofItems],
    run(input) {
      const stream = new Av1Stream(0);
      for (const item of unpack(input))
        mayRefuse(() => {
          const unit = stream.unit(splitObus(item));
          if (unit) splitObus(unit.payload);
        });
      if (stream.track) checkTrack(stream.track);
    },
  },
  audio(
    "dolby",
    () => framesOf("ac3", "eac3"),
    () => DOLBY,
  ),
  audio(
    "mpeg-audio",
    () => framesOf("mp2", "mp3"),
    () => MPEG_AUDIO,
  ),
  audio(
    "adts",
    () => rawFrames("audio-only.mpegts"),
    () => ADTS,
  ),
  audio("latm", () => rawFrames("latm.mpegts"), latmSyntax),
  audio(
    "opus",
    () => rawFrames("opus.mpegts"),
    () => opusSyntax(opusLayout(2)),
  ),
  {
    name: "opus-packets",
    seeds: () => [...framesOf("opus"), Buffer.from("4f707573486561640102380180bb0000000000", "hex")],
    mutations: [],
    run(input) {
      mayRefuse(() => describeOpus(input, parseOpusHead(input)));
      mayRefuse(() => describeOpus(input, opusLayout(2)));
    },
  },
];
