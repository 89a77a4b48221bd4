// MPEG-TS over UDP on a port of a channel's own, bare or in RTP. UDP has neither a beginning nor an end: a sender is who
// sends, one at a time, and a pause of some seconds means that it went away. Whoever else sends meanwhile is not heard:
// two streams in one would be neither.
import type { Timer } from "#base/clock.ts";
import type { Input } from "#media/channel.ts";
import type { UdpPeer, UdpSocket } from "#platform/network/network.ts";
import type { InputState } from "../types.ts";
import type { InputDeps, OpenInput } from "./channel-inputs.ts";
import { type Datagram, readDatagram } from "./datagram.ts";
import { UdpSender } from "./udp-sender.ts";

/** Half a second of the fastest stream that is taken. */
const RECEIVE_BUFFER_BYTES = 4 << 20;
const LOOK_EVERY_MS = 500;
/** The sender is gone. */
const SILENCE_MS = 3000;
/** After this pause of the sender another one is heard. */
const HANDOVER_MS = 1000;
/** A number that went out of use is not heard again for so long: two counts in turn are two senders at one address. */
const FORMER_MS = 1000;
const DROPS_EVERY_LOOKS = 4;

type UdpInputSettings = Extract<Input, { kind: "udp" }>;
type Place = Readonly<{ channel: string; host: string; input: UdpInputSettings }>;

/** @param lost the socket is gone, and this input with it
 *  @throws PlatformError network.address_in_use, config.invalid */
export async function openUdpInput(
  { channel, host, input }: Place,
  deps: InputDeps,
  lost: (error: Error) => void,
): Promise<OpenInput> {
  const { group, source, interface: local, port } = input;
  const multicast = group === undefined ? {} : { multicast: multicastOf(group, source, local) };
  let receive = (_bytes: Buffer, _from: UdpPeer) => {};
  const socket = await deps.network.openUdp(
    { host, port, receiveBufferBytes: RECEIVE_BUFFER_BYTES, ...multicast },
    (bytes, from) => receive(bytes, from),
  );
  const udp = new UdpInput(channel, socket, deps);
  receive = (bytes, from) => udp.datagram(bytes, from);
  socket.onError(lost);
  if (socket.receiveBufferBytes < RECEIVE_BUFFER_BYTES)
    deps.log.warn("ingest.receive_buffer_small", {
      channel,
      port: socket.port,
      wantedBytes: RECEIVE_BUFFER_BYTES,
      gotBytes: socket.receiveBufferBytes,
      help: "bursts may be lost: raise net.core.rmem_max",
    });
  return udp;
}

function multicastOf(group: string, source: string | undefined, local: string | undefined) {
  return { group, ...(source === undefined ? {} : { source }), ...(local === undefined ? {} : { interface: local }) };
}

class UdpInput implements OpenInput {
  readonly #channel: string;
  readonly #socket: UdpSocket;
  readonly #deps: InputDeps;
  #sender: UdpSender | null = null;
  #former: { ssrc: number; untilMs: number } | null = null;
  #timer: Timer;
  #looks = 0;
  #bytes = 0;
  #counters = { received: 0, lost: 0, reordered: 0, stale: 0, ignored: 0, malformed: 0, overflowed: 0 };
  #dropped: number | null = null;
  #droppedTold = 0;
  #ignoredTold = false;

  constructor(channel: string, socket: UdpSocket, deps: InputDeps) {
    this.#channel = channel;
    this.#socket = socket;
    this.#deps = deps;
    this.#timer = deps.clock.setTimer(LOOK_EVERY_MS, () => this.#look());
  }

  datagram(bytes: Buffer, from: UdpPeer): void {
    this.#counters.received += 1;
    const datagram = readDatagram(bytes);
    if (!datagram) this.#counters.malformed += 1;
    else if (!this.#isHeard(datagram, from)) this.#ignore(from);
    else {
      this.#bytes += bytes.length;
      this.#sender!.push(datagram);
    }
  }

  state(): ReturnType<OpenInput["state"]> {
    const { host, port, receiveBufferBytes } = this.#socket;
    const sender = this.#sender;
    const { lost, reordered, stale, overflowed } = sender?.counters ?? {
      lost: 0,
      reordered: 0,
      stale: 0,
      overflowed: 0,
    };
    const before = this.#counters;
    const datagrams: InputState["datagrams"] = {
      ...before,
      lost: before.lost + lost,
      reordered: before.reordered + reordered,
      stale: before.stale + stale,
      overflowed: before.overflowed + overflowed,
      encapsulation: sender?.kind ?? null,
      dropped: this.#dropped,
      receiveBufferBytes,
    };
    const state = sender?.isPublishing ? "connected" : sender?.isStopped ? "stopped" : "listening";
    return { host, port, state, remote: sender?.remote ?? null, bytes: this.#bytes, datagrams };
  }

  async close(): Promise<void> {
    this.#timer.cancel();
    this.#end();
    await this.#socket.close();
  }

  /** Whether this is the sender that is heard, who may have become it just now. */
  #isHeard(datagram: Datagram, from: UdpPeer): boolean {
    const sender = this.#sender;
    const nowMs = this.#deps.clock.monotonicMs();
    if (sender?.isAt(from)) {
      if (sender.isSame(datagram)) return true;
      const ssrc = datagram.kind === "rtp" ? datagram.packet.ssrc : null;
      if (ssrc !== null && ssrc === this.#former?.ssrc && nowMs < this.#former.untilMs) return false;
    } else if (sender && nowMs - sender.lastMs < HANDOVER_MS) return false;
    this.#begin(datagram, from, nowMs);
    return true;
  }

  #begin(datagram: Datagram, from: UdpPeer, nowMs: number): void {
    const before = this.#sender;
    if (before?.ssrc != null) this.#former = { ssrc: before.ssrc, untilMs: nowMs + FORMER_MS };
    this.#end();
    this.#sender = new UdpSender(this.#channel, datagram, from, this.#deps);
  }

  #end(): void {
    const sender = this.#sender;
    if (!sender) return;
    this.#sender = null;
    sender.end();
    const { lost, reordered, stale, overflowed } = sender.counters;
    this.#counters.lost += lost;
    this.#counters.reordered += reordered;
    this.#counters.stale += stale;
    this.#counters.overflowed += overflowed;
    this.#deps.changed();
  }

  #ignore(from: UdpPeer): void {
    this.#counters.ignored += 1;
    if (this.#ignoredTold) return;
    this.#ignoredTold = true; // until the sender changes or pauses
    const { remote } = this.#sender!;
    this.#deps.log.warn("ingest.second_sender_ignored", {
      channel: this.#channel,
      port: this.#socket.port,
      remote: `${from.host}:${from.port}`,
      heard: remote,
    });
  }

  #look(): void {
    this.#timer = this.#deps.clock.setTimer(LOOK_EVERY_MS, () => this.#look());
    const nowMs = this.#deps.clock.monotonicMs();
    const sender = this.#sender;
    if (sender && nowMs - sender.lastMs >= SILENCE_MS) {
      this.#end();
      this.#ignoredTold = false;
    } else if (sender && nowMs - sender.lastMs >= LOOK_EVERY_MS) sender.flush();
    if (this.#looks++ % DROPS_EVERY_LOOKS === 0) void this.#readDrops();
  }

  async #readDrops(): Promise<void> {
    this.#dropped = await this.#socket.drops();
    const dropped = this.#dropped ?? 0;
    if (dropped > 0 && dropped >= this.#droppedTold * 2) {
      this.#droppedTold = dropped; // at 1, 2, 4, 8 ...: often enough to be seen, and bounded
      this.#deps.log.warn("ingest.datagrams_dropped", { channel: this.#channel, port: this.#socket.port, dropped });
    }
  }
}
