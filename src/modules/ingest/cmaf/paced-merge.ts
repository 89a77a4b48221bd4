// Several tracks that arrive in segments, as one source that plays in real time. Segments of different tracks come seconds
// apart and each of them all at once; a session's log wants units of all tracks in time order, and its readers a steady
// stream. So units wait here until they are due (a clock that began with the first segments), and until no track can still
// bring an earlier one, or has had its chance.
import type { CmafUnit } from "#media/cmaf/demux.ts";

/** Behind the arrival of the first segments: what the network may be late with before anybody notices. */
const CUSHION_MS = 250;
/** How long the beginning waits for every announced track's first segment. */
const START_MS_MAX = 4000;
/** How long a unit that is due waits for a track that has nothing queued. */
const TRACK_WAIT_MS = 700;
/** A track that brought nothing for so long is not waited for. */
const TRACK_GONE_MS = 10_000;
/** The sender's clock may run fast: what waits longer than it must is let out earlier, this much at a time. */
const LEAD_WINDOW_MS = 10_000;
const LEAD_STEP_SHARE = 0.1;

const TICKS_PER_MS = 90;

type Waiting = CmafUnit & { readonly bytes: number; readonly arrivedMs: number };

type Lane = {
  queue: Waiting[];
  /** Decode ticks up to which it has brought everything; null before its first segment. */
  knownTicks: number | null;
  heardMs: number;
};

export class PacedMerge {
  readonly #emit: (unit: CmafUnit) => void;
  readonly #bytesMax: number;
  readonly #lanes = new Map<number, Lane>();
  #bytes = 0;
  #firstMs: number | null = null;
  /** The instant (monotonic ms) at which `ticks` is due; null before the beginning. */
  #base: { ms: number; ticks: number } | null = null;
  /** Newest decode ticks let out: what comes with less was sent twice, or too late. */
  #outTicks = Number.NEGATIVE_INFINITY;
  #lead = { sinceMs: 0, leastMs: Number.POSITIVE_INFINITY };
  dropped = 0;

  /** @param bytesMax that may wait */
  constructor(bytesMax: number, emit: (unit: CmafUnit) => void) {
    this.#bytesMax = bytesMax;
    this.#emit = emit;
  }

  /** A track is announced: the beginning waits for its first segment. */
  announce(track: number, nowMs: number): void {
    if (!this.#lanes.has(track)) this.#lanes.set(track, { queue: [], knownTicks: null, heardMs: nowMs });
  }

  /** Units of one fragment. @param endTicks where the fragment ends
   *  @returns false when too much waits: nothing of it was taken */
  add(track: number, units: readonly CmafUnit[], endTicks: number, nowMs: number): boolean {
    const bytes = units.reduce((sum, { unit }) => sum + unit.payload.byteLength, 0);
    if (this.#bytes + bytes > this.#bytesMax) return false;
    this.announce(track, nowMs);
    const lane = this.#lanes.get(track)!;
    this.#firstMs ??= nowMs;
    lane.heardMs = nowMs;
    const isInOrder = lane.knownTicks === null || units.length === 0 || units[0]!.dtsTicks >= lane.knownTicks;
    for (const unit of units) {
      if (unit.dtsTicks <= this.#outTicks && unit.dtsTicks < (lane.knownTicks ?? Number.NEGATIVE_INFINITY)) {
        this.dropped += 1;
        continue;
      }
      if (!isInOrder && lane.queue.some(({ dtsTicks }) => dtsTicks === unit.dtsTicks)) continue; // sent twice
      lane.queue.push({ ...unit, bytes: unit.unit.payload.byteLength, arrivedMs: nowMs });
      this.#bytes += unit.unit.payload.byteLength;
    }
    if (!isInOrder) lane.queue.sort((a, b) => a.dtsTicks - b.dtsTicks);
    lane.knownTicks = Math.max(lane.knownTicks ?? endTicks, endTicks);
    return true;
  }

  /** Let out what is due. @returns ms until it should be asked again; null when nothing waits */
  advance(nowMs: number): number | null {
    if (!this.#begin(nowMs)) return this.#firstMs === null ? null : 20;
    for (;;) {
      const lane = this.#earliest();
      const next = lane?.queue[0];
      if (!lane || !next) return null;
      const dueMs = this.#dueMs(next.dtsTicks);
      if (dueMs > nowMs) return Math.max(1, Math.ceil(dueMs - nowMs));
      if (this.#mayComeEarlier(lane, next, dueMs, nowMs)) return 10;
      this.#out(lane, dueMs);
    }
  }

  /** The sender is done: everything, at once. */
  flush(): void {
    for (let lane = this.#earliest(); lane?.queue[0]; lane = this.#earliest()) this.#out(lane, null);
  }

  #begin(nowMs: number): boolean {
    if (this.#base !== null) return true;
    if (this.#firstMs === null) return false;
    const lanes = [...this.#lanes.values()];
    if (lanes.some(({ knownTicks }) => knownTicks === null) && nowMs - this.#firstMs < START_MS_MAX) return false;
    const first = this.#earliest()?.queue[0];
    if (!first) return false;
    this.#base = { ms: nowMs + CUSHION_MS, ticks: first.dtsTicks };
    this.#lead = { sinceMs: nowMs, leastMs: Number.POSITIVE_INFINITY };
    return true;
  }

  #earliest(): Lane | null {
    let earliest: Lane | null = null;
    for (const lane of this.#lanes.values()) {
      const ticks = lane.queue[0]?.dtsTicks;
      if (ticks !== undefined && (earliest === null || ticks < earliest.queue[0]!.dtsTicks)) earliest = lane;
    }
    return earliest;
  }

  #dueMs(ticks: number): number {
    const { ms, ticks: from } = this.#base!;
    return ms + (ticks - from) / TICKS_PER_MS;
  }

  #mayComeEarlier(lane: Lane, next: Waiting, dueMs: number, nowMs: number): boolean {
    const lateMs = nowMs - Math.max(dueMs, next.arrivedMs);
    if (lateMs > TRACK_WAIT_MS) return false;
    for (const other of this.#lanes.values()) {
      if (other === lane || other.queue.length > 0 || nowMs - other.heardMs > TRACK_GONE_MS) continue;
      if ((other.knownTicks ?? Number.NEGATIVE_INFINITY) < next.dtsTicks) return true;
    }
    return false;
  }

  #out(lane: Lane, dueMs: number | null): void {
    const unit = lane.queue.shift()!;
    this.#bytes -= unit.bytes;
    this.#outTicks = Math.max(this.#outTicks, unit.dtsTicks);
    if (dueMs !== null) this.#follow(unit, dueMs);
    this.#emit(unit);
  }

  /** A sender that is always early has a fast clock: come nearer to it, or what waits grows for ever. */
  #follow(unit: Waiting, dueMs: number): void {
    this.#lead.leastMs = Math.min(this.#lead.leastMs, dueMs - unit.arrivedMs);
    if (dueMs - this.#lead.sinceMs < LEAD_WINDOW_MS) return;
    const tooEarlyMs = this.#lead.leastMs - CUSHION_MS;
    if (tooEarlyMs > 0) this.#base!.ms -= tooEarlyMs * LEAD_STEP_SHARE;
    this.#lead = { sinceMs: dueMs, leastMs: Number.POSITIVE_INFINITY };
  }
}
