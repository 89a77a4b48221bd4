// What the ways of one track of a file have in common: packets in, units out, and time as plain milliseconds.
import { AV_NOPTS_VALUE } from "node-av/constants";
import { Codec, CodecContext, type Packet, type Stream } from "node-av/lib";
import type { AudioTrack, VideoTrack } from "#media/session-log/entries.ts";
import type { FileUnit } from "../../media-file.ts";
import { check, present } from "./native.ts";

/** One track's way from packets to units. Calls do not overlap. */
export interface TrackPath<T extends VideoTrack | AudioTrack> {
  /** Null until enough was fed. */
  readonly track: T | null;
  readonly converts: boolean;
  /** How long a unit lasts whose successor is not known, ms. */
  readonly unitMs: number;
  /** Does not take over the packet. */
  feed(packet: Packet): Promise<FileUnit[]>;
  drain(): Promise<FileUnit[]>;
  close(): Promise<void>;
}

/** Presentation and decode time in ms, null where the file has none. */
export function timesOf(packet: Packet, stream: Stream): { ptsMs: number | null; dtsMs: number | null } {
  const { num, den } = stream.timeBase;
  const toMs = (ticks: bigint) => (ticks === AV_NOPTS_VALUE ? null : (Number(ticks) * num * 1000) / den);
  return { ptsMs: toMs(packet.pts), dtsMs: toMs(packet.dts) };
}

/** @throws PlatformError media.unsupported (by present), av.failed */
export async function openStreamDecoder(stream: Stream): Promise<CodecContext> {
  const codec = present(Codec.findDecoder(stream.codecpar.codecId), "a decoder for this stream");
  const context = new CodecContext();
  context.allocContext3(codec);
  try {
    check(context.parametersToContext(stream.codecpar), "take over the stream's parameters");
    context.pktTimebase = stream.timeBase;
    check(await context.open2(codec, null), "open decoder");
    return context;
  } catch (error) {
    context.freeContext();
    throw error;
  }
}
