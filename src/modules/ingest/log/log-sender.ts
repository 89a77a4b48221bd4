// Sends what a reader reads as an endless HTTP answer.
// Why not `pipe`: a stream would buffer entries of its own between ring and socket, and a heartbeat could not tell a
// quiet log from a full one. Here the ring is the buffer: nothing is taken from it while the socket is behind.
import type { ServerResponse } from "node:http";
import type { Clock, Timer } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { encodeEntry, encodeFailure, encodeHeader, encodeIdle } from "#media/session-log/codec.ts";
import { inOnePiece } from "#platform/network/http.ts";
import type { LogReader } from "./log-reader.ts";

/** A reader that hears nothing for three of these takes the connection for dead. */
const HEARTBEAT_MS = 1000;
/** Written and not yet taken by the kernel: enough for its buffers to run full between two turns, a few frames at most. */
const SEND_BYTES_MAX = 256 * 1024;
/** A peer that took no byte for this long is gone. Decisions alone would never fall out of the ring. */
const STALL_MS = 30_000;
/** How long a reader that was cut off may take to read why. */
const FAREWELL_MS = 5000;

export class LogSender {
  readonly #reader: LogReader;
  readonly #response: ServerResponse;
  readonly #clock: Clock;
  readonly #log: Log;
  #unsentBytes = 0;
  #takenAtMs: number;
  #writtenSinceBeat = false;
  #waiting = false;
  #ended = false;
  #timer: Timer;

  constructor(deps: Readonly<{ reader: LogReader; response: ServerResponse; clock: Clock; log: Log }>) {
    this.#reader = deps.reader;
    this.#response = deps.response;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#takenAtMs = deps.clock.monotonicMs();
    this.#timer = deps.clock.setTimer(HEARTBEAT_MS, () => this.#beat());
    this.#response.on("close", () => this.#close());
    this.#response.writeHead(200, { "content-type": "application/octet-stream", "cache-control": "no-store" });
    this.#response.socket?.setNoDelay(true);
    this.#write([encodeHeader()]);
    this.#pump();
  }

  /** Say why nothing more comes, then end. */
  fail(error: unknown): void {
    if (this.#ended) return;
    if (!(error instanceof PlatformError)) this.#log.error("session log stream failed", { error });
    this.#write([encodeFailure(error)]);
    this.#end();
  }

  #pump(): void {
    if (this.#ended) return;
    try {
      inOnePiece(this.#response, () => {
        while (this.#unsentBytes < SEND_BYTES_MAX) {
          const at = this.#reader.poll();
          if (at === null) break;
          this.#write(encodeEntry(at));
        }
      });
    } catch (error) {
      this.fail(error);
      return;
    }
    if (this.#reader.done) this.#end();
    else if (this.#unsentBytes < SEND_BYTES_MAX) this.#wait();
  }

  #wait(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    this.#reader.whenReadable(() => {
      this.#waiting = false;
      this.#pump();
    });
  }

  #write(pieces: readonly Buffer[]): void {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    this.#unsentBytes += bytes;
    this.#writtenSinceBeat = true;
    const last = pieces.length - 1;
    const taken = (error?: Error | null) => {
      if (!error) this.#taken(bytes); // with an error "close" follows
    };
    for (const [i, piece] of pieces.entries()) this.#response.write(piece, i < last ? undefined : taken);
  }

  #taken(bytes: number): void {
    const wasFull = this.#unsentBytes >= SEND_BYTES_MAX;
    this.#unsentBytes -= bytes;
    this.#takenAtMs = this.#clock.monotonicMs();
    if (wasFull && this.#unsentBytes < SEND_BYTES_MAX) this.#pump();
  }

  #beat(): void {
    this.#timer = this.#clock.setTimer(HEARTBEAT_MS, () => this.#beat());
    if (this.#unsentBytes > 0 && this.#clock.monotonicMs() - this.#takenAtMs > STALL_MS) {
      this.#log.warn("session log reader does not read", {
        code: "network.unreachable",
        unsentBytes: this.#unsentBytes,
      });
      this.#response.destroy();
      return;
    }
    if (!this.#writtenSinceBeat && this.#unsentBytes === 0) this.#write([encodeIdle()]);
    this.#writtenSinceBeat = false;
  }

  #end(): void {
    this.#ended = true;
    this.#reader.close();
    this.#response.end();
    this.#timer.cancel();
    this.#timer = this.#clock.setTimer(FAREWELL_MS, () => this.#response.destroy());
  }

  #close(): void {
    this.#ended = true;
    this.#timer.cancel();
    this.#reader.close();
  }
}
