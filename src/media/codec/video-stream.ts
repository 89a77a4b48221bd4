// From NAL units to the units of a session log, for every container: which NAL units make one access unit, what is kept
// of it, where decoding can start, and when the parameters change.
// A unit may begin with its parameter sets, so what stands between two pictures is held back until the next slice says
// whose it is; the second field of a frame goes with the first, as a decoder wants it.
import { PlatformError } from "#base/errors.ts";
import type { Rotation, VideoCodec, VideoTrack } from "#media/session-log/entries.ts";
import { beginsWithKeyFrame } from "./av1.ts";
import * as h264 from "./h264.ts";
import * as hevc from "./hevc.ts";
import { joinLengths } from "./nal.ts";
import { type NalCodec, ParameterSets } from "./parameter-sets.ts";
import { NO_SEI, readSei, type Sei } from "./sei.ts";
import { isSameVideo, NO_HINTS, type VideoHints, type VideoUnit } from "./video-unit.ts";
import { UNSPECIFIED, videoRange } from "./vui.ts";

export type UnitOptions = Readonly<{
  /** The container says that decoding can start here; believed when the picture is intra-coded. */
  randomAccessHint: boolean;
  /** The container says that all of it is one access unit. */
  single: boolean;
}>;

type Kind = "slice" | "parameters" | "prefix" | "delimiter" | "dropped" | "suffix";

type Open = {
  nals: Buffer[];
  picture: h264.Picture | null;
  slices: number;
  randomAccess: boolean;
  /** A new coded sequence begins with it: an instant refresh. */
  instant: boolean;
  sei: Sei;
  intra: boolean;
  ppsId: number | null;
  damage: string | null;
};

export class VideoStream {
  readonly #number: number;
  readonly #codec: NalCodec;
  readonly #sets: ParameterSets;
  #hints: VideoHints = NO_HINTS;
  /** As the messages of the stream say: for the pictures up to the next random access point. */
  #rotation: Rotation = 0;
  #preferredTransfer: number | null = null;
  #stale = true;
  /** The track is another, and no unit has said so yet: parameter sets may come without a picture. */
  #changed = false;
  #track: VideoTrack | null = null;

  constructor(track: number, codec: NalCodec) {
    this.#number = track;
    this.#codec = codec;
    this.#sets = new ParameterSets(codec);
  }

  /** The track as of the last unit or configuration; null while its parameters are unknown. */
  get track(): VideoTrack | null {
    return this.#track;
  }

  /** What to declare where the stream declares nothing. @returns whether the track changed */
  hint(hints: Partial<VideoHints>): boolean {
    this.#hints = { ...this.#hints, ...hints };
    this.#stale = true;
    return this.#refresh();
  }

  /** Take a configuration record (avcC, hvcC).
   *  @throws PlatformError media.truncated, media.malformed */
  configure(record: Uint8Array): { lengthBytes: number; trackChanged: boolean } {
    const lengthBytes = this.#sets.replace(record);
    this.#stale = true;
    return { lengthBytes, trackChanged: this.#refresh() };
  }

  /** Units made of the NAL units, in order; empty while the parameters are unknown. Payloads are new memory.
   *  @throws nothing: what is wrong is told in `damage` */
  units(nals: readonly Buffer[], options: UnitOptions): VideoUnit[] {
    const units: VideoUnit[] = [];
    let open = fresh();
    let between: Buffer[] = [];
    const close = () => {
      const unit = this.#close(open, options.randomAccessHint && units.length === 0);
      if (unit) units.push(unit);
      open = fresh();
    };
    for (const nal of nals) {
      const kind = this.#kind(nal);
      if (kind === "dropped") continue;
      if (kind === null) open.damage ??= "forbidden bit set";
      else if (kind === "suffix") open.nals.push(nal);
      else if (kind !== "slice") between.push(nal);
      else {
        if (open.slices > 0 && !options.single && this.#beginsUnit(open, nal, between)) close();
        for (const other of between) this.#take(open, other);
        between = [];
        this.#slice(open, nal);
      }
    }
    for (const other of between) this.#take(open, other);
    close();
    return units;
  }

  #kind(nal: Buffer): Kind | null {
    if (nal[0]! & 0x80) return null;
    return this.#codec === "h264" ? h264Kind(h264.nalType(nal)) : hevcKind(nal);
  }

  /** Whether a slice that comes after slices, with `between` before it, is of the next access unit. */
  #beginsUnit(open: Open, nal: Buffer, between: readonly Buffer[]): boolean {
    if (this.#codec === "hevc") return hevc.isFirstSlice(nal) || between.length > 0;
    const news = between.some((other) => this.#kind(other) === "parameters" && this.#sets.isNews(other));
    if (news) return true;
    const { start, picture } = this.#read(nal);
    if (!picture || !open.picture) return between.length > 0 || start?.firstBlock === 0;
    return h264.isNewPicture(open.picture, picture) && !h264.isSecondField(open.picture, picture);
  }

  /** As much as can be read; #slice says what is wrong with the rest. */
  #read(nal: Buffer): { start: h264.SliceStart | null; picture: h264.Picture | null } {
    let start: h264.SliceStart | null = null;
    try {
      start = h264.parseSliceStart(nal);
      const sps = this.#sets.h264SpsOf(start.ppsId);
      return { start, picture: sps ? h264.parsePicture(nal, sps) : null };
    } catch (error) {
      if (error instanceof PlatformError) return { start, picture: null };
      throw error;
    }
  }

  #take(open: Open, nal: Buffer): void {
    const kind = this.#kind(nal);
    if (kind === "delimiter") return;
    if (kind === "parameters") {
      guard(open, () => {
        if (this.#sets.add(nal)) this.#stale = true;
      });
      return;
    }
    const isSei =
      this.#codec === "h264" ? h264.nalType(nal) === h264.NAL.sei : hevc.nalType(nal) === hevc.NAL.prefixSei;
    if (isSei) this.#sei(open, readSei(nal, this.#codec === "h264" ? 1 : 2));
    open.nals.push(nal);
  }

  #sei({ sei }: Open, found: Readonly<Sei>): void {
    sei.recoveryPoint ||= found.recoveryPoint;
    sei.rotation = found.rotation ?? sei.rotation;
    sei.preferredTransfer = found.preferredTransfer ?? sei.preferredTransfer;
  }

  #slice(open: Open, nal: Buffer): void {
    open.nals.push(nal);
    guard(open, () => (this.#codec === "h264" ? this.#h264Slice(open, nal) : this.#hevcSlice(open, nal)));
    open.slices += 1;
  }

  #h264Slice(open: Open, nal: Buffer): void {
    const idr = h264.nalType(nal) === h264.NAL.idr;
    const start = h264.parseSliceStart(nal);
    if (open.slices === 0) {
      if (start.firstBlock !== 0) open.damage ??= "the first slices are missing";
      open.ppsId = start.ppsId;
      open.randomAccess = idr;
      open.instant = idr;
    }
    open.intra &&= start.intra;
    const sps = this.#sets.h264SpsOf(start.ppsId);
    if (sps) open.picture = h264.parsePicture(nal, sps);
    else open.damage ??= `picture parameter set ${start.ppsId} is missing`;
  }

  #hevcSlice(open: Open, nal: Buffer): void {
    open.intra = false; // not looked at: H.265 streams mark their random access points
    if (open.slices > 0) return;
    const type = hevc.nalType(nal);
    open.randomAccess = hevc.isRandomAccess(type);
    open.instant = type === hevc.NAL.idrWithLeading || type === hevc.NAL.idrNoLeading;
    if (hevc.isFirstSlice(nal)) open.ppsId = hevc.parseSlicePpsId(nal);
    else open.damage ??= "the first slices are missing";
  }

  #close(open: Open, hint: boolean): VideoUnit | null {
    const randomAccess = open.randomAccess || (open.slices > 0 && (open.sei.recoveryPoint || (hint && open.intra)));
    if (randomAccess && open.ppsId !== null && this.#sets.activate(open.ppsId)) this.#stale = true;
    if (randomAccess) this.#orient(open);
    guard(open, () => {
      this.#changed = this.#refresh() || this.#changed;
    });
    if (open.slices === 0 || !this.#track) return null;
    const trackChanged = this.#changed;
    this.#changed = false;
    return { payload: joinLengths(open.nals), randomAccess, damage: open.damage, trackChanged };
  }

  /** What the messages say holds until they say something else or a new sequence begins: an instant refresh without them
   *  takes it back. */
  #orient({ sei, instant }: Open): void {
    const rotation = sei.rotation ?? (instant ? 0 : this.#rotation);
    const transfer = sei.preferredTransfer ?? (instant ? null : this.#preferredTransfer);
    if (rotation !== this.#rotation || transfer !== this.#preferredTransfer) this.#stale = true;
    this.#rotation = rotation;
    this.#preferredTransfer = transfer;
  }

  /** @returns whether the track is another now */
  #refresh(): boolean {
    if (!this.#stale) return false;
    this.#stale = false;
    const description = this.#sets.describe(this.#hints.rate);
    if (!description) return false;
    const { colour, ...parameters } = description;
    const declared = colour.transfer === UNSPECIFIED ? (this.#hints.transfer ?? UNSPECIFIED) : colour.transfer;
    const track: VideoTrack = {
      track: this.#number,
      kind: "video",
      codec: this.#codec,
      range: videoRange(this.#preferredTransfer ?? declared),
      rotation: this.#rotation,
      ...parameters,
    };
    if (this.#track && isSameVideo(this.#track, track)) return false;
    this.#track = track;
    return true;
  }
}

function fresh(): Open {
  return {
    nals: [],
    picture: null,
    slices: 0,
    randomAccess: false,
    instant: false,
    sei: { ...NO_SEI },
    intra: true,
    ppsId: null,
    damage: null,
  };
}

/** Bad syntax damages the unit and nothing else. */
function guard(open: Open, read: () => void): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    open.damage ??= error.message;
  }
}

function h264Kind(type: number): Kind {
  if (h264.isSlice(type)) return "slice";
  switch (type) {
    case h264.NAL.sps:
    case h264.NAL.pps:
      return "parameters";
    case h264.NAL.accessUnitDelimiter:
      return "delimiter";
    case h264.NAL.filler:
    case h264.NAL.prefix: // scalable and multiview parts: the base picture is complete without
    case h264.NAL.subsetSps:
    case h264.NAL.depthParameterSet:
    case h264.NAL.extensionSlice:
    case h264.NAL.depthSlice:
      return "dropped";
    case h264.NAL.sei:
      return "prefix";
    default:
      return "suffix";
  }
}

function hevcKind(nal: Buffer): Kind | null {
  const type = hevc.nalType(nal);
  if (nal.length < 2) return null;
  if (hevc.nalLayer(nal) > 0) return "dropped";
  if (hevc.isSlice(type)) return "slice";
  if (type === hevc.NAL.vps || type === hevc.NAL.sps || type === hevc.NAL.pps) return "parameters";
  if (type === hevc.NAL.accessUnitDelimiter) return "delimiter";
  if (type === hevc.NAL.filler) return "dropped";
  return type === hevc.NAL.prefixSei ? "prefix" : "suffix";
}

/** Whether the unit of a session log begins with an instant refresh (IDR): nothing after it refers to what was before, so
 *  a decoder may be opened afresh there without losing a picture. Other random access units (open groups of pictures,
 *  gradual refresh) do not promise that. @param payload as the session log has it: of AV1, a temporal unit */
export function isInstantRefresh(codec: VideoCodec, payload: Uint8Array): boolean {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (codec === "av1") return beginsWithKeyFrame(bytes);
  let at = 0;
  while (at + 4 < bytes.length) {
    const nal = bytes.subarray(at + 4);
    const type = codec === "h264" ? h264.nalType(nal) : hevc.nalType(nal);
    if (codec === "h264" && h264.isSlice(type)) return type === h264.NAL.idr;
    if (codec === "hevc" && hevc.isSlice(type))
      return type === hevc.NAL.idrWithLeading || type === hevc.NAL.idrNoLeading;
    at += 4 + bytes.readUInt32BE(at);
  }
  return false;
}
