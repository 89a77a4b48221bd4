// What control remembers between two passes: instants and counts that no other process can tell it again. Losing it with
// a restart costs a back-off or a second of waiting, never a session.
import type { OriginSession } from "#modules/origin/types.ts";
import type { Running } from "#platform/placement/placement.ts";
import { FAILURE_WINDOW_MS } from "./backoff.ts";
import type { SessionNote, SessionState } from "./plan.ts";
import { FAILURES_KEPT_MAX } from "./plan.ts";

type Note = { -readonly [K in keyof SessionNote]: SessionNote[K] } & { lastPartNs: bigint | null };
type MediaState = Pick<OriginSession, "id" | "lastPartNs">;
export type Given = { session: string; toldMs: number; tokenMs: number };
export type SourceNote = { lastStartMs: number | null; failuresMs: number[] };

export class ControlMemory {
  readonly notes = new Map<string, Note>();
  /** Channel of each session there is. */
  readonly channelOf = new Map<string, string>();
  /** Which worker was given which session. */
  readonly given = new Map<string, Given>();
  /** Workers that were told to leave, and when. */
  readonly released = new Map<string, number>();
  readonly sources = new Map<string, SourceNote>();
  poolFailuresMs: number[] = [];
  packagerFailuresMs: number[] = [];
  lastTakenMs: number | null = null;
  readonly #since = new Map<string, { phase: Running["phase"]; sinceMs: number }>();

  note(session: string): Note {
    const known = this.notes.get(session);
    if (known) return known;
    const note: Note = { endedMs: null, failed: false, failuresMs: [], lastPartNs: null };
    this.notes.set(session, note);
    return note;
  }

  /** Learn which sessions there are; what is said of others is forgotten. */
  observeSessions(sessions: readonly SessionState[], nowMs: number): void {
    const ids = new Set(sessions.map(({ id }) => id));
    for (const id of this.notes.keys()) if (!ids.has(id)) this.notes.delete(id);
    this.channelOf.clear();
    for (const { id, state, channel } of sessions) {
      this.channelOf.set(id, channel);
      const note = this.note(id);
      note.endedMs = state === "ended" ? (note.endedMs ?? nowMs) : null;
    }
  }

  /** A session that got a part since its last worker broke does not suffer from its input: its failures are forgotten. */
  observeMedia(origins: readonly (readonly MediaState[] | null)[]): void {
    for (const { id, lastPartNs } of origins.flatMap((list) => list ?? [])) {
      const note = this.notes.get(id);
      if (!note || lastPartNs === null || (note.lastPartNs !== null && lastPartNs <= note.lastPartNs)) continue;
      note.lastPartNs = lastPartNs;
      note.failuresMs = [];
    }
  }

  /** The same list with `sinceMs` on our clock: another process's monotonic time says nothing here. */
  observeRunning(running: readonly Running[], nowMs: number): Running[] {
    const ids = new Set(running.map(({ id }) => id));
    for (const id of this.#since.keys()) if (!ids.has(id)) this.#since.delete(id);
    return running.map((entry) => {
      const known = this.#since.get(entry.id);
      const sinceMs = known?.phase === entry.phase ? known.sinceMs : nowMs;
      this.#since.set(entry.id, { phase: entry.phase, sinceMs });
      return { ...entry, sinceMs };
    });
  }

  forgetWorker(id: string): void {
    this.given.delete(id);
    this.released.delete(id);
  }

  /** A worker broke. @param sessions that suffered; `pooled`: it had none of its own */
  countFailure(sessions: readonly string[], pooled: boolean, nowMs: number): void {
    if (pooled) this.poolFailuresMs = addFailure(this.poolFailuresMs, nowMs);
    for (const session of sessions) {
      const note = this.note(session);
      note.failuresMs = addFailure(note.failuresMs, nowMs);
    }
  }

  /** A packager broke. @param sessions that it had and that need it; `pooled`: it made nothing of any */
  countPackagerFailure(sessions: readonly string[], pooled: boolean, nowMs: number): void {
    if (pooled) this.packagerFailuresMs = addFailure(this.packagerFailuresMs, nowMs);
    this.countFailure(sessions, false, nowMs);
  }

  source(id: string): SourceNote {
    const known = this.sources.get(id);
    if (known) return known;
    const note: SourceNote = { lastStartMs: null, failuresMs: [] };
    this.sources.set(id, note);
    return note;
  }

  countSourceFailure(id: string, nowMs: number): void {
    const note = this.source(id);
    note.failuresMs = addFailure(note.failuresMs, nowMs);
  }
}

function addFailure(failuresMs: readonly number[], nowMs: number): number[] {
  return [...failuresMs.filter((atMs) => nowMs - atMs < FAILURE_WINDOW_MS), nowMs].slice(-FAILURES_KEPT_MAX);
}
