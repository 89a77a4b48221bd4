// A session by itself: what it needs, what its channel lets it do, and how copied pictures go on in another gateway.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { type SimClock, simClock } from "#base/clock.ts";
import type { PlatformError } from "#base/errors.ts";
import { jsonLog } from "#base/log.ts";
import { type Channel, channelDefaults } from "#media/channel.ts";
import type { Boundary } from "#media/session-log/entries.ts";
import { Timeline } from "#media/session-log/timeline.ts";
import { utcToTai } from "#media/time/tai.ts";
import { memoryJournals } from "#platform/journal/drivers/memory.ts";
import type { JournalFolder } from "#platform/journal/journal.ts";
import { INGEST_LIMITS } from "./limits.ts";
import { LiveSession, type PublisherLink } from "./live-session.ts";
import { rememberedSessions } from "./session-journal.ts";
import { audioTrack, FLV_CLOCK, sourceUnits, tracksEvent, videoTrack } from "./testing/source.ts";

const quiet = jsonLog("error", {}, () => {});

class Stage {
  readonly clock: SimClock;
  readonly journals: JournalFolder;
  readonly link: PublisherLink;
  dismissed: (PlatformError | null)[] = [];
  session!: LiveSession;

  constructor(clock = simClock(), journals: JournalFolder = memoryJournals()) {
    this.clock = clock;
    this.journals = journals;
    this.link = { protocol: "rtmp", remote: "test", dismiss: (error) => this.dismissed.push(error) };
  }

  get deps() {
    return { clock: this.clock, log: quiet, journals: this.journals, limits: INGEST_LIMITS, changed: () => {} };
  }

  open(channel: Partial<Channel>): void {
    const facts = {
      session: "s1",
      channel: { ...channelDefaults, name: "cam", origin: "auto", ...channel } as const,
      protocol: "rtmp",
      remote: "test",
    } as const;
    const openedNs = utcToTai(this.clock.utcNs());
    const numbers = { msnBase: 7, discontinuityBase: 3, openedNs, traceparent: "" };
    const opened = { kind: "session", session: "s1", channel: "cam", tenant: "main", ...numbers } as const;
    this.session = LiveSession.open(this.deps, facts, opened);
    this.session.join(this.link, FLV_CLOCK);
  }

  async restore(): Promise<void> {
    const [found] = await rememberedSessions(this.journals, quiet);
    this.session = LiveSession.restore(this.deps, found!.remembered, found!.journal);
  }

  /** @returns the last refusal */
  async pass(ms: number): Promise<PlatformError | null> {
    let refused: PlatformError | null = null;
    for (let left = ms; left > 0; left -= 100) {
      this.clock.advance(Math.min(100, left));
      refused = this.session.tick()?.error ?? refused;
      for (let i = 0; i < 3; i += 1) await turn();
    }
    return refused;
  }

  async stream(seconds: number, bytesOf = () => 100): Promise<PlatformError | null> {
    let refused: PlatformError | null = null;
    let atMs = 0;
    for (const { seconds: at, unit } of sourceUnits({ seconds })) {
      if (at * 1000 - atMs >= 100) {
        refused = (await this.pass(100)) ?? refused;
        atMs += 100;
      }
      this.session.received(this.link, bytesOf());
      this.session.event(this.link, unit);
    }
    return refused;
  }
}

test("what makes its renditions: expected from the ladder, then known from the era", async () => {
  const encodedBeside = [{ copy: true }, { height: 360 }] as const;
  const ladders = [
    ["auto", [true, false], [true, false]],
    ["passthrough", [false, true], [false, true]],
    [[{ copy: true }], [false, true], [false, true]],
    [encodedBeside, [true, true], [true, true]],
  ] as const;
  for (const [ladder, expected, known] of ladders) {
    const stage = new Stage();
    stage.open({ ladder });
    const needs = () => [stage.session.state().needs.worker, stage.session.state().needs.packager];
    assert.deepEqual(needs(), expected);
    stage.session.event(stage.link, tracksEvent(videoTrack(), audioTrack()));
    await stage.stream(1);
    assert.deepEqual([stage.session.state().state, ...needs()], ["live", ...known]);
  }
});

test("a gateway that died: segments are counted on above what readers have seen", async () => {
  const stage = new Stage();
  stage.open({ ladder: "passthrough" });
  stage.session.event(stage.link, tracksEvent(videoTrack(), audioTrack()));
  await stage.stream(9);
  const seen = boundaries(stage.session);
  assert.equal(seen.length, 5);
  const highest = highestTick(stage.session);
  const next = new Stage(stage.clock, stage.journals);
  await next.restore();
  assert.ok(boundaries(next.session).length === 1, "the newest is enough");
  await next.pass(6000);
  next.session.join(next.link, FLV_CLOCK);
  next.session.event(next.link, tracksEvent(videoTrack(), audioTrack()));
  await next.stream(5);
  assert.equal(next.session.state().state, "live");
  const after = boundaries(next.session).filter(({ ordinal }) => ordinal > seen.at(-1)!.ordinal);
  assert.deepEqual(
    after.map(({ ordinal }) => ordinal),
    after.map((_, i) => 5 + i),
  );
  assert.ok(after[0]!.frame > highest, `a boundary at ${after[0]!.frame}, ${highest} was given`);
  const timeline = new Timeline();
  for (const { entry } of next.session.log.decisions()) timeline.apply(entry);
  const newest = timeline.segment(after.at(-1)!.ordinal)!;
  assert.deepEqual([newest.msn, timeline.discontinuitiesBefore(newest)], [7 + newest.ordinal, 3 + 1]);
  assert.ok(timeline.isGap(timeline.segment(5)!));
});

test("limits of the channel: too many bits and too large a picture are turned away", async () => {
  const bits = new Stage();
  bits.open({ limits: { bitrateKbps: 500, height: null, durationSeconds: null } });
  bits.session.event(bits.link, tracksEvent(videoTrack(), audioTrack()));
  assert.equal(await bits.stream(8, () => 500), null); // 72 units a second: 288 kbit/s
  assert.equal((await bits.stream(8, () => 1000))?.code, "ingest.over_limit");
  assert.equal(bits.dismissed.at(-1)?.code, "ingest.over_limit");
  assert.equal(bits.session.isEnded, false, "it has media: somebody may go on with it");

  const tall = new Stage();
  tall.open({ limits: { bitrateKbps: null, height: 480, durationSeconds: null } });
  tall.session.event(tall.link, tracksEvent(videoTrack(), audioTrack()));
  assert.equal((await tall.stream(1))?.code, "ingest.over_limit");
  assert.deepEqual([tall.session.isEnded, tall.session.state().endReason], [true, "refused"]);
});

test("a session that has lasted as long as it may ends in good order", async () => {
  const stage = new Stage();
  stage.open({ limits: { bitrateKbps: null, height: null, durationSeconds: 5 } });
  stage.session.event(stage.link, tracksEvent(videoTrack(), audioTrack()));
  await stage.stream(4.8);
  assert.equal(stage.session.isEnded, false);
  await stage.pass(400);
  assert.deepEqual([stage.session.state().endReason, stage.dismissed], ["limit", [null]]);
});

function boundaries(session: LiveSession): Boundary[] {
  return session.log.decisions().flatMap(({ entry }) => (entry.kind === "boundary" ? [entry] : []));
}

function highestTick({ log }: LiveSession): number {
  let highest = 0;
  for (let position = log.first; position < log.next; position += 1) {
    const { entry } = log.at(position);
    if (entry.kind === "unit" && entry.track === 0) highest = Math.max(highest, entry.index);
  }
  return highest;
}
