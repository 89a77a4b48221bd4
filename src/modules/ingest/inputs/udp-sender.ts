// One sender of a UDP input, from its first datagram to its silence: asks for admission, holds back what comes meanwhile,
// puts RTP in order, and tries again later when it was refused. It does not go away when it is refused; who could tell it?
import { BoundedQueue } from "#base/bounded-queue.ts";
import { PlatformError } from "#base/errors.ts";
import { mpegtsDemuxer } from "#media/mpegts/demux.ts";
import type { UdpPeer } from "#platform/network/network.ts";
import { Reorder } from "#protocols/rtp/reorder.ts";
import type { PublisherLink } from "../live-session.ts";
import type { Publication } from "../sessions.ts";
import type { PublishRequest } from "../types.ts";
import type { InputDeps } from "./channel-inputs.ts";
import type { Datagram } from "./datagram.ts";

/** What may come while control is asked. */
const WAITING_BYTES_MAX = 2 << 20;
/** Waits after refusals in a row. */
const REFUSED_WAITS_MS = [1000, 2000, 5000, 15_000, 60_000];
/** Packets of a stream are numbered modulo 16, and a datagram holds seven: the demuxer sees by itself what a shorter loss
 *  took from which stream, and marks no more than that. */
const LOSS_TOLD_MIN = 3;

type State =
  | Readonly<{ kind: "asking" }>
  | Readonly<{ kind: "publishing"; publication: Publication }>
  | Readonly<{ kind: "refused"; untilMs: number }>
  /** Its session was ended here. */
  | Readonly<{ kind: "stopped" }>
  | Readonly<{ kind: "ended" }>;

export class UdpSender {
  readonly remote: string;
  readonly kind: "none" | "rtp";
  /** null when it is not RTP. */
  readonly ssrc: number | null;
  lastMs: number;
  readonly #from: UdpPeer;
  readonly #deps: InputDeps;
  readonly #request: PublishRequest;
  readonly #reorder: Reorder | null;
  #demuxer = this.#newDemuxer();
  #waiting = new BoundedQueue<Buffer>(WAITING_BYTES_MAX, ({ length }) => length);
  #state: State = { kind: "refused", untilMs: 0 };
  #refusals = 0;
  #toldCode: string | null = null;
  #overflowed = 0;

  constructor(channel: string, first: Datagram, from: UdpPeer, deps: InputDeps) {
    const { clock } = deps;
    this.remote = `${from.host}:${from.port}`;
    this.kind = first.kind;
    this.ssrc = first.kind === "rtp" ? first.packet.ssrc : null;
    this.lastMs = clock.monotonicMs();
    this.#from = from;
    this.#deps = deps;
    const way = { protocol: "mpegts-udp", byInput: true, rtmpPath: null, key: null } as const;
    this.#request = { ...way, channel, remote: this.remote };
    this.#reorder =
      first.kind === "none"
        ? null
        : new Reorder(clock, {
            packet: ({ payload }) => this.#take(payload),
            lost: (count) => this.#lost(count),
          });
  }

  get counters(): { lost: number; reordered: number; stale: number; overflowed: number } {
    return { lost: 0, reordered: 0, stale: 0, ...this.#reorder?.counters, overflowed: this.#overflowed };
  }

  get isPublishing(): boolean {
    return this.#state.kind === "publishing";
  }

  get isStopped(): boolean {
    return this.#state.kind === "stopped";
  }

  isAt({ host, port }: UdpPeer): boolean {
    return port === this.#from.port && host === this.#from.host;
  }

  /** Of one address: the same count of the same packets. */
  isSame(datagram: Datagram): boolean {
    return datagram.kind === this.kind && (datagram.kind === "none" || datagram.packet.ssrc === this.ssrc);
  }

  push(datagram: Datagram): void {
    this.lastMs = this.#deps.clock.monotonicMs();
    if (this.#state.kind === "refused" && this.lastMs >= this.#state.untilMs) void this.#ask();
    if (datagram.kind === "rtp") this.#reorder!.push(datagram.packet);
    else this.#take(datagram.payload);
  }

  /** It pauses: what waits for a missing packet waits no longer. */
  flush(): void {
    this.#reorder?.flush();
  }

  /** It is gone, or another takes its place. */
  end(): void {
    this.flush();
    if (this.#state.kind === "publishing") {
      this.#demuxer.end();
      this.#state.publication.leave(false);
    }
    this.#state = { kind: "ended" };
  }

  #take(payload: Buffer): void {
    if (this.#state.kind === "publishing") {
      this.#state.publication.received(payload.length);
      this.#demuxer.push(payload);
    } else if (this.#state.kind === "asking" && !this.#waiting.push(payload)) this.#overflowed += 1;
  }

  #lost(count: number): void {
    if (this.#state.kind === "publishing" && (count === 0 || count >= LOSS_TOLD_MIN))
      this.#demuxer.lose(count === 0 ? "the sender counts its packets anew" : `${count} RTP packets are missing`);
  }

  /** Never rejects. */
  async #ask(): Promise<void> {
    this.#state = { kind: "asking" };
    this.#demuxer = this.#newDemuxer();
    const link: PublisherLink = {
      protocol: this.#request.protocol,
      remote: this.remote,
      dismiss: (error) => this.#dismissed(error),
    };
    try {
      this.#admitted(await this.#deps.sessions.admit(this.#request, link, this.#demuxer.clock));
    } catch (error) {
      this.#refused(error);
    }
    this.#deps.changed();
  }

  #admitted(publication: Publication): void {
    if (this.#state.kind === "ended") {
      publication.leave(false); // it fell silent while it was waiting
      return;
    }
    if (this.#state.kind !== "asking") return; // dismissed already
    this.#state = { kind: "publishing", publication };
    for (let payload = this.#waiting.shift(); payload; payload = this.#waiting.shift()) this.#take(payload);
  }

  /** Not admitted. A reason is told once, as the next try will have the same. */
  #refused(error: unknown): void {
    this.#waiting.clear();
    if (this.#state.kind !== "ended") this.#wait();
    const code = error instanceof PlatformError ? error.code : "internal";
    if (code === this.#toldCode) return;
    this.#toldCode = code;
    if (error instanceof PlatformError) this.#deps.sessions.refused(this.#request, error);
    else this.#deps.log.error("ingest.publish_failed", { error });
  }

  #dismissed(error: PlatformError | null): void {
    if (this.#state.kind === "ended") return;
    this.#waiting.clear();
    if (error === null) this.#state = { kind: "stopped" };
    else this.#wait();
    this.#deps.changed();
  }

  #wait(): void {
    const waitMs = REFUSED_WAITS_MS[Math.min(this.#refusals, REFUSED_WAITS_MS.length - 1)]!;
    this.#refusals += 1;
    this.#state = { kind: "refused", untilMs: this.#deps.clock.monotonicMs() + waitMs };
  }

  #newDemuxer() {
    return mpegtsDemuxer((event) => {
      if (this.#state.kind === "publishing") this.#state.publication.event(event);
    });
  }
}
