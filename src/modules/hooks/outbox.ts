// Events on their way to customers' servers: written down before they count as told, sent until they are taken or a day has
// passed, those of one session in their order. At least once: a receiver that sees an id twice has seen one event.
import type { Clock } from "#base/clock.ts";
import { describe } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { randomId } from "#base/random.ts";
import type { JournalFolder } from "#platform/journal/journal.ts";
import { type Entry, EventJournal } from "./event-journal.ts";
import { isoNow, utcSeconds } from "./instant.ts";
import { SIGNATURE_HEADER, signature } from "./sign.ts";
import { isOver, newsOf, type SeenSession, type Told } from "./told.ts";
import type { EventHook, Post, StreamEvent } from "./types.ts";

const ATTEMPT_MS = 10_000;
const RETRY_MS_MIN = 1000;
const RETRY_MS_MAX = 600_000;
const GIVE_UP_SECONDS = 86_400;
const WAITING_MAX = 1000;
const SESSIONS_AT_ONCE = 8;
/** Records that wait for the disk: beyond it refusals, which strangers can cause at will, are only counted. */
const UNWRITTEN_MAX = 10_000;
/** Sessions that are over are remembered, so that nobody hears of them again. */
const OVER_KEPT_MAX = 500;

export type HookState = Readonly<{
  url: string;
  types: readonly string[];
  pending: number;
  delivered: number;
  /** Given up: a day old, or too many waited. */
  dead: number;
  lastError: string | null;
  /** ISO 8601; null when nothing waits. */
  nextAttemptAt: string | null;
}>;

export interface Outbox {
  /** @param gone whether a session that is missing is over */
  look(sessions: readonly SeenSession[], gone: boolean): void;
  refused(data: { channel: string | null; code: string | null; message: string | null }): void;
  /** An event of type hooks.test to every target, whatever types it wants. */
  test(): void;
  states(): HookState[];
  close(): Promise<void>;
}

type Waiting = { event: StreamEvent; sinceSeconds: number; attempts: number; dueMs: number; sending: boolean };

type Target = { hook: EventHook; waiting: Waiting[]; delivered: number; dead: number; lastError: string | null };

export type OutboxDeps = Readonly<{
  clock: Clock;
  random: Random;
  log: Log;
  hooks: readonly EventHook[];
  journals: JournalFolder;
  post: Post;
}>;

/** @throws PlatformError journal.failed when what an earlier process left cannot be read (a disk that takes no more is
 *  no reason) */
export async function openOutbox(deps: OutboxDeps): Promise<Outbox> {
  const outbox = new JournaledOutbox(deps);
  await outbox.open();
  return outbox;
}

class JournaledOutbox implements Outbox {
  readonly #deps: OutboxDeps;
  readonly #targets: Map<string, Target>;
  readonly #told = new Map<string, Told>();
  readonly #journal: EventJournal;
  /** Refusals that nobody was told of, since the last one that somebody was. */
  #omitted = 0;
  #timer: ReturnType<Clock["setTimer"]> | null = null;
  #closed = false;

  constructor(deps: OutboxDeps) {
    this.#deps = deps;
    this.#journal = new EventJournal({ ...deps, counting: () => this.#counting() });
    this.#targets = new Map(
      deps.hooks.map((hook) => [hook.url, { hook, waiting: [], delivered: 0, dead: 0, lastError: null }]),
    );
  }

  async open(): Promise<void> {
    await this.#journal.open((entry) => this.#restore(entry));
    this.#wake();
  }

  look(sessions: readonly SeenSession[], gone: boolean): void {
    for (const { session, told, seen } of newsOf(sessions, this.#told, gone)) {
      this.#told.set(session, told);
      const { type, count, channel, tenant } = told;
      const data = seen ? { protocol: seen.protocol, remote: seen.remote, reason: seen.endReason } : {};
      this.#emit({ id: `${session}.${count}`, type, at: isoNow(this.#deps.clock), channel, tenant, session, data });
      // After the event: a kill between the two says it twice, and the other way round it would never be said.
      this.#journal.write({ kind: "told", session, told });
    }
    this.#forgetOver();
  }

  refused({ channel, code, message }: { channel: string | null; code: string | null; message: string | null }): void {
    if (this.#journal.waiting >= UNWRITTEN_MAX) {
      this.#omitted += 1;
      return;
    }
    const data = { code, message, ...(this.#omitted > 0 ? { omitted: this.#omitted } : {}) };
    this.#omitted = 0;
    const event = { type: "publish.refused", channel, tenant: null, session: null, data } as const;
    this.#emit({ id: randomId(this.#deps.random, 16), at: isoNow(this.#deps.clock), ...event });
  }

  test(): void {
    const event = { type: "hooks.test", channel: null, tenant: null, session: null, data: {} } as const;
    this.#emit({ id: `test.${randomId(this.#deps.random)}`, at: isoNow(this.#deps.clock), ...event });
  }

  states(): HookState[] {
    const { clock } = this.#deps;
    return [...this.#targets.values()].map(({ hook, waiting, delivered, dead, lastError }) => {
      const nextMs = Math.min(...waiting.map(({ dueMs }) => dueMs));
      const inMs = nextMs - clock.monotonicMs();
      const nextAttemptAt =
        waiting.length === 0 ? null : new Date(utcSeconds(clock) * 1000 + Math.max(0, inMs)).toISOString();
      const { url, types } = hook;
      return { url: withoutQuery(url), types, pending: waiting.length, delivered, dead, lastError, nextAttemptAt };
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#journal.close();
  }

  #emit(event: StreamEvent): void {
    const wanting = [...this.#targets.values()].filter(
      ({ hook }) => event.type === "hooks.test" || hook.types.includes(event.type),
    );
    if (wanting.length === 0) return;
    const at = utcSeconds(this.#deps.clock);
    this.#journal.write({ kind: "event", event, targets: wanting.map(({ hook }) => hook.url), at });
    for (const target of wanting) this.#enqueue(target, event, at);
    this.#wake();
  }

  #enqueue(target: Target, event: StreamEvent, sinceSeconds: number): void {
    target.waiting.push({ event, sinceSeconds, attempts: 0, dueMs: this.#deps.clock.monotonicMs(), sending: false });
    if (target.waiting.length <= WAITING_MAX) return;
    // Strangers can have themselves refused as often as they like: that must not cost the news of a stream.
    const free = target.waiting.filter(({ sending }) => !sending);
    const oldest = free.find((waiting) => waiting.event.type === "publish.refused") ?? free[0];
    if (oldest) this.#giveUp(target, oldest, "too many events wait");
  }

  /** Heads of sessions that are due, some at once; the rest later. */
  #wake(): void {
    if (this.#closed) return;
    this.#timer?.cancel();
    const nowMs = this.#deps.clock.monotonicMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const target of this.#targets.values()) {
      let sending = target.waiting.filter((waiting) => waiting.sending).length;
      for (const waiting of heads(target.waiting)) {
        if (waiting.sending || sending >= SESSIONS_AT_ONCE) continue; // whichever is answered first wakes the next
        if (waiting.dueMs > nowMs) nextMs = Math.min(nextMs, waiting.dueMs);
        else {
          sending += 1;
          void this.#send(target, waiting);
        }
      }
    }
    if (nextMs !== Number.POSITIVE_INFINITY)
      this.#timer = this.#deps.clock.setTimer(nextMs - nowMs, () => this.#wake());
  }

  /** Never rejects. */
  async #send(target: Target, waiting: Waiting): Promise<void> {
    const { clock, post } = this.#deps;
    waiting.sending = true;
    waiting.attempts += 1;
    const body = JSON.stringify(waiting.event);
    const headers = {
      "content-type": "application/json",
      "x-continuity-delivery": waiting.event.id,
      [SIGNATURE_HEADER]: signature(target.hook.secret, utcSeconds(clock), body),
    };
    let error: string | null = null;
    try {
      const { status } = await post(target.hook.url, body, headers, ATTEMPT_MS);
      if (status < 200 || status >= 300) error = `it answered ${status}`;
    } catch (reason) {
      error = describe(reason);
    }
    waiting.sending = false;
    if (this.#closed) return;
    if (error === null) {
      target.delivered += 1;
      this.#done(target, waiting);
    } else {
      target.lastError = error;
      const waitMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** (waiting.attempts - 1));
      waiting.dueMs = clock.monotonicMs() + waitMs * (0.75 + this.#deps.random.next() / 2);
      if (utcSeconds(clock) - waiting.sinceSeconds > GIVE_UP_SECONDS) this.#giveUp(target, waiting, error);
    }
    this.#wake();
  }

  #giveUp(target: Target, waiting: Waiting, reason: string): void {
    target.dead += 1;
    const { id, type } = waiting.event;
    this.#deps.log.error("hooks.event_given_up", { url: withoutQuery(target.hook.url), id, type, reason });
    this.#done(target, waiting);
  }

  #done(target: Target, waiting: Waiting): void {
    target.waiting.splice(target.waiting.indexOf(waiting), 1);
    this.#journal.write({ kind: "done", id: waiting.event.id, target: target.hook.url });
  }

  #restore(entry: Entry): void {
    if (entry.kind === "told") this.#told.set(entry.session, entry.told);
    else if (entry.kind === "event")
      for (const url of entry.targets) {
        const target = this.#targets.get(url); // one that is no longer configured hears nothing more
        if (target && !target.waiting.some(({ event }) => event.id === entry.event.id))
          this.#enqueue(target, entry.event, entry.at);
      }
    else {
      const target = this.#targets.get(entry.target);
      const at = target?.waiting.findIndex(({ event }) => event.id === entry.id) ?? -1;
      if (at >= 0) target!.waiting.splice(at, 1);
    }
  }

  /** What another process would have to know if this one ended now. */
  #counting(): Entry[] {
    const events = new Map<string, { event: StreamEvent; targets: string[]; at: number }>();
    for (const { hook, waiting } of this.#targets.values())
      for (const { event, sinceSeconds } of waiting) {
        const known = events.get(event.id) ?? { event, targets: [], at: sinceSeconds };
        known.targets.push(hook.url);
        events.set(event.id, known);
      }
    return [
      ...[...this.#told].map(([session, told]) => ({ kind: "told", session, told }) as const),
      ...[...events.values()].map((known) => ({ kind: "event", ...known }) as const),
    ];
  }

  #forgetOver(): void {
    const over = [...this.#told].filter(([, { type }]) => isOver(type));
    for (const [session] of over.slice(0, Math.max(0, over.length - OVER_KEPT_MAX))) this.#told.delete(session);
  }
}

/** The first event of each session, in order; each without a session stands for itself. */
function heads(waiting: readonly Waiting[]): Waiting[] {
  const seen = new Set<string>();
  return waiting.filter(({ event }) => {
    if (event.session === null) return true;
    if (seen.has(event.session)) return false;
    seen.add(event.session);
    return true;
  });
}

/** A query may hold a token. */
const withoutQuery = (url: string): string => url.split("?", 1)[0]!;
