// A publisher whose clock is not exact, behind a network that holds things up: units one after the other as they arrive,
// for as many days as wanted. Each carries in its payload the true instant that it shows.
import type { Random } from "#base/random.ts";
import type { DemuxClock, DemuxedUnit } from "#media/demux.ts";
import type { AudioTrack, Unit } from "#media/session-log/entries.ts";

export type DriftingSettings = Readonly<{
  clock: DemuxClock;
  startTicks: number;
  fps: number;
  gopFrames: number;
  /** Pictures that are shown before the one they follow in decode order. */
  bFrames: number;
  audio: AudioTrack | null;
  /** How much faster than TAI the source's clock goes, in millionths; and its audio clock than that. */
  ppm: number;
  audioPpm: number;
  /** How long what is sent at a true second is on its way. */
  delaySeconds: (atSeconds: number) => number;
}>;

/** A unit, and the true second of its arrival since the source began. */
export type Arrival = Readonly<{ atSeconds: number; unit: DemuxedUnit }>;

const HEAD_BYTES = 9;

export class DriftingSource {
  readonly #settings: DriftingSettings;
  #pictures = 0;
  #sounds = 0;
  #arrivedSeconds = 0;

  constructor(settings: DriftingSettings) {
    this.#settings = settings;
  }

  /** What comes next. */
  next(): Arrival {
    const { fps, audio, delaySeconds } = this.#settings;
    const pictureAt = this.#pictures / fps;
    const soundAt = audio === null ? Number.POSITIVE_INFINITY : this.#soundSeconds(audio);
    const isPicture = pictureAt <= soundAt;
    const sentSeconds = this.#trueSeconds(Math.min(pictureAt, soundAt));
    // One connection: nothing overtakes what was sent before.
    this.#arrivedSeconds = Math.max(this.#arrivedSeconds, sentSeconds + delaySeconds(sentSeconds));
    return { atSeconds: this.#arrivedSeconds, unit: isPicture ? this.#picture() : this.#sound(soundAt) };
  }

  #picture(): DemuxedUnit {
    const { fps, gopFrames, bFrames } = this.#settings;
    const decode = this.#pictures;
    this.#pictures += 1;
    const inGop = decode % gopFrames;
    const last = decode - inGop + gopFrames - 1;
    const inMini = bFrames === 0 || inGop === 0 ? 0 : ((inGop - 1) % (bFrames + 1)) + 1;
    const shown = inMini === 0 ? decode : inMini === 1 ? Math.min(decode + bFrames, last) : decode - 1;
    const showSeconds = (shown + (bFrames > 0 ? 1 : 0)) / fps;
    return this.#unit(0, inGop === 0, showSeconds, decode / fps, inGop === 0 ? 0x65 : 0x41);
  }

  #sound(atSeconds: number): DemuxedUnit {
    this.#sounds += 1;
    const seconds = atSeconds + (this.#settings.bFrames > 0 ? 1 / this.#settings.fps : 0);
    return this.#unit(1, true, seconds, seconds, 0);
  }

  /** By the source's clock. */
  #soundSeconds({ samplesPerUnit, sampleRate }: AudioTrack): number {
    return (this.#sounds * samplesPerUnit) / sampleRate / (1 + this.#settings.audioPpm * 1e-6);
  }

  #trueSeconds(seconds: number): number {
    return seconds / (1 + this.#settings.ppm * 1e-6);
  }

  #unit(track: number, randomAccess: boolean, shown: number, decoded: number, nal: number): DemuxedUnit {
    const payload = Buffer.alloc(HEAD_BYTES + 8);
    payload.writeUInt32BE(payload.length - 4);
    payload.writeUInt8(nal, 4);
    payload.writeUInt8(0x88, 5);
    payload.writeDoubleBE(this.#trueSeconds(shown), HEAD_BYTES);
    const [ptsTicks, dtsTicks] = [this.#ticks(shown), this.#ticks(decoded)];
    return { kind: "unit", track, ptsTicks, dtsTicks, randomAccess, damaged: false, payload };
  }

  #ticks(seconds: number): number {
    const { clock, startTicks } = this.#settings;
    return (startTicks + Math.round(seconds * clock.timescale)) % 2 ** clock.wrapBits;
  }
}

/** The true second that a unit of such a source shows. */
export function trueSecondsOf({ payload }: Pick<Unit, "payload">): number {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).readDoubleBE(HEAD_BYTES);
}

/** A network with jitter (milliseconds, mean of an exponential) that stands still now and then, for `longestSeconds` at
 *  most: a queue of up to `queueSecondsMax` comes at once and is worked off bit by bit. */
export function network(
  random: Random,
  jitterMs: number,
  longestSeconds: number,
  queueSecondsMax = 1,
): (atSeconds: number) => number {
  let from = random.next() * 300;
  let until = from + random.next() * longestSeconds;
  let queueSeconds = random.next() * queueSecondsMax;
  return (atSeconds) => {
    if (atSeconds > until) {
      from = atSeconds + 30 + random.next() * 600;
      until = from + random.next() * longestSeconds;
      queueSeconds = random.next() * queueSecondsMax;
    }
    const share = atSeconds < from ? 0 : (until - atSeconds) / (until - from);
    const jitter = (-Math.log(1 - random.next()) * jitterMs) / 1000;
    return 0.03 + jitter + share * queueSeconds;
  };
}
