// UDP inside one process: datagrams arrive when the clock has moved, late, twice or never as a seed decides, and those
// that find no room are dropped and counted, as a kernel does.
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { UdpAddress, UdpPeer, UdpSocket } from "../network.ts";
import type { MemoryFaults } from "./memory.ts";

const FIRST_FREE_PORT = 49_152;
const ANY = ["0.0.0.0", "::"];
const LOOPBACK = "127.0.0.1";

type Open = {
  address: UdpAddress;
  port: number;
  deliver: (bytes: Buffer, from: UdpPeer) => void;
  /** Bytes that were sent and have not arrived yet. */
  waitingBytes: number;
  drops: number;
};

export class MemoryDatagrams {
  readonly #clock: Clock;
  readonly #faults: MemoryFaults | undefined;
  readonly #open = new Set<Open>();
  #nextPort = FIRST_FREE_PORT;

  constructor(clock: Clock, faults: MemoryFaults | undefined) {
    this.#clock = clock;
    this.#faults = faults;
  }

  /** @throws PlatformError network.address_in_use */
  open(address: UdpAddress, deliver: Open["deliver"]): UdpSocket {
    const port = address.port === 0 ? this.#nextPort++ : address.port;
    if ([...this.#open].some((other) => isRival(other, address, port)))
      throw new PlatformError("network.address_in_use", `Somebody already listens on port ${port}: choose another.`);
    const own: Open = { address, port, deliver, waitingBytes: 0, drops: 0 };
    this.#open.add(own);
    const { host, receiveBufferBytes } = address;
    return {
      host,
      port,
      receiveBufferBytes,
      send: (bytes, to) => this.#send(bytes, { host: ANY.includes(host) ? LOOPBACK : host, port }, to),
      drops: async () => own.drops,
      onError: () => {},
      close: async () => void this.#open.delete(own),
    };
  }

  #send(bytes: Uint8Array, from: UdpPeer, to: UdpPeer): void {
    const { random, loss = 0, repeat = 0, delayMsMax = 0 } = this.#faults ?? {};
    if (random && random.next() < loss) return;
    const copies = random && random.next() < repeat ? 2 : 1;
    for (const open of this.#open) {
      if (!reaches(open, from, to)) continue;
      for (let i = 0; i < copies; i += 1) this.#arrive(open, Buffer.from(bytes), from, delayMsMax);
    }
  }

  #arrive(open: Open, bytes: Buffer, from: UdpPeer, delayMsMax: number): void {
    if (open.waitingBytes + bytes.length > open.address.receiveBufferBytes) {
      open.drops += 1;
      return;
    }
    open.waitingBytes += bytes.length;
    this.#clock.setTimer(delayMsMax * (this.#faults?.random.next() ?? 0), () => {
      open.waitingBytes -= bytes.length;
      if (this.#open.has(open)) open.deliver(bytes, from);
    });
  }
}

function isRival(other: Open, { host, multicast }: UdpAddress, port: number): boolean {
  if (other.port !== port || (multicast && other.address.multicast)) return false;
  return other.address.host === host || ANY.includes(host) || ANY.includes(other.address.host);
}

function reaches({ address, port }: Open, from: UdpPeer, to: UdpPeer): boolean {
  if (port !== to.port) return false;
  const { host, multicast } = address;
  if (multicast && multicast.group === to.host) return multicast.source === undefined || multicast.source === from.host;
  return host === to.host || ANY.includes(host);
}
