// Whether copied pictures still come at the rate their era was planned for. Their parts are so many pictures long; at another
// rate, or at none, the parts would exceed PART-TARGET, and players stop at such. One that is a whole part of the old (a
// camera in the dark) does no harm, where it fills the parts evenly as well.
import type { EraOpened } from "#media/session-log/entries.ts";
import { perSecond, type Rate, sameRate } from "#media/time/rate.ts";
import { isVariable } from "./frame-ticks.ts";
import { type ChosenRate, chooseCopied, measure, type PictureTimes } from "./source-rate.ts";

const WINDOW_SECONDS = 3;
const PICTURES_MIN = 12;
const WINDOWS = 2;
const SAME = 0.01;

export class RateWatch {
  readonly #timescale: number;
  #window: PictureTimes[] = [];
  /** The other rate that the last windows had, and how many they were. */
  #other: { chosen: ChosenRate; windows: number } | null = null;

  /** @param timescale of the pictures' ticks */
  constructor(timescale: number) {
    this.#timescale = timescale;
  }

  /** Pictures in decode order. @returns the rate they have come at for a while, when the era cannot go on with it */
  add(picture: PictureTimes, era: EraOpened, declared: Rate | null): ChosenRate | null {
    this.#window.push({ ptsTicks: picture.ptsTicks, dtsTicks: picture.dtsTicks });
    const spanSeconds = (picture.dtsTicks - this.#window[0]!.dtsTicks) / this.#timescale;
    if (spanSeconds < WINDOW_SECONDS && spanSeconds >= 0) return null;
    const pictures = this.#window;
    this.#window = [];
    const measured = pictures.length < PICTURES_MIN || spanSeconds < 0 ? null : measure(pictures, this.#timescale);
    if (measured === null || isVariable(era)) return null;
    const chosen = chooseCopied(declared, measured);
    if (fits(era, chosen)) this.#other = null;
    else this.#other = { chosen, windows: this.#isOther(chosen) ? this.#other!.windows + 1 : 1 };
    return this.#other && this.#other.windows >= WINDOWS ? this.#other.chosen : null;
  }

  #isOther({ varies, sourceRate }: ChosenRate): boolean {
    const before = this.#other?.chosen;
    return before?.varies === varies && (varies || sameRate(before.sourceRate, sourceRate));
  }
}

function fits(era: EraOpened, { varies, sourceRate }: ChosenRate): boolean {
  if (varies) return false;
  const ratio = perSecond(era.frameRate) / perSecond(sourceRate);
  const whole = Math.round(ratio);
  if (whole < 1 || Math.abs(ratio / whole - 1) > SAME) return false;
  const perPart = Math.round((era.partFrames * era.frameRate.num) / (era.rate.num * era.frameRate.den));
  return perPart % whole === 0;
}
