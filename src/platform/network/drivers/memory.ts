// TCP, TLS and UDP inside one process, over a clock that may be simulated: what was written arrives when the clock has moved, in the
// pieces and with the delays that a seed decides, or not at all when the seed cuts the line. A protocol that works here
// for a thousand seeds does not depend on where packets happen to end.
import type { Clock, Timer } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Random } from "#base/random.ts";
import type { Network, TcpConnection } from "../network.ts";
import { MemoryDatagrams } from "./memory-udp.ts";

export type MemoryFaults = Readonly<{
  random: Random;
  /** Each write arrives after a delay in [0, delayMsMax], in order. */
  delayMsMax?: number;
  /** What arrives is joined and cut anew into pieces of 1 to pieceBytesMax bytes. */
  pieceBytesMax?: number;
  /** Chance, per arrival, that the connection is reset instead. */
  cut?: number;
  /** Chances, per datagram, that it never arrives, or arrives twice. Delays differ, so datagrams overtake each other. */
  loss?: number;
  repeat?: number;
}>;

/** From here on `write` says that the peer is slow, as node:net does. */
const HIGH_WATER_BYTES = 16_384;
const FIRST_FREE_PORT = 49_152;

type Acceptor = { accept: (connection: TcpConnection) => void; open: Set<End> };

/** TLS is TCP here, as nobody listens on the line; but each is only reached by its own kind. Certificates are not read. */
export function memoryNetwork(clock: Clock, faults?: MemoryFaults): Network {
  const acceptors = { tcp: new Map<number, Acceptor>(), tls: new Map<number, Acceptor>() };
  const datagrams = new MemoryDatagrams(clock, faults);
  const isTaken = (port: number) => acceptors.tcp.has(port) || acceptors.tls.has(port);
  let nextPort = FIRST_FREE_PORT;
  const freePort = () => {
    while (isTaken(nextPort)) nextPort += 1;
    return nextPort++;
  };

  async function listen(
    kind: "tcp" | "tls",
    { host, port }: Readonly<{ host: string; port: number }>,
    accept: (connection: TcpConnection) => void,
  ) {
    if (isTaken(port))
      throw new PlatformError("network.address_in_use", `Somebody already listens on port ${port}: choose another.`);
    const own = port === 0 ? freePort() : port;
    const open = new Set<End>();
    acceptors[kind].set(own, { accept, open });
    const close = async () => {
      acceptors[kind].delete(own);
      for (const end of open) end.destroy();
    };
    return { host, port: own, close };
  }

  async function connect(kind: "tcp" | "tls", { host, port }: Readonly<{ host: string; port: number }>) {
    const acceptor = acceptors[kind].get(port);
    if (!acceptor)
      throw new PlatformError("network.unreachable", `Cannot connect to ${host}:${port}: nobody listens there.`);
    const here = new End(clock, `${host}:${port}`, faults);
    const there = new End(clock, `${host}:${freePort()}`, faults);
    here.join(there);
    there.join(here);
    acceptor.open.add(there);
    there.onClose(() => acceptor.open.delete(there));
    acceptor.accept(there);
    return here;
  }

  return {
    listenTcp: (address, onConnection) => listen("tcp", address, onConnection),
    listenTls: (address, onConnection) => listen("tls", address, onConnection),
    connectTcp: (address) => connect("tcp", address),
    connectTls: (address) => connect("tls", address),
    openUdp: async (address, onDatagram) => datagrams.open(address, onDatagram),
  };
}

/** One end of a pair. It holds what it has written until the other end reads. */
class End implements TcpConnection {
  readonly remote: string;
  readonly #clock: Clock;
  readonly #faults: MemoryFaults | undefined;
  #peer!: End;
  #sent: { bytes: Buffer; atMs: number }[] = [];
  #queuedBytes = 0;
  #lastArrivalMs = 0;
  #full = false;
  #ended = false;
  #sawEnd = false;
  #paused = false;
  #timer: Timer | null = null;
  #closed: { error: Error | null } | null = null;
  readonly #data: ((bytes: Uint8Array) => void)[] = [];
  readonly #drain: (() => void)[] = [];
  readonly #close: ((error: Error | null) => void)[] = [];

  constructor(clock: Clock, remote: string, faults: MemoryFaults | undefined) {
    this.#clock = clock;
    this.remote = remote;
    this.#faults = faults;
  }

  join(peer: End): void {
    this.#peer = peer;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closed || this.#ended) return false;
    if (this.#peer.#closed) {
      this.#clock.setTimer(0, () => this.#finish(reset())); // nobody is there to take it, and we learn it by trying
      return false;
    }
    const delayMs = (this.#faults?.delayMsMax ?? 0) * (this.#faults?.random.next() ?? 0);
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, this.#clock.monotonicMs() + delayMs);
    this.#sent.push({ bytes: Buffer.from(bytes), atMs: this.#lastArrivalMs });
    this.#queuedBytes += bytes.byteLength;
    this.#full ||= this.#queuedBytes >= HIGH_WATER_BYTES;
    this.#schedule();
    return !this.#full;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#peer.#schedule();
  }

  end(): void {
    if (this.#closed || this.#ended) return;
    this.#ended = true;
    this.#schedule();
    this.#closeWhenDone();
  }

  destroy(): void {
    if (this.#closed) return;
    this.#sent = []; // what was not delivered is lost; the peer sees the end of the stream
    this.#queuedBytes = 0;
    this.#ended = true;
    this.#finish(null);
    this.#schedule();
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#data.push(listener);
    this.#peer.#schedule();
  }

  onDrain(listener: () => void): void {
    this.#drain.push(listener);
  }

  onClose(listener: (error: Error | null) => void): void {
    const closed = this.#closed;
    if (closed) queueMicrotask(() => listener(closed.error));
    else this.#close.push(listener);
  }

  get #flowing(): boolean {
    return this.#data.length > 0 && !this.#paused && this.#closed === null;
  }

  /** Arm the next arrival at the peer, if it listens and there is one. */
  #schedule(): void {
    if (this.#timer || this.#peer.#sawEnd || !this.#peer.#flowing) return;
    const next = this.#sent[0]?.atMs ?? (this.#ended ? this.#lastArrivalMs : null);
    if (next === null) return;
    this.#timer = this.#clock.setTimer(Math.max(0, next - this.#clock.monotonicMs()), () => {
      this.#timer = null;
      this.#arrive();
      this.#schedule();
    });
  }

  #arrive(): void {
    if (!this.#peer.#flowing) return;
    const { random, cut = 0 } = this.#faults ?? {};
    if (random && random.next() < cut) {
      const error = reset();
      this.#finish(error);
      this.#peer.#finish(error);
      return;
    }
    for (const bytes of this.#due()) {
      for (const listener of this.#peer.#data) listener(bytes);
      if (!this.#peer.#flowing) break;
    }
    if (this.#full && this.#queuedBytes === 0 && !this.#closed) {
      this.#full = false;
      for (const listener of this.#drain) listener();
    }
    if (this.#sent.length === 0 && this.#ended && this.#peer.#flowing) this.#peer.#seeEnd();
    this.#closeWhenDone();
  }

  /** Pieces that have arrived by now, each taken out of the queue as it is handed over. */
  *#due(): Generator<Buffer> {
    const { random, pieceBytesMax } = this.#faults ?? {};
    const nowMs = this.#clock.monotonicMs();
    if (random && pieceBytesMax !== undefined) {
      const arrived = this.#sent.filter((item) => item.atMs <= nowMs);
      const joined = Buffer.concat(arrived.map((item) => item.bytes));
      if (joined.length > 0) this.#sent.splice(0, arrived.length, { bytes: joined, atMs: nowMs });
    }
    while (this.#sent[0] && this.#sent[0].atMs <= nowMs) {
      const { bytes, atMs } = this.#sent.shift()!;
      const size = random && pieceBytesMax !== undefined ? random.int(1, pieceBytesMax + 1) : bytes.length;
      if (size < bytes.length) this.#sent.unshift({ bytes: bytes.subarray(size), atMs });
      const piece = bytes.subarray(0, size);
      this.#queuedBytes -= piece.length;
      if (piece.length > 0) yield piece;
    }
  }

  /** The other end writes no more: nor do we, once what we have is delivered. */
  #seeEnd(): void {
    if (this.#sawEnd) return;
    this.#sawEnd = true;
    if (this.#peer.#closed) this.destroy();
    else this.end();
  }

  #closeWhenDone(): void {
    if (this.#ended && this.#sawEnd && this.#sent.length === 0) this.#finish(null);
  }

  #finish(error: Error | null): void {
    if (this.#closed) return;
    this.#closed = { error };
    this.#timer?.cancel();
    this.#timer = null;
    this.#schedule(); // the end of the stream still travels
    for (const listener of this.#close) listener(error);
  }
}

const reset = () => Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
