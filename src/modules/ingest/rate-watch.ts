// Whether copied pictures still come at the rate their era was planned for. Their parts are so many pictures long; at another
// rate, or at none, the parts would exceed PART-TARGET, and players stop at such. One that is a whole part of the old (a
// camera in the dark) does no harm, where it fills the parts evenly as well.
import type { EraOpened } from "#media/session-log/entries.ts";
import { perSecond, type Rate, sameRate } from "#media/time/rate.ts";
import { isVariable } from "./frame-ticks.ts";
import {
  type ChosenRate,
  chooseCopied,
  chooseVarying,
  type Measured,
  measure,
  type PictureTimes,
} from "./source-rate.ts";

const WINDOW_SECONDS = 3;
/** Of a sender whose clock hardly moves. */
const PICTURES_MAX = 1000;
/** One window may be an accident. */
const WINDOWS = 2;
/** Windows that were uneven are forgotten after so many that were not: two of a row tell, and so does one in four. */
const UNEVEN_REMEMBERED = 10;
/** What varied once does so again: it is believed to be constant after a minute. */
const WINDOWS_TO_CONSTANT = 20;
/** A picture that stands longer than a part makes that part too long, however regular the others are. Where segments are
 *  parts, what would be too long for others. */
const PAUSE_SECONDS = 0.35;
const PAUSE_TOLERANCE = 1.05;
const SAME = 0.01;

export class RateWatch {
  readonly #timescale: number;
  #window: PictureTimes[] = [];
  /** The other rate that the last windows had, and how many they were. */
  #other: { chosen: ChosenRate; windows: number } | null = null;
  #unrest = 0;

  /** @param timescale of the pictures' ticks */
  constructor(timescale: number) {
    this.#timescale = timescale;
  }

  /** Pictures in decode order. @returns the rate they have come at for a while, when the era cannot go on with it */
  add(picture: PictureTimes, era: EraOpened, declared: Rate | null): ChosenRate | null {
    this.#window.push({ ptsTicks: picture.ptsTicks, dtsTicks: picture.dtsTicks });
    const spanSeconds = (picture.dtsTicks - this.#window[0]!.dtsTicks) / this.#timescale;
    const isOpen = spanSeconds >= 0 && spanSeconds < WINDOW_SECONDS && this.#window.length < PICTURES_MAX;
    if (isOpen) return null;
    const pictures = this.#window;
    this.#window = [];
    const measured = spanSeconds < 0 ? null : measure(pictures, this.#timescale, false);
    if (measured === null) return null;
    const chosen = hasPause(measured, era) ? chooseVarying(measured) : chooseCopied(declared, measured);
    return chosen.varies ? this.#uneven(chosen, era) : this.#even(chosen, era);
  }

  #uneven(chosen: ChosenRate, era: EraOpened): ChosenRate | null {
    this.#other = null;
    this.#unrest += UNEVEN_REMEMBERED;
    return !isVariable(era) && this.#unrest >= WINDOWS * UNEVEN_REMEMBERED ? chosen : null;
  }

  #even(chosen: ChosenRate, era: EraOpened): ChosenRate | null {
    this.#unrest = Math.max(0, this.#unrest - 1);
    const windows = this.#other && sameRate(this.#other.chosen.sourceRate, chosen.sourceRate) ? this.#other.windows : 0;
    this.#other = fits(era, chosen) ? null : { chosen, windows: windows + 1 };
    const enough = isVariable(era) ? WINDOWS_TO_CONSTANT : WINDOWS;
    return windows + 1 >= enough ? (this.#other?.chosen ?? null) : null;
  }
}

/** Among pictures that do not all come evenly. */
function hasPause({ longestSeconds, isEven }: Measured, era: EraOpened): boolean {
  if (isEven) return false;
  const partSeconds = isVariable(era) ? PAUSE_SECONDS : (era.partFrames * era.rate.den) / era.rate.num;
  return longestSeconds > partSeconds * PAUSE_TOLERANCE;
}

/** Whether pictures of that constant rate fill the era's parts evenly. */
function fits(era: EraOpened, { sourceRate }: ChosenRate): boolean {
  if (isVariable(era)) return false;
  const ratio = perSecond(era.frameRate) / perSecond(sourceRate);
  const whole = Math.round(ratio);
  if (whole < 1 || Math.abs(ratio / whole - 1) > SAME) return false;
  const perPart = Math.round((era.partFrames * era.frameRate.num) / (era.rate.num * era.frameRate.den));
  return perPart % whole === 0;
}
