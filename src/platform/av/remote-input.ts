// A stream that lies elsewhere, opened by its address and handed on as a transport stream, without decoding. Whoever uses it
// runs it in a process of its own: a library that blocks in a network call is ended by ending the process.

export type RemoteInput = Readonly<{
  /** What was found, for people: "h264 1280x720, aac 48 kHz". */
  streams: string;
  /** Streams come in bursts (HLS: a segment at a time): whoever hands it on should pace it. */
  isBursty: boolean;
}>;

export type RemotePiece = Readonly<{
  /** Whole packets of 188 bytes. */
  bytes: Uint8Array;
  /** Decode time of the newest packet in it, ms from the stream's beginning; steps of the sender's clock are in it. */
  dtsMs: number;
}>;

export interface RemoteReader {
  readonly input: RemoteInput;
  /** @returns null when the stream has ended
   *  @throws PlatformError network.unreachable when it broke off or stood still */
  read(): Promise<RemotePiece | null>;
  close(): Promise<void>;
}

/** @param url rtmp, rtmps, rtsp, rtsps, http or https @param signal frees a blocked call, also while it opens
 *  @throws PlatformError network.unreachable, media.unsupported */
export type OpenRemoteInput = (url: string, signal: AbortSignal) => Promise<RemoteReader>;
