// A new session's numbers: each origin reserves above everything it may have shown, and the highest answer holds for all.
import type { Clock } from "#base/clock.ts";
import { describe, PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Channel } from "#media/channel.ts";
import type { SessionNumbers } from "#media/session-log/entries.ts";
import type { OriginPort } from "./ports.ts";

/** A publisher waits for this; an origin answers after one fsync. */
const ANSWER_LIMIT_MS = 3000;

/** One origin that is away must not keep a publisher out: it is told when it is heard again.
 *  @throws PlatformError publish.unavailable when no origin answers */
export async function openAtOrigins(
  origins: readonly Pick<OriginPort, "name" | "openSession">[],
  session: string,
  channel: Channel,
  { clock, log }: { clock: Clock; log: Log },
): Promise<SessionNumbers> {
  const answers = await Promise.allSettled(
    origins.map((origin) => within(clock, ANSWER_LIMIT_MS, origin.openSession(session, channel))),
  );
  const numbers: SessionNumbers[] = [];
  const reasons: string[] = [];
  for (const [index, answer] of answers.entries()) {
    if (answer.status === "fulfilled") numbers.push(answer.value);
    else {
      reasons.push(`${origins[index]!.name}: ${describe(answer.reason)}`);
      log.warn("an origin does not take a new session", {
        session,
        origin: origins[index]!.name,
        error: answer.reason,
      });
    }
  }
  if (numbers.length === 0)
    throw new PlatformError(
      "publish.unavailable",
      `No origin takes new sessions (${reasons.join("; ") || "there is none"}).`,
    );
  return {
    msnBase: Math.max(...numbers.map(({ msnBase }) => msnBase)),
    discontinuityBase: Math.max(...numbers.map(({ discontinuityBase }) => discontinuityBase)),
  };
}

function within<T>(clock: Clock, limitMs: number, work: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const late = () => reject(new PlatformError("publish.unavailable", `No answer within ${limitMs} ms.`));
    const timer = clock.setTimer(limitMs, late);
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}
