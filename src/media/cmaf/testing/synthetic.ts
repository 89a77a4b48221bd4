// Tracks and chunks for tests: boxes are real, samples are bytes that nothing decodes.
import { type CmafTrack, writeChunk } from "../write.ts";

/** avcC of a 640 x 360 Main 3.0 stream; level and size stand in the SPS, which only its length matters for here. */
const AVCC = Buffer.from("014d401effe1000a674d401e96540a02ff9101000468ee3c80", "hex");

export function videoTrack(timescale: number, width = 640, height = 360): CmafTrack {
  const pixelAspect = { num: 1, den: 1 };
  return { kind: "video", codec: "avc1", timescale, width, height, pixelAspect, config: AVCC, bitrate: 1_000_000 };
}

export function audioTrack(sampleRate = 48_000, channels = 2): CmafTrack {
  const config = Buffer.from(sampleRate === 48_000 ? "1190" : "1210", "hex");
  return { kind: "audio", codec: "mp4a", timescale: sampleRate, channels, config, bitrate: 128_000 };
}

/** A chunk whose sample bytes are a function of its place, so that two makers agree.
 *  @param count samples @param sampleTicks length of each @param salt other bytes for the same place */
export function syntheticChunk(options: {
  start: number;
  count: number;
  sampleTicks: number;
  startsSegment: boolean;
  sync?: "first" | "all" | "none";
  sampleBytes?: number;
  salt?: number;
}): Buffer {
  const { start, count, sampleTicks, startsSegment, sync = "all", sampleBytes = 200, salt = 0 } = options;
  const samples = Array.from({ length: count }, (_, i) => ({
    bytes: Buffer.alloc(sampleBytes + (i % 7), (start + i * 31 + salt) & 0xff),
    durationTicks: sampleTicks,
    compositionOffsetTicks: 0,
    sync: sync === "all" || (sync === "first" && i === 0),
  }));
  return writeChunk({ sequence: start >>> 0, baseDecodeTicks: start, samples, startsSegment });
}
