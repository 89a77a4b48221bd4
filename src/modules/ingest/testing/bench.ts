// A sequencer with a checked log and a clock that a test moves.
import { type SimClock, simClock } from "#base/clock.ts";
import { type Channel, channelDefaults } from "#media/channel.ts";
import type { DemuxClock, DemuxEvent } from "#media/demux.ts";
import { utcToTai } from "#media/time/tai.ts";
import { Sequencer } from "../sequencer.ts";
import { CheckedLog } from "./checked-log.ts";
import { FLV_CLOCK, type SourceSettings, sourceUnits, type Timed } from "./source.ts";

export class Bench {
  readonly clock: SimClock = simClock();
  readonly log = new CheckedLog();
  readonly notes: string[] = [];
  readonly sequencer: Sequencer;

  constructor(channel: Partial<Channel> = {}) {
    this.sequencer = new Sequencer({
      clock: this.clock,
      channel: { ...channelDefaults, name: "cam", origin: "auto", ...channel },
      sink: this.log,
      note: (event) => this.notes.push(event),
    });
  }

  attach(clock: DemuxClock = FLV_CLOCK, ...events: DemuxEvent[]): void {
    this.sequencer.attach(clock);
    for (const event of events) this.sequencer.event(event);
  }

  /** Time passes, with a tick every 50 ms. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 50) {
      this.clock.advance(Math.min(50, left));
      this.sequencer.tick();
    }
  }

  /** Units at their own pace. */
  send(units: readonly Timed[]): void {
    const startMs = this.clock.monotonicMs();
    for (const { seconds, unit } of units) {
      const dueMs = startMs + seconds * 1000;
      if (dueMs > this.clock.monotonicMs()) this.pass(dueMs - this.clock.monotonicMs());
      this.sequencer.event(unit);
    }
  }

  /** Those of a stretch of a stream, at their own pace from now on. */
  sendPart(units: readonly Timed[], from: number, to: number): void {
    const part = units.filter(({ seconds }) => seconds >= from && seconds < to);
    this.send(part.map(({ seconds, unit }) => ({ seconds: seconds - from, unit })));
  }

  stream(settings: SourceSettings): void {
    this.send(sourceUnits(settings));
  }

  get nowNs(): bigint {
    return utcToTai(this.clock.utcNs());
  }
}
