// A channel: what an operator configures once and every session of it obeys. Defaults are those of `channelDefaults`.

/** One asked-for rung. Missing values are chosen from the source; nothing is ever scaled up. */
export type Rung = Readonly<{ height: number; codec?: "h264"; bitrateKbps?: number }>;

export type Channel = Readonly<{
  /** 1 to 64 of a-z, 0-9, "-", "_"; begins with a letter or digit. */
  name: string;
  tenant: string;
  ladder: "auto" | readonly Rung[];
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
  /** Where the channel comes from; those of the file are read-only for the API. */
  origin: "file" | "auto" | "demo";
}>;

export const channelDefaults: Omit<Channel, "name" | "origin"> = Object.freeze({
  tenant: "main",
  ladder: "auto",
  segmentSeconds: 2,
  partSeconds: 0.334,
  windowSegments: 30,
  lossGraceSeconds: 30,
  endGraceSeconds: 3,
  rtmpPath: null,
});

export const CHANNEL_NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;
