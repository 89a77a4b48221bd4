// MPEG-TS over TCP on a port of a channel's own. Nobody is asked about before transport packets came from it: a scan of
// the ports must not open sessions.
// A connection that closes has said nothing: the kernel of an encoder that was killed closes it just so. So each is taken
// for a loss, and the session waits for its publisher to return.
import type { Timer } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { mpegtsDemuxer } from "#media/mpegts/demux.ts";
import { PacketReader } from "#media/mpegts/packets.ts";
import type { TcpConnection } from "#platform/network/network.ts";
import type { PublisherLink } from "../live-session.ts";
import type { Publication } from "../sessions.ts";
import type { PublishRequest } from "../types.ts";
import type { InputDeps, OpenInput } from "./channel-inputs.ts";

/** One publishes; some more may be on their way in or out. */
const CONNECTIONS_MAX = 8;
const PROBE_BYTES_MAX = 64 * 1024;
const PROBE_MS = 5000;

type Place = Readonly<{ channel: string; host: string; port: number }>;

/** @throws PlatformError network.address_in_use, config.invalid */
export async function openTcpInput(place: Place, deps: InputDeps): Promise<OpenInput> {
  const { network, log, changed } = deps;
  const { channel, host } = place;
  const open = new Set<TcpPublisher>();
  let bytesOfGone = 0;
  const listener = await network.listenTcp(place, (connection) => {
    if (open.size >= CONNECTIONS_MAX) {
      log.warn("ingest.connection_refused", { channel, remote: connection.remote, connections: open.size });
      connection.destroy();
      return;
    }
    const publisher = new TcpPublisher(connection, place, deps);
    open.add(publisher);
    connection.onClose(() => {
      open.delete(publisher);
      bytesOfGone += publisher.bytes;
      changed();
    });
  });
  return {
    state() {
      const sending = [...open].find(({ isPublishing }) => isPublishing);
      return {
        host,
        port: listener.port,
        state: sending ? "connected" : "listening",
        remote: sending?.remote ?? null,
        bytes: [...open].reduce((sum, { bytes }) => sum + bytes, bytesOfGone),
        datagrams: null,
      };
    },
    close: () => listener.close(),
  };
}

/** One connection. */
class TcpPublisher {
  readonly remote: string;
  readonly #connection: TcpConnection;
  readonly #deps: InputDeps;
  readonly #request: PublishRequest;
  readonly #demuxer = mpegtsDemuxer((event) => this.#publication?.event(event));
  #publication: Publication | null = null;
  #probe: { reader: PacketReader; held: Uint8Array[]; timer: Timer } | null;
  #isAsking = false;
  #isClosed = false;
  bytes = 0;

  constructor(connection: TcpConnection, { channel }: Place, deps: InputDeps) {
    this.remote = connection.remote;
    this.#connection = connection;
    this.#deps = deps;
    const way = { protocol: "mpegts-tcp", byInput: true, rtmpPath: null, key: null } as const;
    this.#request = { ...way, channel, remote: this.remote };
    const reader = new PacketReader(
      () => this.#ask(),
      () => {},
    );
    this.#probe = { reader, held: [], timer: deps.clock.setTimer(PROBE_MS, () => this.#refuse(this.#nothing())) };
    connection.onClose(() => this.#gone());
    connection.onData((bytes) => this.#data(bytes));
  }

  get isPublishing(): boolean {
    return this.#publication !== null;
  }

  #data(bytes: Uint8Array): void {
    this.bytes += bytes.byteLength;
    if (this.#publication) this.#take(bytes);
    else if (this.#probe) {
      this.#probe.held.push(bytes);
      this.#probe.reader.push(bytes);
      if (!this.#isAsking && this.bytes >= PROBE_BYTES_MAX) this.#refuse(this.#nothing());
    }
  }

  #take(bytes: Uint8Array): void {
    this.#publication!.received(bytes.byteLength);
    this.#demuxer.push(bytes);
  }

  /** The first packet was found. */
  #ask(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#probe!.timer.cancel();
    this.#connection.pause();
    void this.#admit();
  }

  /** Never rejects. */
  async #admit(): Promise<void> {
    const { protocol } = this.#request;
    const link: PublisherLink = { protocol, remote: this.remote, dismiss: () => this.#dismissed() };
    try {
      this.#publication = await this.#deps.sessions.admit(this.#request, link, this.#demuxer.clock);
    } catch (error) {
      this.#refuse(error);
      return;
    }
    const { held } = this.#probe!;
    this.#probe = null;
    if (this.#isClosed)
      this.#leave(); // it went away while it was waiting
    else {
      for (const bytes of held) if (this.#publication) this.#take(bytes);
      this.#connection.resume();
    }
    this.#deps.changed();
  }

  #nothing(): PlatformError {
    if (this.bytes === 0)
      return new PlatformError("ingest.no_data", `Nothing came within ${PROBE_MS / 1000} s of connecting.`);
    return new PlatformError("ingest.garbage", `No transport stream was found in ${this.bytes} bytes.`);
  }

  #refuse(error: unknown): void {
    this.#probe?.timer.cancel();
    this.#probe = null;
    if (error instanceof PlatformError) this.#deps.sessions.refused(this.#request, error);
    else this.#deps.log.error("ingest.publish_failed", { error });
    this.#connection.destroy();
  }

  #dismissed(): void {
    this.#publication = null;
    this.#connection.destroy();
  }

  #gone(): void {
    this.#isClosed = true;
    this.#probe?.timer.cancel();
    if (!this.#isAsking) this.#probe = null;
    this.#leave();
  }

  #leave(): void {
    const publication = this.#publication;
    if (!publication) return;
    this.#demuxer.end();
    this.#publication = null;
    publication.leave(false);
  }
}
