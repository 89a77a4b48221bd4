// Publishing over RTMP with our own client: the protocol's machine on a socket.
import type { Clock } from "#base/clock.ts";
import { type ErrorCode, PlatformError } from "#base/errors.ts";
import type { Random } from "#base/random.ts";
import { audioFrame, audioHeader, metadata, videoFrame, videoHeader } from "#media/flv/write.ts";
import type { Network, TcpConnection } from "#platform/network/network.ts";
import { parseRtmpUrl } from "#protocols/rtmp/address.ts";
import { RtmpClientSession } from "#protocols/rtmp/client.ts";
import { TYPE } from "#protocols/rtmp/message.ts";
import { type LiveOutput, type OutputTracks, type OutputUnit, QUEUED_BYTES_MAX, STALL_MS } from "./output.ts";

export type RtmpOutputDeps = Readonly<{ clock: Clock; random: Random; network: Network }>;

const CONNECT_TIMEOUT_MS = 10_000;
/** A goodbye that is not taken by then does not matter any more. */
const END_TIMEOUT_MS = 3000;
const ENCODER = "Continuity";

/** Resolves when the server allows publishing.
 *  @throws PlatformError api.bad_request (not such a URL), network.unreachable, publish.* with the server's own words */
export async function openRtmpOutput(deps: RtmpOutputDeps, url: string, tracks: OutputTracks): Promise<LiveOutput> {
  const address = parseRtmpUrl(url);
  const { host, port, secure } = address;
  const where = { host, port, timeoutMs: CONNECT_TIMEOUT_MS };
  const connection = await (secure ? deps.network.connectTls(where) : deps.network.connectTcp(where));
  const output = new RtmpOutput(deps, connection, address, tracks);
  await output.opened;
  return output;
}

class RtmpOutput implements LiveOutput {
  readonly target: string;
  readonly opened: Promise<void>;
  readonly #clock: Clock;
  readonly #connection: TcpConnection;
  readonly #session: RtmpClientSession;
  readonly #tracks: OutputTracks;
  #sentBytes = 0;
  #failure: PlatformError | null = null;
  /** Everyone who waits for the peer: woken by a drain and by the end. */
  readonly #waiting = new Set<() => void>();
  readonly #gone: Promise<void>;

  constructor(
    deps: RtmpOutputDeps,
    connection: TcpConnection,
    address: ReturnType<typeof parseRtmpUrl>,
    tracks: OutputTracks,
  ) {
    this.#clock = deps.clock;
    this.#connection = connection;
    this.#tracks = tracks;
    this.target = `${address.tcUrl}/${address.name.split("?")[0]}`;
    const { promise: opened, resolve, reject } = Promise.withResolvers<void>();
    this.opened = opened;
    const fail = (error: PlatformError) => {
      this.#failure ??= error;
      reject(error);
      connection.destroy();
      this.#wake();
    };
    this.#session = new RtmpClientSession({
      clock: deps.clock,
      random: deps.random,
      address,
      send: (bytes) => void connection.write(bytes),
      on: (event) => {
        if (event.kind === "failed") fail(event.error);
        else if (event.kind === "refused") fail(refusal(event.code, event.description));
        else {
          this.#sendHeaders();
          resolve();
        }
      },
    });
    connection.onData((bytes) => this.#session.receive(bytes));
    connection.onDrain(() => this.#wake());
    this.#gone = new Promise((gone) => {
      connection.onClose((cause) => {
        this.#session.peerClosed();
        const message = `${this.target} closed the connection${cause === null ? "" : `: ${cause.message}`}.`;
        fail(new PlatformError("network.unreachable", message));
        gone();
      });
    });
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  async send(unit: OutputUnit): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    const { kind, ptsMs, dtsMs, key, payload } = unit;
    const timestampMs = Math.round(dtsMs);
    const video = kind === "video" ? this.#tracks.video : null;
    const body =
      video === null ? audioFrame(payload) : videoFrame(video.codec, payload, key, Math.round(ptsMs) - timestampMs);
    this.#sentBytes += body.byteLength;
    this.#session.sendMedia(video === null ? TYPE.audio : TYPE.video, timestampMs, body);
    while (this.#connection.queuedBytes > QUEUED_BYTES_MAX) await this.#drained();
  }

  async end(): Promise<void> {
    if (this.#failure !== null) return;
    this.#session.end();
    this.#connection.end();
    const timer = this.#clock.setTimer(END_TIMEOUT_MS, () => this.#connection.destroy());
    await this.#gone;
    timer.cancel();
  }

  destroy(): void {
    this.#session.peerClosed();
    this.#connection.destroy();
  }

  #sendHeaders(): void {
    const { video, audio } = this.#tracks;
    this.#session.sendMedia(TYPE.data, 0, metadata(video, audio, ENCODER));
    if (video !== null) this.#session.sendMedia(TYPE.video, 0, videoHeader(video.codec, video.config));
    if (audio !== null) this.#session.sendMedia(TYPE.audio, 0, audioHeader(audio.config));
  }

  async #drained(): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    const woken = await new Promise<boolean>((resolve) => {
      const timer = this.#clock.setTimer(STALL_MS, () => done(false));
      const done = (byPeer: boolean) => {
        timer.cancel();
        this.#waiting.delete(wake);
        resolve(byPeer);
      };
      const wake = () => done(true);
      this.#waiting.add(wake);
    });
    if (!woken) {
      this.#failure ??= new PlatformError("network.unreachable", `${this.target} reads nothing for ${STALL_MS} ms.`);
      this.destroy();
    }
    if (this.#failure !== null) throw this.#failure;
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}

/** Our own server puts its stable code in front of the words ("publish.key_refused: ..."); another one has only words. */
function refusal(code: string, description: string): PlatformError {
  const own = /\bpublish\.(key_refused|channel_unknown|channel_busy|unavailable)\b/.exec(description);
  const text = own === null ? description : description.replace(`${own[0]}: `, "");
  const words = text === "" ? code : `${text} (${code})`;
  return new PlatformError(
    (own?.[0] as ErrorCode | undefined) ?? "publish.key_refused",
    `The server refused: ${words}`,
  );
}
