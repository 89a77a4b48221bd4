import type { Channel, Input } from "#media/channel.ts";
import type { EndReason, SessionNumbers, Track } from "#media/session-log/entries.ts";
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
  openSession(session: string, channel: Channel): Promise<SessionNumbers>;
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
    /** Times that media time was moved by one picture, since its source's clock is not exact. */
    driftSteps: number;
    /** How far media time is behind TAI now, compared with its anchor; negative: ahead. */
    driftMs: number;
  }>;
}>;

/** How a pull of a channel's is doing. idle: nothing fetches it now (nobody watches, or its process is being started). */
export type PullState = Readonly<{
  channel: string;
  kind: "pull";
  /** Without credentials; null before its process has said anything. */
  url: string | null;
  state: "idle" | "opening" | "connected" | "waiting";
  /** What was found, or why it waits. */
  detail: string | null;
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

/** An input that a channel is to have. */
export type WantedInput = Readonly<{ channel: string; input: Input }>;

/** How a port of a channel's own is doing. */
export type InputState = Readonly<{
  channel: string;
  kind: "tcp" | "udp";
  /** Address we listen on; of a multicast input the group. */
  host: string;
  port: number;
  /** failed: it cannot be listened on, which is tried again. stopped: the session was ended here, and its sender is not
   *  heard again before it has paused. */
  state: "opening" | "listening" | "connected" | "stopped" | "failed";
  error: Readonly<{ code: string; message: string }> | null;
  /** Who sends now. */
  remote: string | null;
  /** Of all senders since the port was opened, as far as they were listened to. */
  bytes: number;
  /** null for TCP. */
  datagrams: Readonly<{
    received: number;
    encapsulation: "none" | "rtp" | null;
    /** RTP packets that never came. */
    lost: number;
    reordered: number;
    /** RTP packets that came twice, or too late. */
    stale: number;
    /** Of another sender than the one that is heard. */
    ignored: number;
    /** That hold no transport packets. */
    malformed: number;
    /** That found no room here, while a sender waited to be admitted. */
    overflowed: number;
    /** That the system threw away for want of room; null where it does not tell. */
    dropped: number | null;
    /** Room that the system gave. */
    receiveBufferBytes: number;
  }> | null;
}>;

export interface Gateway {
  readonly rtmpPort: number;
  /** null without a certificate. */
  readonly rtmpsPort: number | null;
  /** `PUT|POST /ingest/CHANNEL.mpegts`, CMAF of others below `/ingest/CHANNEL/`, `/internal/log/...`, `/internal/pulls`. */
  readonly http: HttpHandler;
  sessions(): GatewaySession[];
  refusals(): Refusal[];
  /** The inputs that all channels are to have, whole: what is missing is opened, what is not named is closed. */
  want(inputs: readonly WantedInput[]): void;
  inputs(): InputState[];
  pulls(): PullState[];
  /** Called after any change of a state, an input, an anchor or a reader; not for each unit. @returns a function that stops it */
  onChange(listener: () => void): () => void;
  /** End it now: its publisher is disconnected. An unknown id is success. */
  stop(session: string, reason: EndReason): Promise<void>;
  /** Disconnect its publisher now; the session waits for one, as for one that was lost. An unknown id is success. */
  kick(session: string): Promise<void>;
  close(): Promise<void>;
}
