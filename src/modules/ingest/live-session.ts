// One session of the gateway: its log, its sequencer, its journal, and the publisher it has at the moment. Here lies what
// a session does as time passes: how long it waits for a publisher, when it ends, when it is forgotten.
import { assert } from "#base/assert.ts";
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Channel } from "#media/channel.ts";
import type { DemuxClock, DemuxEvent } from "#media/demux.ts";
import { copies } from "#media/ladder/plan.ts";
import { isCopied, type Rendition } from "#media/ladder/rendition.ts";
import type { EndReason, Entry, SessionOpened } from "#media/session-log/entries.ts";
import { timeOf } from "#media/time/rate.ts";
import type { Journal, JournalFolder } from "#platform/journal/journal.ts";
import { PublisherLimits } from "./channel-limits.ts";
import type { IngestLimits } from "./limits.ts";
import { SessionLog } from "./log/session-log.ts";
import { PublisherGuard } from "./publisher-guard.ts";
import { restoredLog, stateOf } from "./restored-session.ts";
import { type RestoredSession, Sequencer } from "./sequencer.ts";
import { type Remembered, type SessionFacts, SessionJournal } from "./session-journal.ts";
import type { GatewaySession, Protocol } from "./types.ts";

/** Transports that say themselves what is media. */
const FRAMED: ReadonlySet<Protocol> = new Set(["rtmp", "rtmps", "cmaf"]);

const PROGRESS_EVERY_MS = 1000;
const NS_PER_MS = 1_000_000n;
const NS_PER_SECOND = 1_000_000_000n;

export type SessionDeps = Readonly<{
  clock: Clock;
  log: Log;
  journals: JournalFolder;
  limits: IngestLimits;
  /** A state, an anchor or a reader changed. */
  changed: () => void;
}>;

/** The connection that a session's media comes from. */
export interface PublisherLink {
  readonly protocol: SessionFacts["protocol"];
  readonly remote: string;
  /** The session wants no more: tell the publisher, and close. Null: the session ended in good order. */
  dismiss(error: PlatformError | null): void;
}

type Publisher = { link: PublisherLink; guard: PublisherGuard; limits: PublisherLimits };

export class LiveSession {
  readonly id: string;
  readonly log: SessionLog;
  readonly #deps: SessionDeps;
  readonly #facts: SessionFacts;
  readonly #opened: SessionOpened;
  readonly #sequencer: Sequencer;
  readonly #journal: SessionJournal;
  #publisher: Publisher | null = null;
  #protocol: SessionFacts["protocol"];
  #remote: string;
  /** Bytes of publishers that are gone. */
  #bytesBefore = 0;
  #isClean = false;
  #awaySinceMs: number | null = null;
  #endedMs: number | null = null;
  #endReason: EndReason | null = null;
  #progressMs = Number.NEGATIVE_INFINITY;
  #shown = "";

  /** A new one. */
  static open(deps: SessionDeps, facts: SessionFacts, opened: SessionOpened): LiveSession {
    return new LiveSession(deps, facts, opened, null);
  }

  /** One that a gateway before this left behind.
   *  @throws PlatformError media.malformed when its journal does not begin as one */
  static restore(deps: SessionDeps, remembered: Remembered, journal: Journal): LiveSession {
    const opened = remembered.decisions[0]?.entry;
    if (opened?.kind !== "session")
      throw new PlatformError("media.malformed", "a journal does not begin with a session");
    return new LiveSession(deps, remembered.facts, opened, { remembered, journal });
  }

  private constructor(
    deps: SessionDeps,
    facts: SessionFacts,
    opened: SessionOpened,
    before: { remembered: Remembered; journal: Journal } | null,
  ) {
    const { clock, journals, limits } = deps;
    const log = deps.log.child({ session: facts.session, channel: facts.channel.name });
    this.id = facts.session;
    this.#deps = { ...deps, log };
    this.#facts = facts;
    this.#opened = opened;
    this.#protocol = facts.protocol;
    this.#remote = facts.remote;
    const journal = before ? { journal: before.journal } : {};
    this.#journal = new SessionJournal({ folder: journals, session: this.id, clock, log, ...journal });
    this.log = new SessionLog({
      session: this.id,
      bytesMax: limits.logBytesMax,
      keepNs: BigInt(limits.logKeepSeconds) * NS_PER_SECOND,
      onReadersChanged: deps.changed,
      ...(before ? { restored: restoredLog(before.remembered) } : {}),
    });
    const restored = before && stateOf(before.remembered);
    this.#sequencer = new Sequencer({
      clock,
      channel: facts.channel,
      sink: { append: (entry) => this.#append(entry) },
      note: (event, fields) => log.info(event, fields),
      restored,
    });
    if (before) this.#goOn(before.remembered, restored);
    else {
      this.#journal.facts(facts);
      this.#append(opened);
    }
  }

  get channel(): string {
    return this.#facts.channel.name;
  }

  get isEnded(): boolean {
    return this.log.ended;
  }

  /** Somebody is sending; another publisher would be turned away. */
  get isBusy(): boolean {
    return this.#publisher !== null && this.#sequencer.state !== "interrupted";
  }

  get counters() {
    return this.#sequencer.counters;
  }

  /** A publisher takes over; one that has gone silent is dismissed. */
  join(link: PublisherLink, clock: DemuxClock): void {
    assert.ok(!this.isBusy && !this.isEnded, "the session is free");
    if (this.#publisher) this.#dismiss(new PlatformError("publish.channel_busy", "Another connection took over."));
    const guard = new PublisherGuard(this.#deps.clock, this.#deps.limits, FRAMED.has(link.protocol));
    this.#publisher = { link, guard, limits: new PublisherLimits(this.#facts.channel.limits) };
    this.#protocol = link.protocol;
    this.#remote = link.remote;
    this.#sequencer.attach(clock);
    this.#deps.log.info("ingest.publisher_joined", { protocol: link.protocol, remote: link.remote });
    this.#look();
  }

  received(link: PublisherLink, bytes: number): void {
    if (this.#publisher?.link !== link) return;
    this.#publisher.guard.received(bytes);
    this.#publisher.limits.received(bytes, this.#deps.clock.monotonicMs());
  }

  event(link: PublisherLink, event: DemuxEvent): void {
    if (this.#publisher?.link !== link) return;
    const { guard, limits } = this.#publisher;
    guard.event(event);
    limits.event(event);
    if (limits.fault()) return; // the next tick turns it away
    this.#sequencer.event(event);
    if (event.kind !== "unit" || this.#sequencer.state !== "live" || this.#awaySinceMs !== null) this.#look();
  }

  /** The connection is gone. @param clean the publisher said goodbye
   *  @returns what is wrong with all that it sent; null when some of it was media */
  leave(link: PublisherLink, clean: boolean): PlatformError | null {
    if (this.#publisher?.link !== link) return null;
    const isNothing = this.#sequencer.state === "starting";
    const fault = isNothing && clean ? this.#faultOf(this.#publisher, true) : null;
    this.#deps.log.info("ingest.publisher_left", { clean, bytes: this.#publisher.guard.bytes });
    this.#part(clean);
    if (isNothing) this.end(fault && fault.code !== "ingest.no_data" ? "refused" : clean ? "publisher" : "lost");
    this.#look();
    return fault;
  }

  /** @returns why a publisher was turned away just now, with its link */
  tick(): { link: PublisherLink; error: PlatformError } | null {
    if (this.isEnded) return null;
    this.#sequencer.tick();
    const refused = this.#checkPublisher();
    this.#look();
    this.#endWhenDue();
    this.#tellProgress();
    return refused;
  }

  /** The publisher, if there is one, is disconnected in good order. */
  end(reason: EndReason): void {
    if (this.isEnded) return;
    this.#sequencer.end(reason);
    this.#endReason = reason;
    this.#endedMs = this.#deps.clock.monotonicMs();
    this.#deps.log.info("ingest.session_ended", { reason, ...this.#sequencer.counters });
    if (this.#publisher) this.#dismiss(null);
    this.#look();
  }

  /** The publisher, if there is one, is disconnected; the session goes on as if it had been lost. */
  kick(): void {
    if (this.#publisher === null || this.isEnded) return;
    this.#deps.log.info("ingest.publisher_kicked", { remote: this.#remote });
    const isNothing = this.#sequencer.state === "starting";
    this.#dismiss(new PlatformError("publish.kicked", "An operator disconnected this publisher."));
    if (isNothing) this.end("lost");
    this.#look();
  }

  /** Whether nobody needs it any more. */
  get isOver(): boolean {
    if (this.#endedMs === null) return false;
    const sinceMs = this.#deps.clock.monotonicMs() - this.#endedMs;
    const { endedKeepMs, endedReadMs } = this.#deps.limits;
    return sinceMs >= endedReadMs || (sinceMs >= endedKeepMs && this.log.readers === 0);
  }

  forget(): Promise<void> {
    return this.#journal.remove();
  }

  /** The gateway stops; the session does not end: another gateway may go on with it. */
  async close(): Promise<void> {
    this.#progressMs = Number.NEGATIVE_INFINITY;
    if (!this.isEnded) this.#tellProgress();
    const publisher = this.#publisher;
    if (publisher) {
      this.#part(false);
      publisher.link.dismiss(new PlatformError("publish.unavailable", "The gateway is being stopped; try again."));
    }
    await this.#journal.close();
  }

  state(): GatewaySession {
    const { state, anchorNs, tracks, era, counters } = this.#sequencer;
    const { log } = this;
    const bytesIn = this.#bytesBefore + (this.#publisher?.guard.bytes ?? 0);
    return {
      id: this.id,
      channel: this.channel,
      tenant: this.#facts.channel.tenant,
      state: this.isEnded ? "ended" : state,
      endReason: this.#endReason,
      protocol: this.#protocol,
      remote: this.#remote,
      openedNs: this.#opened.openedNs,
      anchorNs,
      msnBase: this.#opened.msnBase,
      tracks,
      needs: needsOf(this.#facts.channel.ladder, era?.renditions ?? null),
      rate: era?.rate ?? null,
      log: { first: log.first, next: log.next, bytes: log.bytes, readers: log.readers },
      counters: { bytesIn, ...counters, readersCut: log.readersCut },
    };
  }

  #append(entry: Entry): number {
    const position = this.log.append(entry);
    if (entry.kind !== "unit") this.#journal.decision({ position, entry });
    return position;
  }

  #checkPublisher(): { link: PublisherLink; error: PlatformError } | null {
    const publisher = this.#publisher;
    const error = publisher && this.#faultOf(publisher);
    if (!publisher || !error) return null;
    const isNothing = this.#sequencer.state === "starting";
    this.#dismiss(error);
    if (isNothing) this.end("refused");
    return { link: publisher.link, error };
  }

  /** @param over it has sent everything: nothing can get better */
  #faultOf({ guard, limits }: Publisher, over = false): PlatformError | null {
    return limits.fault() ?? guard.fault(over) ?? this.#sequencer.fault(over);
  }

  #dismiss(error: PlatformError | null): void {
    const publisher = this.#publisher!;
    this.#part(false);
    publisher.link.dismiss(error);
  }

  #part(clean: boolean): void {
    this.#bytesBefore += this.#publisher?.guard.bytes ?? 0;
    this.#publisher = null;
    this.#isClean = clean;
    if (!this.isEnded) this.#sequencer.detach(clean);
  }

  #endWhenDue(): void {
    const { durationSeconds } = this.#facts.channel.limits;
    if (durationSeconds !== null && this.#openForNs >= BigInt(durationSeconds) * NS_PER_SECOND) this.end("limit");
    if (this.#awaySinceMs === null || this.isEnded) return;
    const { endGraceSeconds, lossGraceSeconds } = this.#facts.channel;
    const isClean = this.#publisher === null && this.#isClean;
    const graceMs = (isClean ? endGraceSeconds : lossGraceSeconds) * 1000;
    if (this.#deps.clock.monotonicMs() - this.#awaySinceMs >= graceMs) this.end(isClean ? "publisher" : "lost");
  }

  get #openForNs(): bigint {
    return this.#sequencer.time.taiNs - this.#opened.openedNs;
  }

  #tellProgress(): void {
    const { era, nextFrame, newestNs, state } = this.#sequencer;
    const nowMs = this.#deps.clock.monotonicMs();
    if (era === null || state !== "live" || nowMs - this.#progressMs < PROGRESS_EVERY_MS) return;
    this.#progressMs = nowMs;
    const { time } = this.#sequencer; // asks the host, which costs a little
    this.#journal.progress({ position: this.log.next, era: era.era, frame: nextFrame, newestNs, time });
  }

  /** Tell the listeners when what they are shown has changed. */
  #look(): void {
    const { state, anchorNs, era, tracks, counters } = this.#sequencer;
    if (state === "interrupted") this.#awaySinceMs ??= this.#deps.clock.monotonicMs();
    else this.#awaySinceMs = null;
    const shown = `${state} ${anchorNs} ${era?.era} ${tracks.length} ${counters.returns} ${this.isEnded} ${this.#remote}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#deps.changed();
  }

  /** @param restored null when the session never had a frame, or has ended */
  #goOn({ decisions, facts }: Remembered, restored: RestoredSession | null): void {
    const { clock, log } = this.#deps;
    const end = decisions.at(-1)?.entry;
    if (end?.kind === "end") {
      this.#endReason = end.reason;
      this.#endedMs = clock.monotonicMs();
      return;
    }
    if (restored === null) {
      this.end("lost");
      return;
    }
    const { era, next } = restored.output.side;
    const lastNs = timeOf(era.rate, next);
    const awayMs = Number((this.#sequencer.time.taiNs - lastNs) / NS_PER_MS);
    this.#awaySinceMs = clock.monotonicMs() - Math.max(0, awayMs);
    log.info("ingest.session_restored", { awayMs, remote: facts.remote });
    this.#endWhenDue();
  }
}

/** Before the anchor, what the ladder lets expect: a worker takes longer to come than the first key frame. */
function needsOf(ladder: Channel["ladder"], renditions: readonly Rendition[] | null): GatewaySession["needs"] {
  if (renditions !== null) return { worker: !renditions.every(isCopied), packager: renditions.some(isCopied) };
  const isAllCopied = ladder === "passthrough" || (ladder !== "auto" && ladder.every((rung) => "copy" in rung));
  return { worker: !isAllCopied, packager: copies(ladder) };
}
