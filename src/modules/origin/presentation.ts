// The multivariant playlist as a view of a session's newest playable era.
import { type AudioGroup, audioGroups } from "#media/hls/audio-groups.ts";
import type { AudioMedia, Multivariant, Variant } from "#media/hls/multivariant.ts";
import { type Rendition, timescaleOf } from "#media/ladder/rendition.ts";
import type { EraOpened } from "#media/session-log/entries.ts";
import { perSecond } from "#media/time/rate.ts";
import { meanOf, soFar } from "./bitrate.ts";
import type { Session } from "./session.ts";

/** Bits a second that boxes and descriptors add to a track, above its rate cap. */
const OVERHEAD_BITRATE = 24_000;
/** A rung's cap is kept over its buffer; consecutive segments may exceed it by this. */
const CAP_MARGIN = 1.125;
/** Nobody holds a publisher to a rate: what is copied may be so much more in some segment to come. */
const COPIED_MARGIN = 1.1;

/** The newest era of which every rendition can be played; null when there is none. */
export function playableEra(session: Session): EraOpened | null {
  const playable = ({ era, renditions }: EraOpened) =>
    renditions.length > 0 &&
    renditions.every(({ name }) => {
      const track = session.tracks.get(name);
      return track?.hasMedia && track.inits.has(era);
    });
  return session.eras.findLast(playable) ?? null;
}

/** A rendition with what its playlist and its media say of it. */
type Playable<R extends Rendition = Rendition> = Readonly<{
  rendition: R;
  uri: string;
  codec: string;
  language: string;
  channels: number;
  /** Bits a second. */
  peak: number;
  mean: number;
}>;

export function multivariantOf(session: Session, era: EraOpened): Multivariant {
  const all = era.renditions.map((rendition) => playable(session, era, rendition));
  const audio = all.filter(({ rendition }) => rendition.kind === "audio");
  const video = all.filter(({ rendition }) => rendition.kind === "video");
  if (video.length === 0) return { variants: audio.map(audioVariant), audio: [] };
  const groups = audioGroups(audio);
  const variants = (groups.length > 0 ? groups : [null]).flatMap((group) =>
    video.map((one) => videoVariant(session, era, one, group)),
  );
  return { variants, audio: groups.flatMap(mediaOf) };
}

function playable(session: Session, era: EraOpened, rendition: Rendition): Playable {
  const track = session.tracks.get(rendition.name)!;
  const { codec } = track.inits.get(era.era)!.init;
  const { language, channels } = rendition.kind === "audio" ? rendition : { language: "und", channels: 0 };
  return { rendition, uri: `${rendition.name}.m3u8`, codec, language, channels, ...ratesOf(session, era, rendition) };
}

/** Peak: what an encoder's cap allows, so that it is the same from the first minute on, or what was measured if that is
 *  more. What is copied has no cap: until a segment is whole its first parts tell, which is more than the truth. */
function ratesOf(session: Session, era: EraOpened, rendition: Rendition): { peak: number; mean: number } {
  const track = session.tracks.get(rendition.name)!;
  const measured = meanOf(track.listed);
  if (!rendition.copied) {
    const cap = Math.ceil(rendition.kind === "video" ? rendition.maxBitrate * CAP_MARGIN : rendition.bitrate);
    return { peak: Math.max(cap + OVERHEAD_BITRATE, track.peakBitrate), mean: measured ?? cap };
  }
  const mean = measured ?? soFar(track.growing, timescaleOf(rendition, era.rate));
  return { peak: Math.ceil(Math.max(track.peakBitrate, mean) * COPIED_MARGIN), mean };
}

function videoVariant(session: Session, era: EraOpened, one: Playable, group: AudioGroup<Playable> | null): Variant {
  const members = group?.members.map(({ choice }) => choice) ?? [];
  const most = (key: "peak" | "mean") => Math.max(0, ...members.map((member) => member[key]));
  const bandwidth = one.peak + most("peak");
  return {
    uri: one.uri,
    bandwidth,
    averageBandwidth: Math.min(one.mean + most("mean"), bandwidth),
    codecs: [one.codec, ...(group?.codecs ?? [])],
    video: pictureOf(session, era, one.rendition),
    audio: group?.id ?? null,
  };
}

/** As it is displayed: a picture that lies on its side has the other size. */
function pictureOf(session: Session, era: EraOpened, { name }: Rendition): Variant["video"] {
  const { width, height, rotation } = session.tracks.get(name)!.inits.get(era.era)!.init;
  const rendition = era.renditions.find((one) => one.name === name)!;
  const range = rendition.kind === "video" && rendition.copied ? rendition.range : "SDR"; // rungs are encoded in 8 bits
  const size = rotation === 90 || rotation === 270 ? { width: height, height: width } : { width, height };
  return { ...size, framesPerSecond: perSecond(era.frameRate), range };
}

function audioVariant({ uri, peak, mean, codec }: Playable): Variant {
  return { uri, bandwidth: peak, averageBandwidth: Math.min(mean, peak), codecs: [codec], video: null, audio: null };
}

function mediaOf({ id, members }: AudioGroup<Playable>): AudioMedia[] {
  return members.map(({ choice, name, language, default: isDefault }) => ({
    group: id,
    name,
    language,
    channels: choice.channels,
    uri: choice.uri,
    default: isDefault,
  }));
}
