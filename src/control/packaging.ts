// What control remembers of packagers and says to them. Each message is a wish that may come twice; what a packager
// reports is the truth.
import type { Clock } from "#base/clock.ts";
import type { PackagedSession, PackagerState } from "./plan-packagers.ts";
import type { FromControl } from "./worker-protocol.ts";
import type { WorkerRecord } from "./workers.ts";

type Given = { toldMs: number; tokenMs: number };
type Memory = {
  /** Sessions it was given, and not told to drop since. */
  given: Map<string, Given>;
  /** Sessions it was told to drop and still reports. */
  dropped: Map<string, { toldMs: number }>;
  busyMs: number;
};

/** A wish that is not confirmed is said again. */
const TELL_AGAIN_MS = 1000;

export type PackagingDeps = Readonly<{
  clock: Clock;
  workers: Readonly<{ list(): WorkerRecord[]; send(id: string, message: FromControl): boolean }>;
  /** @returns null while the other roles' addresses are not known */
  assignment: (session: string) => Promise<FromControl | null>;
  token: (session: string) => Promise<string>;
  tokenRenewMs: number;
}>;

export const isPackager = ({ hello }: WorkerRecord): boolean => hello.role === "package";

export function createPackaging({ clock, workers, assignment, token, tokenRenewMs }: PackagingDeps) {
  const memories = new Map<string, Memory>();

  function memoryOf(id: string): Memory {
    const known = memories.get(id);
    if (known) return known;
    const fresh: Memory = { given: new Map(), dropped: new Map(), busyMs: clock.monotonicMs() };
    memories.set(id, fresh);
    return fresh;
  }

  function sessionsOf({ id, packaging }: WorkerRecord): PackagedSession[] {
    const { given, dropped } = memoryOf(id);
    const reported = new Map((packaging?.sessions ?? []).map((entry) => [entry.session, entry]));
    for (const session of dropped.keys()) if (!reported.has(session)) dropped.delete(session);
    const said = [...reported.values()].map(
      ({ session, phase, frame }): PackagedSession => ({
        session,
        frame,
        phase: dropped.has(session) ? "leaving" : phase,
      }),
    );
    const unsaid = [...given.keys()].filter((session) => !reported.has(session));
    return [...said, ...unsaid.map((session): PackagedSession => ({ session, phase: "given", frame: null }))];
  }

  return {
    /** @param copies one is to be kept */
    states(copies: boolean): PackagerState[] {
      return workers
        .list()
        .filter(isPackager)
        .map((record, place) => {
          const sessions = sessionsOf(record);
          const memory = memoryOf(record.id);
          if (sessions.length > 0 || (copies && place === 0)) memory.busyMs = clock.monotonicMs();
          const { id, connected, heardMs } = record;
          return { id, connected, heardMs, sessions, busyMs: memory.busyMs };
        });
    },
    /** @returns false when its line just broke: the next pass takes another */
    async give(packager: string, session: string): Promise<boolean> {
      const message = await assignment(session);
      if (message === null || !workers.send(packager, message)) return false;
      const nowMs = clock.monotonicMs();
      memoryOf(packager).given.set(session, { toldMs: nowMs, tokenMs: nowMs });
      return true;
    },
    drop(packager: string, session: string): void {
      const { given, dropped } = memoryOf(packager);
      given.delete(session);
      dropped.set(session, { toldMs: clock.monotonicMs() });
      workers.send(packager, { kind: "drop", session });
    },
    forget: (packager: string) => void memories.delete(packager),
    /** Says again what was not heard, and renews tokens. @param alive sessions that the gateway still has */
    async keepTold(alive: ReadonlySet<string>): Promise<void> {
      for (const { id, connected, packaging } of workers.list().filter(isPackager)) {
        if (!connected) continue;
        const { given, dropped } = memoryOf(id);
        const reported = new Set(packaging?.sessions.map(({ session }) => session));
        const nowMs = clock.monotonicMs();
        for (const [session, told] of dropped) {
          if (nowMs - told.toldMs < TELL_AGAIN_MS) continue;
          told.toldMs = nowMs;
          workers.send(id, { kind: "drop", session });
        }
        for (const [session, told] of given) {
          if (!alive.has(session)) {
            if (!reported.has(session)) given.delete(session);
          } else if (!reported.has(session) && nowMs - told.toldMs >= TELL_AGAIN_MS) {
            told.toldMs = nowMs;
            const message = await assignment(session);
            if (message !== null) workers.send(id, message);
          } else if (reported.has(session) && nowMs - told.tokenMs >= tokenRenewMs) {
            if (workers.send(id, { kind: "token", session, token: await token(session) })) told.tokenMs = nowMs;
          }
        }
      }
    },
  };
}
