// What a reader of framed audio needs of a codec, so that finding frames in a byte stream (they straddle packets, noise
// comes between, their headers occur inside them by chance) is written once for all codecs.
import type { AudioTrack } from "#media/session-log/entries.ts";

export type FrameHead = Readonly<{
  /** Bytes before the payload that belong to the transport and not to the unit: an ADTS header. */
  skipBytes: number;
  /** All of the frame, `skipBytes` included. */
  frameBytes: number;
  sampleRate: number;
  /** That it adds to its unit: 0 for a part that only extends the frame before it. */
  samples: number;
  /** Samples that make a unit: a frame with fewer is one of several. */
  unitSamples: number;
  /** Parts that belong to its unit may follow it. */
  mayGrow: boolean;
  /** Two frames with different keys are of different streams, or one of them is noise. */
  key: number;
}>;

export type AudioDescription = Pick<AudioTrack, "codec" | "config" | "sampleRate" | "channels" | "samplesPerUnit">;

export interface AudioSyntax {
  /** For messages: "AAC". */
  readonly name: string;
  /** The byte every frame begins with. */
  readonly firstByte: number;
  /** The head of the frame that begins at `at`; null when none can begin there, "more" when too few bytes are there to
   *  tell. */
  read(bytes: Buffer, at: number): FrameHead | null | "more";
  /** What the unit says of its track; null while that cannot be known.
   *  @param unit its frames, transport headers included
   *  @throws PlatformError media.unsupported, media.malformed, media.truncated */
  describe(unit: Buffer, head: FrameHead): AudioDescription | null;
  /** The payload of a frame when it is not simply what follows `skipBytes`; a view or new memory. */
  payload?(frame: Buffer): Buffer;
}

/** The frames of a message that holds whole ones and nothing else, joined to units as the codec wants them.
 *  What is behind the last whole frame, or cannot be read, is returned as `left`. Views. */
export function splitUnits(
  syntax: AudioSyntax,
  bytes: Buffer,
): { units: { head: FrameHead; unit: Buffer }[]; left: number } {
  const units: { head: FrameHead; unit: Buffer }[] = [];
  let first: FrameHead | null = null;
  let begin = 0;
  let samples = 0;
  let at = 0;
  const close = () => {
    if (first !== null) units.push({ head: first, unit: bytes.subarray(begin, at) });
    [first, begin, samples] = [null, at, 0];
  };
  while (at < bytes.length) {
    const head = syntax.read(bytes, at);
    if (head === null || head === "more" || at + head.frameBytes > bytes.length) break;
    if (first !== null && head.samples > 0 && samples >= first.unitSamples) close();
    first ??= head;
    samples += head.samples;
    at += head.frameBytes;
  }
  close();
  return { units, left: bytes.length - at };
}
