// What control needs of the other roles, whether they live in its process or on another host. Whole states, never
// events: one that was missed would be missed for ever.
import type { Channel } from "#media/channel.ts";
import type { EndReason, SessionNumbers } from "#media/session-log/entries.ts";
import type { GatewaySession, InputState, PullState, Refusal } from "#modules/ingest/types.ts";
import type { OriginSession } from "#modules/origin/types.ts";

export interface GatewayPort {
  /** null while it cannot be heard: then nothing is decided. */
  sessions(): readonly GatewaySession[] | null;
  /** The newest ones it remembers, in any order; null while it cannot be heard. */
  refusals(): readonly Refusal[] | null;
  /** Ports of channels' own; null while it cannot be heard. */
  inputs(): readonly (InputState | PullState)[] | null;
  onChange(listener: () => void): () => void;
  stop(session: string, reason: EndReason): Promise<void>;
  /** Disconnect its publisher; the session goes on waiting for one, for its grace. */
  kick(session: string): Promise<void>;
}

export interface OriginPort {
  /** For the log and for status. */
  readonly name: string;
  /** null while it cannot be heard. */
  sessions(): readonly OriginSession[] | null;
  /** Instants on control's own monotonic clock: who carries them from another process converts them. */
  audience(): readonly Readonly<{ channel: string; lastAskedMs: number }>[];
  openSession(session: string, channel: Channel): Promise<SessionNumbers>;
  onChange(listener: () => void): () => void;
}

/** Base URLs as workers reach them; null while not known. */
export type Addresses = Readonly<{
  gatewayUrl: string | null;
  originUrls: readonly string[];
  controlUrl: string | null;
}>;
