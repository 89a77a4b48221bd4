// One audio track of an RTMP publication. AAC and Opus say in a message of their own what they are; the other codecs in
// every frame.
import { PlatformError } from "#base/errors.ts";
import { aacTrack } from "#media/codec/aac.ts";
import { type AudioDescription, type AudioSyntax, isSameAudio, splitUnits } from "#media/codec/audio-syntax.ts";
import { DOLBY } from "#media/codec/dolby.ts";
import { MPEG_AUDIO } from "#media/codec/mpeg-audio.ts";
import { describeOpus, type OpusLayout, opusLayout, parseOpusHead } from "#media/codec/opus.ts";
import type { AudioTrack } from "#media/session-log/entries.ts";
import type { TagBody } from "./tag.ts";

/** By FourCC. */
const FRAMED: Readonly<Record<string, AudioSyntax>> = { ".mp3": MPEG_AUDIO, "ac-3": DOLBY, "ec-3": DOLBY };
const OPUS_STEREO = 4;

export function isTakenAudio(codec: string): boolean {
  return codec === "mp4a" || codec === "Opus" || Object.hasOwn(FRAMED, codec);
}

export type AudioFrame = Readonly<{ afterMs: number; payload: Buffer }>;

export class FlvAudio {
  readonly codec: string;
  readonly #number: number;
  #language: string;
  #track: AudioTrack | null = null;
  #layout: OpusLayout | null = null;

  /** @param codec FourCC that isTakenAudio knows @param number of our track */
  constructor(codec: string, number: number, language: string) {
    this.codec = codec;
    this.#number = number;
    this.#language = language;
  }

  get track(): AudioTrack | null {
    return this.#track;
  }

  /** @returns whether the track changed */
  setLanguage(language: string): boolean {
    if (this.#language === language) return false;
    this.#language = language;
    return this.#track !== null && this.#become(this.#track);
  }

  /** A message that describes the track. @returns whether it changed
   *  @throws PlatformError media.truncated, media.malformed, media.unsupported */
  configure({ what, data }: TagBody): boolean {
    if (this.codec === "mp4a" && what === "config") return this.#become(aacTrack(this.#number, Buffer.from(data)));
    if (this.codec !== "Opus") return false;
    if (what === "config" && data.length > 0) this.#layout = parseOpusHead(data);
    else if (what === "channels" && data.length >= 2) this.#layout ??= opusLayout(data[1]!); // a header says more
    return false; // what a packet lasts is told by the first one
  }

  /** The units of a message of frames. Payloads are views into it.
   *  @throws PlatformError media.malformed, media.unsupported */
  frames(data: Buffer): { frames: AudioFrame[]; changed: boolean } {
    const syntax = FRAMED[this.codec];
    if (syntax) return this.#framed(syntax, data);
    const changed = this.codec === "Opus" && this.#become(describeOpus(data, this.#opusLayout(data)));
    return { frames: this.#track && data.length > 0 ? [{ afterMs: 0, payload: data }] : [], changed };
  }

  #framed(syntax: AudioSyntax, data: Buffer): { frames: AudioFrame[]; changed: boolean } {
    const { units, left } = splitUnits(syntax, data);
    const [first] = units;
    if (!first || left > 0)
      throw new PlatformError("media.malformed", `${syntax.name}: ${left} bytes that are no frame`);
    const short = units.find(({ samples, head }) => samples < head.unitSamples);
    if (short) throw new PlatformError("media.unsupported", `${syntax.name} in frames of ${short.samples} samples`);
    const description = syntax.describe(first.unit, first.head);
    const changed = description !== null && this.#become(description);
    const frames = units.map(({ unit, head }, i) => ({
      afterMs: Math.round((i * head.unitSamples * 1000) / head.sampleRate),
      payload: unit.subarray(head.skipBytes),
    }));
    return { frames, changed };
  }

  /** One or two channels when nobody described them, as the first packet has them. */
  #opusLayout(packet: Buffer): OpusLayout {
    this.#layout ??= opusLayout(packet.length > 0 && packet[0]! & OPUS_STEREO ? 2 : 1);
    return this.#layout;
  }

  #become(description: AudioDescription): boolean {
    const track: AudioTrack = { ...description, track: this.#number, kind: "audio", language: this.#language };
    if (this.#track && isSameAudio(this.#track, track)) return false;
    this.#track = track;
    return true;
  }
}
