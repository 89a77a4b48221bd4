import type { Channel } from "#media/channel.ts";
import type { Decision, Positioned, SessionNumbers } from "#media/session-log/entries.ts";
import type { HttpHandler } from "#platform/network/http.ts";

/** Decisions of a session's log, as the origin reads them. */
export interface DecisionSource {
  /** From that position on, until the log has ended or `signal` aborts. Reconnects by itself while the log exists.
   *  @throws PlatformError log.unknown_session when the gateway knows no such session */
  decisions(session: string, from: number, signal: AbortSignal): AsyncIterable<Positioned<Decision>>;
  /** Everything before that instant is stored in all renditions: the gateway may let go of it. Best effort. */
  storedThrough(session: string, timeNs: bigint): void;
}

/** Whole state of one session as the origin sees it. */
export type OriginSession = Readonly<{
  id: string;
  channel: string;
  /** open: media may come. complete: everything up to the log's end is stored. abandoned: it ended and some is missing. */
  state: "open" | "complete" | "abandoned";
  renditions: readonly Readonly<{
    name: string;
    /** First frame, on the newest era's grid, that is not stored; null before the first init segment. */
    nextFrame: number | null;
    parts: number;
    segments: number;
    gaps: number;
    bytes: number;
    /** Newest part: its last frame's age when it was published, ms. */
    partAgeMs: number | null;
  }>[];
  /** Parts of equal name and unequal bytes that were turned away. */
  copiesThatDiffer: number;
  waiters: number;
  firstPartNs: bigint | null;
  lastPartNs: bigint | null;
}>;

export interface Origin {
  /** `/live/...`, `POST|PUT /ingest/CHANNEL/...`, `/internal/origin/...`. */
  readonly http: HttpHandler;
  /** Reserve numbers above everything a playlist of the channel may have shown, and start to follow the session's log.
   *  Durable before it resolves. The same session twice gives the same answer. */
  openSession(session: string, channel: Channel): Promise<SessionNumbers>;
  sessions(): OriginSession[];
  /** Which channels are asked for, and when they were asked for last (monotonic ms): what on-demand sources run by. */
  audience(): readonly Readonly<{ channel: string; lastAskedMs: number }>[];
  /** Called when there is news of a session, or somebody asks for a channel that has nothing live. Parts are no news: with
   *  many streams there is one every few milliseconds, and who counts them looks at `sessions` when it wants to know. */
  onChange(listener: () => void): () => void;
  close(): Promise<void>;
}
