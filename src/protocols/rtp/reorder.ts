// Puts the packets of one sender back in their order. A packet that is missing is waited for a moment and no longer:
// networks that reorder do so within some packets, and a live stream cannot wait for what was lost.
import type { Clock } from "#base/clock.ts";
import { type RtpPacket, sequenceSpan } from "./packet.ts";

/** Packets held while one before them is missing. */
const HELD_MAX = 64;
/** About one frame: what is later than that was lost, or would be late anyway. */
const WAIT_MS = 40;
/** A number this far off is another count: the sender began anew. Two packets in a row prove it.
 *  Source: RFC 3550, A.1: MAX_DROPOUT, MAX_MISORDER */
const AHEAD_MAX = 3000;
const BEHIND_MAX = 100;

export type ReorderCounters = Readonly<{
  /** Packets that never came, or too late. */
  lost: number;
  /** Came again, or after it was given up. */
  stale: number;
  /** Came after one that follows it, and in time. */
  reordered: number;
}>;

export interface ReorderEvents {
  packet(packet: RtpPacket): void;
  /** So many packets are missing before the next one; 0: the sender counts anew, nobody knows how many. */
  lost(count: number): void;
}

export class Reorder {
  readonly #clock: Clock;
  readonly #events: ReorderEvents;
  /** Next number to hand on; null before the first packet. */
  #next: number | null = null;
  /** By number. */
  readonly #held = new Map<number, RtpPacket>();
  #waitingSinceMs = 0;
  /** The number that would prove that a jump is one. */
  #proof: number | null = null;
  #lost = 0;
  #stale = 0;
  #reordered = 0;

  constructor(clock: Clock, events: ReorderEvents) {
    this.#clock = clock;
    this.#events = events;
  }

  get counters(): ReorderCounters {
    return { lost: this.#lost, stale: this.#stale, reordered: this.#reordered };
  }

  push(packet: RtpPacket): void {
    const { sequence } = packet;
    const span = this.#next === null ? 0 : sequenceSpan(this.#next, sequence);
    if (span > AHEAD_MAX || span < -BEHIND_MAX) {
      if (sequence === this.#proof) this.#beginAt(packet);
      else this.#proof = (sequence + 1) & 0xffff;
      return;
    }
    this.#proof = null;
    if (span < 0 || this.#held.has(sequence)) this.#stale += 1;
    else if (span > 0) this.#hold(packet);
    else {
      if (this.#held.size > 0) this.#reordered += 1;
      this.#handOn(packet);
      this.#drain();
    }
  }

  /** Nothing more comes for a while: what is held is handed on. Also to be called now and then while packets are few. */
  flush(): void {
    while (this.#held.size > 0) this.#giveUp();
  }

  #hold(packet: RtpPacket): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#held.size === 0) this.#waitingSinceMs = nowMs;
    this.#held.set(packet.sequence, packet);
    while (this.#held.size > HELD_MAX || (this.#held.size > 0 && nowMs - this.#waitingSinceMs >= WAIT_MS)) {
      this.#giveUp();
      this.#waitingSinceMs = nowMs;
    }
  }

  /** The missing ones before the first that is held are lost. */
  #giveUp(): void {
    const spans = [...this.#held.keys()].map((sequence) => sequenceSpan(this.#next!, sequence));
    const missing = Math.min(...spans);
    this.#lost += missing;
    this.#next = (this.#next! + missing) & 0xffff;
    this.#events.lost(missing);
    this.#drain();
  }

  #drain(): void {
    for (;;) {
      const packet = this.#held.get(this.#next!);
      if (!packet) break;
      this.#held.delete(packet.sequence);
      this.#handOn(packet);
    }
    this.#waitingSinceMs = this.#clock.monotonicMs(); // of the next hole, if there is one
  }

  #handOn(packet: RtpPacket): void {
    this.#next = (packet.sequence + 1) & 0xffff;
    this.#events.packet(packet);
  }

  #beginAt(packet: RtpPacket): void {
    this.flush();
    this.#proof = null;
    this.#next = packet.sequence;
    this.#events.lost(0);
    this.#handOn(packet);
  }
}
