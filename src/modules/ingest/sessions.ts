// The sessions of a gateway, and the one door into them, whatever the transport: who may publish, into which session, and
// who was turned away.
import type { Clock, Timer } from "#base/clock.ts";
import { describe, PlatformError, toProblem } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { type Random, randomId } from "#base/random.ts";
import type { Channel } from "#media/channel.ts";
import type { DemuxClock, DemuxEvent } from "#media/demux.ts";
import { utcToTai } from "#media/time/tai.ts";
import type { JournalFolder } from "#platform/journal/journal.ts";
import type { IngestLimits } from "./limits.ts";
import { LiveSession, type PublisherLink, type SessionDeps } from "./live-session.ts";
import { rememberedSessions } from "./session-journal.ts";
import type { PublishAuthority, PublishRequest, Refusal } from "./types.ts";

const TICK_MS = 100;
const REFUSALS_MAX = 100;

export type SessionsDeps = Readonly<{
  clock: Clock;
  random: Random;
  log: Log;
  authority: PublishAuthority;
  journals: JournalFolder;
  limits: IngestLimits;
}>;

/** An admitted publisher's hold on its session. */
export interface Publication {
  readonly session: string;
  received(bytes: number): void;
  event(event: DemuxEvent): void;
  /** @returns what is wrong with all that it sent; null when some of it was media, or it was dismissed before */
  leave(clean: boolean): PlatformError | null;
  /** What it left in the session so far. */
  counters(): { units: number; damagedUnits: number; droppedUnits: number; continuityErrors: number };
}

export class Sessions {
  readonly #deps: SessionsDeps;
  readonly #sessionDeps: SessionDeps;
  readonly #byId = new Map<string, LiveSession>();
  /** Channels whose next session is being opened. */
  readonly #opening = new Set<string>();
  readonly #refusals: Refusal[] = [];
  readonly #listeners = new Set<() => void>();
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
    const { clock, log, journals, limits } = deps;
    this.#sessionDeps = { clock, log, journals, limits, changed: () => this.#changed() };
  }

  /** Sessions that an earlier gateway left behind. */
  async restore(): Promise<void> {
    const { journals, log } = this.#deps;
    for (const { remembered, journal } of await rememberedSessions(journals, log)) {
      try {
        this.#add(LiveSession.restore(this.#sessionDeps, remembered, journal));
      } catch (error) {
        if (!(error instanceof PlatformError)) throw error;
        log.error("ingest.session_not_restored", { session: remembered.facts.session, error });
        await journal.close();
      }
    }
  }

  get(id: string): LiveSession | undefined {
    return this.#byId.get(id);
  }

  all(): LiveSession[] {
    return [...this.#byId.values()];
  }

  refusals(): Refusal[] {
    return this.#refusals.slice();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ask for a publisher. What comes meanwhile, the transport holds back. The session is the publisher's at once when it
   *  resolves: of two that ask for one channel, one gets it.
   *  @param clock of the publisher's container
   *  @throws PlatformError publish.*; the caller tells `refused` */
  async admit(request: PublishRequest, link: PublisherLink, clock: DemuxClock): Promise<Publication> {
    const channel = await this.#deps.authority.authorize(request);
    if (this.#isClosed) throw unavailable();
    const waiting = this.#free(channel);
    if (waiting) waiting.join(link, clock);
    const session = waiting ?? (await this.#open(channel, request, (opened) => opened.join(link, clock)));
    return publication(session, link);
  }

  /** A publisher was turned away: for the log, and for those who ask why nothing comes. */
  refused(who: Pick<PublishRequest, "protocol" | "channel" | "remote">, error: PlatformError): void {
    const { clock, log } = this.#deps;
    const { protocol, channel, remote } = who;
    const { code, message } = error;
    log.warn("ingest.refused", { code, detail: describe(error), protocol, channel, remote });
    this.#refusals.push({ atNs: utcToTai(clock.utcNs()), code, message, protocol, channel, remote });
    if (this.#refusals.length > REFUSALS_MAX) this.#refusals.shift();
    this.#changed();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await Promise.all(this.all().map((session) => session.close()));
  }

  /** The channel's session that waits for a publisher; null when a new one must be opened.
   *  @throws PlatformError publish.channel_busy */
  #free(channel: Channel): LiveSession | null {
    const session = this.all().find((candidate) => candidate.channel === channel.name && !candidate.isEnded);
    if (session?.isBusy || this.#opening.has(channel.name))
      throw new PlatformError("publish.channel_busy", `Somebody publishes to ${channel.name} already.`);
    return session ?? null;
  }

  /** @param join called before anybody else can see the session */
  async #open(
    channel: Channel,
    { protocol, remote }: PublishRequest,
    join: (session: LiveSession) => void,
  ): Promise<LiveSession> {
    const { authority, random, clock, limits, log } = this.#deps;
    if (this.#byId.size >= limits.sessionsMax) throw unavailable();
    const session = randomId(random);
    this.#opening.add(channel.name);
    try {
      const { msnBase, discontinuityBase } = await authority.openSession(session, channel);
      const opened = {
        kind: "session",
        session,
        channel: channel.name,
        tenant: channel.tenant,
        msnBase,
        discontinuityBase,
        openedNs: utcToTai(clock.utcNs()),
        traceparent: traceparent(random),
      } as const;
      log.info("ingest.session_opened", { session, channel: channel.name, msnBase });
      const live = LiveSession.open(this.#sessionDeps, { session, channel, protocol, remote }, opened);
      join(live);
      return this.#add(live);
    } finally {
      this.#opening.delete(channel.name);
    }
  }

  #add(session: LiveSession): LiveSession {
    this.#byId.set(session.id, session);
    this.#arm();
    this.#changed();
    return session;
  }

  /** One timer for all, and none while there is no session. */
  #arm(): void {
    if (this.#timer !== null || this.#byId.size === 0 || this.#isClosed) return;
    this.#timer = this.#deps.clock.setTimer(TICK_MS, () => {
      this.#timer = null;
      this.#tick();
      this.#arm();
    });
  }

  #tick(): void {
    for (const session of this.all()) {
      const refused = session.tick();
      if (refused) {
        const { protocol, remote } = refused.link;
        this.refused({ protocol, remote, channel: session.channel }, refused.error);
      }
      if (session.isOver) this.#forget(session);
    }
  }

  #forget(session: LiveSession): void {
    this.#byId.delete(session.id);
    session.forget().catch((error) => {
      this.#deps.log.error("journal.not_removed", { session: session.id, ...toProblem(error), error });
    });
    this.#changed();
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function unavailable(): PlatformError {
  return new PlatformError("publish.unavailable", "This gateway takes no more sessions now; try again later.");
}

function publication(session: LiveSession, link: PublisherLink): Publication {
  return {
    session: session.id,
    received: (bytes) => session.received(link, bytes),
    event: (event) => session.event(link, event),
    leave: (clean) => session.leave(link, clean),
    counters: () => session.counters,
  };
}

/** Source: W3C Trace Context, 3.2.2: version 00, sampled */
function traceparent(random: Random): string {
  const hex = (bytes: number) => Buffer.from(random.bytes(bytes)).toString("hex");
  return `00-${hex(16)}-${hex(8)}-01`;
}
