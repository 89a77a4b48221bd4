// A channel: what an operator configures once and every session of it obeys. Defaults are those of `channelDefaults`.

/** One asked-for rung: encoded (missing values are chosen from the source; nothing is ever scaled up), or the source's own
 *  pictures as they are. */
export type Rung = Readonly<{ height: number; codec?: "h264"; bitrateKbps?: number }> | Readonly<{ copy: true }>;

/** Where media of a channel comes in besides the doors that all channels share. Whoever reaches a port of a channel may
 *  publish on it: it takes no key. */
export type Input =
  /** MPEG-TS over TCP: an encoder connects to the port. */
  | Readonly<{ kind: "tcp"; port: number; host?: string }>
  /** MPEG-TS over UDP, bare or in RTP (RFC 2250; told apart by the bytes). With `group` a multicast group is joined, with
   *  `source` only that sender's (source-specific). `interface`: the local address to join on. */
  | Readonly<{ kind: "udp"; port: number; host?: string; group?: string; source?: string; interface?: string }>
  /** We fetch it: rtmp, rtmps, rtsp, http(s) transport stream or HLS. `onDemand`: only while somebody watches. */
  | Readonly<{ kind: "pull"; url: string; onDemand?: boolean }>;

/** A port of the channel's own. */
export type PortInput = Exclude<Input, { kind: "pull" }>;
export type PullInput = Extract<Input, { kind: "pull" }>;

/** What a publisher may send; null: no bound of its own. */
export type ChannelLimits = Readonly<{
  bitrateKbps: number | null;
  /** Of the picture's short side. */
  height: number | null;
  /** A session ends after so long. */
  durationSeconds: number | null;
}>;

export type Channel = Readonly<{
  /** 1 to 64 of a-z, 0-9, "-", "_"; begins with a letter or digit. */
  name: string;
  tenant: string;
  /** auto: encoded rungs that fit the source. passthrough: the source's pictures and sound as they are. */
  ladder: "auto" | "passthrough" | readonly Rung[];
  /** What happens to a stream that cannot be copied as the ladder asks (open groups of pictures, key frames too far apart,
   *  a codec that players do not take): it is encoded, or turned away. */
  copyFallback: "transcode" | "refuse";
  /** Key frame distance that publishers are held to when their stream is copied; null: any up to 10 s. It sets
   *  EXT-X-TARGETDURATION, which cannot change later. */
  gopSeconds: number | null;
  segmentSeconds: number;
  partSeconds: number;
  /** Segments a live playlist lists. */
  windowSegments: number;
  /** How long a lost publisher may stay away before the session ends. */
  lossGraceSeconds: number;
  /** How long after a clean end the same publisher may come back into the session. */
  endGraceSeconds: number;
  /** `rtmp://host/APP/NAME` that shall lead here, for encoders whose URL cannot change; null: only /live/NAME. */
  rtmpPath: string | null;
  inputs: readonly Input[];
  limits: ChannelLimits;
  /** Where the channel comes from; those of the file are read-only for the API. */
  origin: "file" | "auto" | "demo";
}>;

export const channelDefaults: Omit<Channel, "name" | "origin"> = Object.freeze({
  tenant: "main",
  ladder: "auto",
  copyFallback: "refuse",
  gopSeconds: null,
  segmentSeconds: 2,
  partSeconds: 0.334,
  windowSegments: 30,
  lossGraceSeconds: 30,
  endGraceSeconds: 3,
  rtmpPath: null,
  inputs: Object.freeze([]),
  limits: Object.freeze({ bitrateKbps: null, height: null, durationSeconds: null }),
});

export const CHANNEL_NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;
