// Remuxing a remote stream to MPEG-TS. The input context is allocated before it is opened: only then does `interrupt` free
// a thread that is blocked in the network.
import {
  AV_NOPTS_VALUE,
  AVERROR_EOF,
  AVMEDIA_TYPE_AUDIO,
  AVMEDIA_TYPE_VIDEO,
  type AVMediaType,
} from "node-av/constants";
import {
  avGetCodecName,
  Dictionary,
  FFmpegError,
  FormatContext,
  IOContext,
  Packet,
  Rational,
  type Stream,
} from "node-av/lib";
import { PlatformError } from "#base/errors.ts";
import type { RemoteInput, RemotePiece, RemoteReader } from "../../remote-input.ts";
import { check } from "./native.ts";

/** A sender that says nothing for so long is gone, microseconds. */
const SILENCE_US = 10_000_000;
const PROBE_BYTES = 1_000_000;
const ANALYZE_US = 2_000_000;
const BUFFER_BYTES = 188 * 64;
const TIMESCALE = 90_000;
/** Clock references run ahead of the first decode time and must not be negative. */
const START_TICKS = BigInt(TIMESCALE);
/** Time stamps of a transport stream are written modulo 2^33 (ISO/IEC 13818-1, 2.4.3.7). */
const TURN_TICKS = 1n << 33n;

type Way = {
  input: Stream;
  output: Stream;
  lastDts: bigint;
  /** Whole turns of the output's clock that the input's was set back by. The muxer takes no time before its last one, but
   *  what it writes of a time is the same a turn later. */
  turnedTicks: bigint;
};

export async function openRemoteInput(url: string, signal: AbortSignal): Promise<RemoteReader> {
  if (!isRtsp(url)) return openWith(url, signal, optionsFor(url));
  // Over TCP nothing is lost; servers that do not know it refuse in words of their own, so the other way is simply tried.
  const over = (transport: string) => ({ ...optionsFor(url), rtsp_transport: transport });
  try {
    return await openWith(url, signal, over("tcp"));
  } catch (error) {
    if (signal.aborted || !(error instanceof PlatformError) || error.code !== "network.unreachable") throw error;
    return openWith(url, signal, over("udp"));
  }
}

const isRtsp = (url: string): boolean => /^rtsps?:/i.test(url);

async function openWith(
  url: string,
  signal: AbortSignal,
  settings: Readonly<Record<string, string>>,
): Promise<RemoteReader> {
  const context = new FormatContext();
  context.allocContext();
  const interrupt = () => context.interrupt();
  signal.addEventListener("abort", interrupt, { once: true });
  const options = Dictionary.fromObject(settings);
  const opened = await context.openInput(url, null, options);
  options.free();
  if (opened < 0) {
    signal.removeEventListener("abort", interrupt);
    context.freeContext(); // openInput frees what it was given; this lets go of the handle
    throw unreachable(opened);
  }
  const reader = new NativeRemoteReader(context, () => signal.removeEventListener("abort", interrupt));
  try {
    await reader.begin();
    return reader;
  } catch (error) {
    await reader.close();
    throw error;
  }
}

function optionsFor(url: string): Record<string, string> {
  const common = { probesize: String(PROBE_BYTES), analyzeduration: String(ANALYZE_US), fflags: "+genpts" };
  const wait = { rw_timeout: String(SILENCE_US) };
  if (isRtsp(url)) return { ...common, timeout: String(SILENCE_US) };
  if (/^rtmps?:/i.test(url)) return { ...common, ...wait, rtmp_live: "live" };
  return {
    ...common,
    ...wait,
    reconnect: "1",
    reconnect_on_network_error: "1",
    reconnect_delay_max: "2",
    user_agent: "Continuity",
  };
}

function unreachable(code: number): PlatformError {
  return new PlatformError("network.unreachable", `The stream cannot be read: ${FFmpegError.strerror(code)}.`);
}

class NativeRemoteReader implements RemoteReader {
  input: RemoteInput = { streams: "", isBursty: false };
  readonly #context: FormatContext;
  readonly #forget: () => void;
  readonly #output = new FormatContext();
  readonly #io = new IOContext();
  readonly #packet = new Packet();
  readonly #ways = new Map<number, Way>();
  #chunks: Buffer[] = [];
  #originTicks: bigint | null = null;
  #newestMs = 0;
  #begun = false;
  #closed = false;

  constructor(context: FormatContext, forget: () => void) {
    this.#context = context;
    this.#forget = forget;
    this.#packet.alloc();
    check(this.#output.allocOutputContext2(null, "mpegts", null), "make a transport stream");
    // The buffer is the library's and used again: each chunk is copied.
    const keep = (bytes: Buffer) => {
      this.#chunks.push(Buffer.from(bytes));
      return bytes.length;
    };
    this.#io.allocContextWithCallbacks(BUFFER_BYTES, 1, null, keep, null);
    this.#output.pb = this.#io;
  }

  async begin(): Promise<void> {
    check(await this.#context.findStreamInfo(null), "look into the stream");
    const words: string[] = [];
    for (const stream of this.#context.streams) {
      const { codecType, codecId, width, height, sampleRate } = stream.codecpar;
      if (!isMedia(codecType)) continue;
      const output = this.#output.newStream(null);
      stream.codecpar.copy(output.codecpar);
      output.codecpar.codecTag = 0; // a tag of the other container
      output.timeBase = new Rational(1, TIMESCALE);
      const language = stream.metadata?.get("language");
      if (language) output.metadata = Dictionary.fromObject({ language });
      this.#ways.set(stream.index, { input: stream, output, lastDts: -1n, turnedTicks: 0n });
      const size = codecType === AVMEDIA_TYPE_VIDEO ? `${width}x${height}` : `${sampleRate / 1000} kHz`;
      words.push(`${avGetCodecName(codecId)} ${size}`);
    }
    if (this.#ways.size === 0) throw new PlatformError("media.unsupported", "Neither pictures nor sound are in it.");
    const options = Dictionary.fromObject({
      pes_payload_size: "0",
      flush_packets: "1",
      muxdelay: "0",
      muxpreload: "0",
    });
    try {
      check(await this.#output.writeHeader(options), "begin a transport stream");
      this.#begun = true;
    } finally {
      options.free();
    }
    const format = this.#context.iformat?.name ?? "";
    this.input = { streams: words.join(", "), isBursty: /hls|dash/.test(format) };
  }

  async read(): Promise<RemotePiece | null> {
    for (;;) {
      const code = await this.#context.readFrame(this.#packet);
      if (code === AVERROR_EOF) return null;
      if (code < 0) throw unreachable(code);
      try {
        const way = this.#ways.get(this.#packet.streamIndex);
        if (!way || !this.#place(way)) continue;
        check(await this.#output.writeFrame(this.#packet), "write a transport stream");
        check(await this.#output.writeFrame(null), "flush a transport stream"); // it gathers small audio frames otherwise
      } finally {
        this.#packet.unref();
      }
      await this.#output.flush();
      if (this.#chunks.length === 0) continue;
      const bytes = Buffer.concat(this.#chunks);
      this.#chunks = [];
      return { bytes, dtsMs: this.#newestMs };
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#forget();
    if (this.#begun) await this.#output.writeTrailer();
    this.#output.pb = null; // before the context is freed, or both free it
    this.#output.freeContext();
    this.#io.freeContext();
    this.#packet.free();
    await this.#context.closeInput();
  }

  /** Its times on the output's clock, from 1 s on; a decode time that does not rise is moved a tick on, as the muxer wants.
   *  @returns false when it has no time at all */
  #place(way: Way): boolean {
    const { input, output, lastDts } = way;
    const packet = this.#packet;
    packet.rescaleTs(input.timeBase, new Rational(1, TIMESCALE));
    const known = packet.dts === AV_NOPTS_VALUE ? packet.pts : packet.dts;
    if (known === AV_NOPTS_VALUE) return false;
    this.#originTicks ??= known;
    const move = START_TICKS - this.#originTicks;
    if (lastDts < 0n && known + move < 0n) return false; // of a track that began long before the first one
    let dts = known + move + way.turnedTicks;
    const backTicks = lastDts - dts;
    if (backTicks >= BigInt(TIMESCALE)) {
      const turned = (backTicks / TURN_TICKS + 1n) * TURN_TICKS; // so far back, it is another clock
      way.turnedTicks += turned;
      dts += turned;
    } else if (backTicks >= 0n) dts = lastDts + 1n;
    way.lastDts = dts;
    packet.dts = dts;
    packet.pts = packet.pts === AV_NOPTS_VALUE ? dts : packet.pts + move + way.turnedTicks;
    if (packet.pts < dts) packet.pts = dts;
    packet.streamIndex = output.index;
    packet.timeBase = new Rational(1, TIMESCALE);
    this.#newestMs = Number(dts - way.turnedTicks - START_TICKS) / 90;
    return true;
  }
}

function isMedia(type: AVMediaType): boolean {
  return type === AVMEDIA_TYPE_VIDEO || type === AVMEDIA_TYPE_AUDIO;
}
