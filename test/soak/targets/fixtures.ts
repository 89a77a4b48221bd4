// The recorded media (test/fixtures) as inputs.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { DemuxEvent } from "#media/demux.ts";
import { mpegtsDemuxer } from "#media/mpegts/demux.ts";
import type { Track } from "#media/session-log/entries.ts";

const folder = join(import.meta.dirname, "../../fixtures/recorded");

export function recorded(extension: string): { name: string; bytes: Buffer }[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(extension))
    .map((name) => ({ name, bytes: readFileSync(join(folder, name)) }));
}

/** Bodies of the tags of an FLV file, each behind the 5 bytes that `flvMessages` reads: type, time stamp. */
export function flvItems(bytes: Buffer): Buffer[] {
  const items: Buffer[] = [];
  for (let at = bytes.readUInt32BE(5) + 4; at + 11 < bytes.length; ) {
    const size = bytes.readUIntBE(at + 1, 3);
    const head = Buffer.alloc(5);
    head.writeUInt8(bytes[at]!, 0);
    head.writeUInt32BE(bytes[at + 7]! * 2 ** 24 + bytes.readUIntBE(at + 4, 3), 1);
    items.push(Buffer.concat([head, bytes.subarray(at + 11, at + 11 + size)]));
    at += 11 + size + 4;
  }
  return items;
}

/** What a transport stream holds. */
export function demuxed(bytes: Buffer): { tracks: readonly Track[]; units: Extract<DemuxEvent, { kind: "unit" }>[] } {
  let tracks: readonly Track[] = [];
  const units: Extract<DemuxEvent, { kind: "unit" }>[] = [];
  const demuxer = mpegtsDemuxer((event) => {
    if (event.kind === "tracks") tracks = event.tracks;
    else if (event.kind === "unit") units.push(event);
  });
  demuxer.push(bytes);
  demuxer.end();
  return { tracks, units };
}
