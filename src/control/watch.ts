// Turns whole states into "this began, that ended": each look compares with the one before. Also keeps the sessions that
// the gateway has let go of, in bounded number, so that "what happened to it?" has an answer after the fact.
import type { GatewaySession, Refusal } from "#modules/ingest/types.ts";
import type { Events } from "./events.ts";
import type { SessionView } from "./views.ts";

const HISTORY_MAX = 200;

export interface Watch {
  look(sessions: readonly SessionView[], refusals: readonly Refusal[]): void;
  /** Newest first. */
  history(): readonly SessionView[];
}

export function createWatch(events: Events): Watch {
  const open = new Map<string, SessionView>();
  let history: SessionView[] = [];
  let refusedNs: bigint | null = null;

  function lookAtSession(view: SessionView): void {
    const before = open.get(view.id);
    open.set(view.id, view);
    if (before?.state === view.state) return;
    const detail = { session: view.id, channel: view.channel, message: reasonOf(view) };
    if (before === undefined)
      events.emit("session.started", { ...detail, message: `${view.protocol} from ${view.remote}` });
    if (view.state !== "starting") events.emit(`session.${view.state}`, detail);
  }

  function letGo(view: SessionView): void {
    open.delete(view.id);
    const over = view.state === "ended" || view.state === "failed";
    const last: SessionView = { ...view, state: over ? view.state : "ended", workers: [], waiters: 0 };
    history = [last, ...history].slice(0, HISTORY_MAX);
    if (!over) events.emit("session.ended", { session: view.id, channel: view.channel, message: reasonOf(view) });
  }

  /** Those newer than the newest seen. The first look only notes where it begins: a restart retells nothing. */
  function lookAtRefusals(refusals: readonly Refusal[]): void {
    const before = refusedNs;
    for (const { atNs } of refusals) if (refusedNs === null || atNs > refusedNs) refusedNs = atNs;
    refusedNs ??= 0n;
    if (before === null) return;
    const fresh = refusals.filter(({ atNs }) => atNs > before).toSorted((a, b) => (a.atNs < b.atNs ? -1 : 1));
    for (const { channel, code, message } of fresh) events.emit("publish.refused", { channel, code, message });
  }

  return {
    look(sessions, refusals) {
      for (const view of sessions) lookAtSession(view);
      const ids = new Set(sessions.map(({ id }) => id));
      for (const view of [...open.values()]) if (!ids.has(view.id)) letGo(view);
      lookAtRefusals(refusals);
    },
    history: () => history,
  };
}

const WORDS: Record<NonNullable<GatewaySession["endReason"]>, string> = {
  publisher: "the publisher ended it",
  lost: "the publisher was lost and did not return",
  stopped: "it was stopped",
  refused: "what was published is not supported",
  failed: "its media could not be made",
  limit: "it reached the channel's time limit",
};

function reasonOf({ endReason }: SessionView): string | null {
  return endReason === null ? null : WORDS[endReason];
}
