// The origin: takes CMAF, keeps the live window in memory and finished segments on disk, and serves playlists and media.
// Nothing it was told is stored can be lost by killing it: what it acknowledged is in its journals, the rest is pushed
// again by whoever made it.
import type { Clock, Timer } from "#base/clock.ts";
import { describe, PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { CHANNEL_NAME, type Channel } from "#media/channel.ts";
import type { SessionNumbers } from "#media/session-log/entries.ts";
import type { JournalFolder } from "#platform/journal/journal.ts";
import type { Keys } from "#platform/keys/keys.ts";
import { Audience } from "./audience.ts";
import { LiveChannel } from "./channel.ts";
import { Delivery } from "./delivery.ts";
import { handleIngest } from "./ingest.ts";
import {
  type EndNote,
  MediaJournal,
  readStoredSessions,
  removeStoredSession,
  type StoredSession,
} from "./media-journal.ts";
import { ChannelNumbers, channelsWithNumbers } from "./numbers.ts";
import { type OriginOptions, originDefaults } from "./options.ts";
import { handleReport, snapshotOf } from "./report.ts";
import { Session, type SessionDeps } from "./session.ts";
import type { DecisionSource, Origin } from "./types.ts";

export type OriginDeps = Readonly<{
  clock: Clock;
  log: Log;
  journals: JournalFolder;
  decisions: DecisionSource;
  keys: Keys;
  /** The channel is started by somebody asking for it. */
  onDemand: (channel: string) => boolean;
  options?: Partial<OriginOptions>;
}>;

const SESSION_ID = /^[A-Za-z0-9_-]{1,64}$/;
/** How long a new session waits for the log of the one before it to tell its end. */
const END_WAIT_MS = 2000;

/** Reads the journals back first: when it resolves, what was acknowledged before is served again. What cannot be read is
 *  logged and left alone. @throws PlatformError journal.failed when the journals cannot even be listed */
export async function createOrigin(deps: OriginDeps): Promise<Origin> {
  const host = new OriginHost(deps);
  await host.restore();
  return host.origin();
}

class OriginHost {
  readonly #deps: OriginDeps;
  readonly #options: OriginOptions;
  readonly #channels = new Map<string, LiveChannel>();
  readonly #opening = new Map<string, Promise<LiveChannel>>();
  readonly #queues = new Map<string, Promise<unknown>>();
  readonly #listeners = new Set<() => void>();
  readonly #audience = new Audience();
  readonly #waiting;
  readonly #delivery: Delivery;
  #tending: Timer | null = null;
  #closed = false;

  constructor(deps: OriginDeps) {
    this.#deps = deps;
    this.#options = { ...originDefaults, ...deps.options };
    this.#waiting = { count: 0, max: this.#options.waitersMax };
    this.#delivery = new Delivery({
      clock: deps.clock,
      options: this.#options,
      waiting: this.#waiting,
      channels: this.#channels,
      onDemand: deps.onDemand,
      audience: this.#audience,
      wanted: () => this.#changed(),
    });
    this.#tend();
  }

  origin(): Origin {
    const inside = { ...this.#deps, session: (id: string) => this.#session(id) };
    return {
      http: (request, response) =>
        this.#delivery.handle(request, response) ||
        handleReport(inside, request, response) ||
        handleIngest(inside, request, response),
      openSession: (session, channel) => this.#inOrder(channel.name, () => this.#open(session, channel)),
      sessions: () =>
        [...this.#channels.values()].flatMap((channel) => channel.sessions.map((one) => snapshotOf(one, channel))),
      audience: () => this.#audience.list(),
      onChange: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      close: () => this.#close(),
    };
  }

  #session(id: string): Session | null {
    for (const channel of this.#channels.values()) {
      const session = channel.sessions.find((one) => one.id === id);
      if (session) return session;
    }
    return null;
  }

  /** Reservations of one channel, one after the other. */
  #inOrder<T>(channel: string, work: () => Promise<T>): Promise<T> {
    const result = (this.#queues.get(channel) ?? Promise.resolve()).then(work);
    const settled = result.catch(() => {});
    this.#queues.set(channel, settled);
    settled.then(() => this.#queues.get(channel) === settled && this.#queues.delete(channel));
    return result;
  }

  async #open(id: string, channel: Channel) {
    if (!SESSION_ID.test(id) || !CHANNEL_NAME.test(channel.name))
      throw new PlatformError("api.bad_request", `Session ${JSON.stringify(id)} of ${JSON.stringify(channel.name)}.`);
    const live = await this.#channel(channel.name);
    const known = live.sessions.find((session) => session.id === id);
    const remembered = live.numbers.sessions.get(id);
    if (!known && !remembered) await this.#settleNumbers(live);
    const numbers = await live.numbers.reserve(id, channel);
    if (!known && !remembered?.closed) this.#begin(live, id, channel, numbers);
    return numbers;
  }

  /** Before numbers are reserved behind a session: how far did that one really go? Its log says it, if it is heard. */
  async #settleNumbers({ sessions, numbers }: LiveChannel): Promise<void> {
    const before = sessions.at(-1);
    if (!before || before.outcome !== null) return;
    await before.endKnown(END_WAIT_MS);
    const last = before.lastOfLog();
    if (last !== null) await numbers.close(before.id, last.msn, last.discontinuities);
  }

  #begin(live: LiveChannel, id: string, channel: Channel, numbers: SessionNumbers): void {
    const before = live.newest;
    const session = this.#makeSession(live, id, channel, numbers, []);
    if (before?.outcome === null) {
      session.waitsFor = before;
      before.hurry();
    }
    live.sessions.push(session);
    session.follow();
    this.#delivery.opened(live);
    this.#changed();
  }

  #makeSession(
    live: LiveChannel,
    id: string,
    channel: Channel,
    numbers: SessionNumbers,
    stretches: readonly number[],
  ): Session {
    const { clock, decisions, journals } = this.#deps;
    const log = this.#deps.log.child({ session: id, channel: channel.name });
    const deps: SessionDeps = {
      clock,
      log,
      decisions,
      options: this.#options,
      journal: (session) =>
        new MediaJournal({
          folder: journals,
          log,
          session: id,
          stretchSegments: this.#options.stretchSegments,
          note: () => session.note(),
          init: (name, era) => session.tracks.get(name)?.inits.get(era)?.bytes ?? null,
          known: stretches,
        }),
      published: (session, track) => live.published(session, track),
      replanned: (session) => this.#replanned(live, session),
      shown: (msn, discontinuities) => live.numbers.shown(msn, discontinuities),
      lastMsn: (session) => this.#lastMsn(live, session),
      sealed: (session) => this.#sealed(live, session),
      changed: () => this.#changed(),
    };
    return new Session(id, channel, numbers, deps);
  }

  #replanned(live: LiveChannel, session: Session): void {
    const before = live.sessions[live.sessions.indexOf(session) - 1];
    // Several origins agree on the highest base: the numbers below it were never shown here, and must join up.
    if (before && before.outcome !== null && session.highestShown < session.msnBase) before.fillTo(session.msnBase - 1);
    live.replanned(session);
  }

  /** Up to where all playlists of a session that is over must go, so that the next one's numbers follow. */
  #lastMsn(live: LiveChannel, session: Session): number {
    const after = live.sessions[live.sessions.indexOf(session) + 1];
    if (after) return after.msnBase - 1;
    const ofLog = session.lastOfLog()?.msn ?? null;
    if (session.outcome === "complete") return ofLog ?? session.highestShown;
    // What a process before this one may have shown, only the reservation tells.
    const shown = session.wasRestored ? live.numbers.listedTo : session.highestShown;
    return ofLog === null ? shown : Math.min(shown, ofLog);
  }

  #sealed(live: LiveChannel, session: Session): void {
    const { clock, log } = this.#deps;
    const lastMsn = this.#lastMsn(live, session);
    const note: EndNote = {
      kind: "end",
      state: session.outcome!,
      lastMsn,
      discontinuities: session.discontinuitiesSoFar,
      endedUtcNs: String(clock.utcNs()),
    };
    log.info("session over", { session: session.id, channel: live.name, state: note.state, lastMsn });
    const failed = (error: unknown) =>
      log.error("end not journalled", { session: session.id, code: "journal.failed", reason: describe(error) });
    live.numbers.close(session.id, lastMsn, note.discontinuities).catch(failed);
    if (session.tracks.size > 0) session.journal.saveEnd(note, lastMsn - session.msnBase).catch(failed);
    session.saving.retry();
    for (const later of live.sessions)
      if (later.waitsFor === session) {
        later.waitsFor = null;
        later.advance();
      }
    live.releaseStarting();
    this.#changed();
  }

  async #channel(name: string): Promise<LiveChannel> {
    const known = this.#channels.get(name);
    if (known) return known;
    const opening = this.#opening.get(name) ?? this.#openChannel(name);
    this.#opening.set(name, opening);
    try {
      return await opening;
    } finally {
      this.#opening.delete(name);
    }
  }

  async #openChannel(name: string): Promise<LiveChannel> {
    const { clock, journals, log } = this.#deps;
    const numbers = await ChannelNumbers.open(journals, name, this.#options.numbersBlock, log.child({ channel: name }));
    const live = new LiveChannel({ name, numbers, clock, options: this.#options, waiting: this.#waiting });
    this.#channels.set(name, live);
    return live;
  }

  /** Take back what the journals hold. */
  async restore(): Promise<void> {
    const { journals, log, clock } = this.#deps;
    const stored = await readStoredSessions(journals, log);
    stored.sort((a, b) => a.note.msnBase - b.note.msnBase);
    const now = clock.utcNs();
    for (const one of stored) {
      const endedNs = one.end && BigInt(one.end.endedUtcNs);
      const keepNs = BigInt(this.#options.endedKeepMs) * 1_000_000n;
      if (endedNs !== null && now - endedNs > keepNs)
        await this.#restoring(one.note.session, () => removeStoredSession(journals, one));
      else await this.#restoring(one.note.session, () => this.#restoreSession(one));
    }
    for (const name of await channelsWithNumbers(journals))
      await this.#restoring(name, async () => this.#restoreOpen(await this.#channel(name)));
    for (const live of this.#channels.values()) this.#resume(live);
  }

  /** What of one channel cannot be taken back costs that channel, and no other. It is tried again when it is needed. */
  async #restoring(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      this.#deps.log.error("not restored", { what, code: error.code, reason: describe(error) });
    }
  }

  async #restoreSession(stored: StoredSession): Promise<void> {
    const { note, stretches } = stored;
    const live = await this.#channel(note.channel.name);
    const session = this.#makeSession(live, note.session, note.channel, note, stretches);
    session.restore(stored);
    live.sessions.push(session);
    for (const track of session.tracks.values()) live.published(session, track);
  }

  /** A session that was opened and had nothing on disk yet. */
  async #restoreOpen(live: LiveChannel): Promise<void> {
    for (const { opened, closed } of live.numbers.sessions.values()) {
      if (closed || live.sessions.some(({ id }) => id === opened.session)) continue;
      const session = this.#makeSession(live, opened.session, opened.channel, opened, []);
      session.wasRestored = true;
      live.sessions.push(session);
    }
    live.sessions.sort((a, b) => a.msnBase - b.msnBase);
  }

  /** Only the newest session of a channel can still go on. */
  #resume(live: LiveChannel): void {
    for (const session of live.sessions.slice(0, -1)) session.seal("abandoned");
    if (live.newest?.outcome === null) live.newest.follow();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #tend(): void {
    this.#tending = this.#deps.clock.setTimer(this.#options.tendMs, () => {
      void this.#tendAll().finally(() => this.#closed || this.#tend());
    });
  }

  async #tendAll(): Promise<void> {
    const { clock, log } = this.#deps;
    for (const live of this.#channels.values()) {
      try {
        for (const session of await live.tend(clock.monotonicMs())) {
          await session.close();
          await session.journal.removeAll();
          this.#changed();
        }
      } catch (error) {
        log.error("journal not tidied", { channel: live.name, code: "journal.failed", reason: describe(error) });
      }
    }
  }

  async #close(): Promise<void> {
    this.#closed = true;
    this.#tending?.cancel();
    for (const live of this.#channels.values()) {
      for (const session of live.sessions) await session.close();
      await live.numbers.end();
    }
  }
}
