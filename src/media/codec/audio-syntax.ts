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

/** Frames that make one unit. `unit` is a view. */
export type AudioUnit = Readonly<{ head: FrameHead; unit: Buffer; samples: number }>;

/** The units of a message that holds whole frames and nothing else.
 *  @returns `left`: bytes behind the last frame that can be read */
export function splitUnits(syntax: AudioSyntax, bytes: Buffer): { units: AudioUnit[]; left: number } {
  const units: AudioUnit[] = [];
  let first: FrameHead | null = null;
  let begin = 0;
  let samples = 0;
  let at = 0;
  const close = () => {
    if (first !== null) units.push({ head: first, unit: bytes.subarray(begin, at), samples });
    [first, begin, samples] = [null, at, 0];
  };
  while (at < bytes.length) {
    const head = syntax.read(bytes, at);
    if (head === null || head === "more" || at + head.frameBytes > bytes.length) break;
    if (first !== null && head.samples > 0 && samples >= head.unitSamples) close();
    first ??= head;
    samples += head.samples;
    at += head.frameBytes;
  }
  close();
  return { units, left: bytes.length - at };
}

export function isSameAudio(a: AudioTrack, b: AudioTrack): boolean {
  return (
    a.codec === b.codec &&
    a.sampleRate === b.sampleRate &&
    a.channels === b.channels &&
    a.samplesPerUnit === b.samplesPerUnit &&
    a.language === b.language &&
    Buffer.from(a.config.buffer, a.config.byteOffset, a.config.byteLength).equals(b.config)
  );
}
