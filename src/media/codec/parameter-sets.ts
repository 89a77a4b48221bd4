// The parameter sets of one video stream, wherever they came from (a configuration record or in-band), and the track
// they describe. A set equal to the one held is no news; another one makes another configuration, hence another track.
import { PlatformError } from "#base/errors.ts";
import type { VideoCodec, VideoTrack } from "#media/session-log/entries.ts";
import type { Rate } from "#media/time/rate.ts";
import { buildAvcConfig, parseAvcConfig } from "./avcc.ts";
import * as h264 from "./h264.ts";
import * as hevc from "./hevc.ts";
import { buildHevcConfig, parseHevcConfig } from "./hvcc.ts";
import type { Colour } from "./vui.ts";

/** All sets of a stream together: real ones take some hundred bytes. */
const BYTES_MAX = 64 * 1024;

type Held = { nal: Buffer; belongsTo: number };
/** Codecs whose streams are NAL units. */
export type NalCodec = Exclude<VideoCodec, "av1">;

type Description = Pick<
  VideoTrack,
  "config" | "width" | "height" | "pixelAspect" | "declaredRate" | "interlaced" | "bitDepth"
> &
  Readonly<{ colour: Colour }>;

export class ParameterSets {
  readonly #codec: NalCodec;
  readonly #vps = new Map<number, Held>();
  readonly #sps = new Map<number, Held>();
  readonly #pps = new Map<number, Held>();
  readonly #h264Sps = new Map<number, h264.H264Sps>();
  #active: number | null = null;

  constructor(codec: NalCodec) {
    this.#codec = codec;
  }

  /** The sequence parameter set that a picture parameter set belongs to; undefined when either is unknown. */
  h264SpsOf(ppsId: number): h264.H264Sps | undefined {
    const pps = this.#pps.get(ppsId);
    return pps && this.#h264Sps.get(pps.belongsTo);
  }

  /** Whether adding it would change anything. */
  isNews(nal: Buffer): boolean {
    for (const kind of [this.#pps, this.#sps, this.#vps])
      for (const held of kind.values()) if (held.nal.equals(nal)) return false;
    return true;
  }

  /** Take a copy of the set. @returns whether it changed anything
   *  @throws PlatformError media.truncated, media.malformed; nothing is changed then */
  add(nal: Buffer): boolean {
    if (!this.isNews(nal)) return false;
    const held = Buffer.from(nal);
    const type = this.#codec === "h264" ? h264.nalType(nal) : hevc.nalType(nal);
    if (this.#codec === "h264" ? type === h264.NAL.sps : type === hevc.NAL.sps) this.#addSps(held);
    else if (this.#codec === "h264" ? type === h264.NAL.pps : type === hevc.NAL.pps) {
      const { id, spsId } = this.#codec === "h264" ? h264.parsePps(nal) : hevc.parsePps(nal);
      this.#keep(this.#pps, id, { nal: held, belongsTo: spsId });
    } else this.#keep(this.#vps, hevc.parseVps(nal).id, { nal: held, belongsTo: 0 });
    return true;
  }

  #addSps(nal: Buffer): void {
    if (this.#codec === "h264") {
      const sps = h264.parseSps(nal);
      this.#keep(this.#sps, sps.id, { nal, belongsTo: 0 });
      this.#h264Sps.set(sps.id, sps);
    } else {
      const sps = hevc.parseSps(nal);
      this.#keep(this.#sps, sps.id, { nal, belongsTo: sps.vpsId });
    }
  }

  #keep(kind: Map<number, Held>, id: number, held: Held): void {
    let bytes = held.nal.length;
    for (const sets of [this.#vps, this.#sps, this.#pps])
      for (const [otherId, other] of sets) if (sets !== kind || otherId !== id) bytes += other.nal.length;
    if (bytes > BYTES_MAX) throw new PlatformError("media.malformed", `parameter sets of ${bytes} bytes`);
    kind.set(id, held);
  }

  /** Replace everything by a configuration record. @returns bytes of its NAL unit lengths
   *  @throws PlatformError media.truncated, media.malformed; nothing is changed then */
  replace(record: Uint8Array): number {
    const config = this.#codec === "h264" ? { vps: [], ...parseAvcConfig(record) } : parseHevcConfig(record);
    const fresh = new ParameterSets(this.#codec);
    for (const nal of [...config.vps, ...config.sps, ...config.pps]) fresh.add(nal);
    for (const [mine, theirs] of [
      [this.#vps, fresh.#vps],
      [this.#sps, fresh.#sps],
      [this.#pps, fresh.#pps],
    ] as const) {
      mine.clear();
      for (const [id, held] of theirs) mine.set(id, held);
    }
    this.#h264Sps.clear();
    for (const [id, sps] of fresh.#h264Sps) this.#h264Sps.set(id, sps);
    return config.lengthBytes;
  }

  /** A picture that others can start from uses this picture parameter set: its sequence parameter set is the one in use.
   *  @returns whether that is news */
  activate(ppsId: number): boolean {
    const pps = this.#pps.get(ppsId);
    if (!pps || this.#active === pps.belongsTo) return false;
    this.#active = pps.belongsTo;
    return true;
  }

  /** What the sets describe; null while one kind is missing.
   *  @param fallbackRate of the container, for streams that declare none
   *  @throws PlatformError media.malformed when they cannot be written as a configuration record */
  describe(fallbackRate: Rate | null): Description | null {
    const active = (this.#active !== null && this.#sps.get(this.#active)) || this.#sps.values().next().value;
    if (!active || this.#pps.size === 0) return null;
    const sps = [active, ...ordered(this.#sps).filter((held) => held !== active)].map((held) => held.nal);
    const pps = ordered(this.#pps).map((held) => held.nal);
    if (this.#codec === "h264") {
      const { width, height, pixelAspect, declaredRate, framesOnly, bitDepthLuma, colour } = h264.parseSps(active.nal);
      const rate = declaredRate ?? fallbackRate;
      const config = buildAvcConfig(sps, pps);
      return {
        config,
        width,
        height,
        pixelAspect,
        declaredRate: rate,
        interlaced: !framesOnly,
        bitDepth: bitDepthLuma,
        colour,
      };
    }
    const vps = this.#vps.get(active.belongsTo) ?? this.#vps.values().next().value;
    if (!vps) return null;
    const parsed = hevc.parseSps(active.nal);
    const { width, height, pixelAspect, bitDepthLuma, colour } = parsed;
    const rate = parsed.declaredRate ?? hevc.parseVps(vps.nal).declaredRate ?? fallbackRate;
    const interlaced = parsed.profile.interlaced && !parsed.fieldPictures;
    const config = buildHevcConfig(
      ordered(this.#vps).map((held) => held.nal),
      sps,
      pps,
    );
    return { config, width, height, pixelAspect, declaredRate: rate, interlaced, bitDepth: bitDepthLuma, colour };
  }
}

function ordered(sets: Map<number, Held>): Held[] {
  return [...sets].sort(([a], [b]) => a - b).map(([, held]) => held);
}
