import type { Channel } from "#media/channel.ts";
import type { EndReason, Track } from "#media/session-log/entries.ts";
import type { Rate } from "#media/time/rate.ts";
import type { HttpHandler } from "#platform/network/http.ts";

export type Protocol = "rtmp" | "rtmps" | "mpegts" | "mpegts-tcp" | "mpegts-udp" | "cmaf" | "pull";

/** What a publisher asked for, before anything about it is believed. */
export type PublishRequest = Readonly<{
  protocol: Protocol;
  /** It came in by a port or a pull of the channel's own: no key is needed. */
  byInput: boolean;
  /** Channel name as given, or null when the URL held a key alone (`rtmp://host/live/KEY`). */
  channel: string | null;
  /** RTMP application and stream name as given, for channels mapped by rtmpPath. */
  rtmpPath: string | null;
  key: string | null;
  remote: string;
}>;

/** Who may publish where. The gateway asks for each publisher, also for one that returns. */
export interface PublishAuthority {
  /** @throws PlatformError publish.key_refused, publish.channel_unknown, publish.unavailable */
  authorize(request: PublishRequest): Promise<Channel>;
  /** Reserve numbering for a new session and tell its origins. Called once the channel is known to be free.
   *  @throws PlatformError publish.unavailable */
  openSession(session: string, channel: Channel): Promise<Readonly<{ msnBase: number; discontinuityBase: number }>>;
}

/** Whole state of one session as the gateway sees it. */
export type GatewaySession = Readonly<{
  id: string;
  channel: string;
  tenant: string;
  /** starting: no anchor yet. interrupted: the publisher is away, within its grace. ended: the log holds its end. */
  state: "starting" | "live" | "interrupted" | "ended";
  endReason: EndReason | null;
  protocol: PublishRequest["protocol"];
  remote: string;
  openedNs: bigint;
  /** TAI of the first frame; null while starting. */
  anchorNs: bigint | null;
  msnBase: number;
  tracks: readonly Track[];
  /** What has to make its renditions; before the anchor, what the channel's ladder lets expect. */
  needs: Readonly<{ worker: boolean; packager: boolean }>;
  rate: Rate | null;
  /** Log positions held: [first, next). */
  log: Readonly<{ first: number; next: number; bytes: number; readers: number }>;
  counters: Readonly<{
    bytesIn: number;
    units: number;
    damagedUnits: number;
    droppedUnits: number;
    continuityErrors: number;
    holes: number;
    readersCut: number;
    returns: number;
  }>;
}>;

/** Why a publisher was turned away, for the API and the console. */
export type Refusal = Readonly<{
  atNs: bigint;
  code: string;
  message: string;
  protocol: string;
  channel: string | null;
  remote: string;
}>;

export interface Gateway {
  readonly rtmpPort: number;
  /** `PUT|POST /ingest/CHANNEL.mpegts` and `/internal/log/...`. */
  readonly http: HttpHandler;
  sessions(): GatewaySession[];
  refusals(): Refusal[];
  /** Called after any change of a state, an anchor or a reader; not for each unit. @returns a function that stops it */
  onChange(listener: () => void): () => void;
  /** End it now: its publisher is disconnected. An unknown id is success. */
  stop(session: string, reason: EndReason): Promise<void>;
  close(): Promise<void>;
}
