// MPEG-TS in memory by the library's own muxer, which also turns lengths into start codes and puts parameter sets and
// ADTS headers where a transport stream wants them.
import {
  AV_CODEC_ID_AAC,
  AV_CODEC_ID_H264,
  AV_CODEC_ID_HEVC,
  AVMEDIA_TYPE_AUDIO,
  AVMEDIA_TYPE_VIDEO,
} from "node-av/constants";
import { Dictionary, FormatContext, IOContext, Packet, Rational, type Stream } from "node-av/lib";
import type { AudioTrack, VideoTrack } from "#media/session-log/entries.ts";
import type { FileUnit, TransportStreamWriter } from "../../media-file.ts";
import { check } from "./native.ts";

const TIMESCALE = 90_000;
const BUFFER_BYTES = 188 * 64;
/** Decode times begin here and not at 0: the clock reference that runs ahead of them must not be negative. */
const START_TICKS = TIMESCALE;

type Tracks = Readonly<{ video: VideoTrack | null; audio: AudioTrack | null }>;

export async function openTransportStream(tracks: Tracks): Promise<TransportStreamWriter> {
  const writer = new NativeTransportStream(tracks);
  try {
    await writer.begin();
    return writer;
  } catch (error) {
    await writer.close();
    throw error;
  }
}

class NativeTransportStream implements TransportStreamWriter {
  readonly #context = new FormatContext();
  readonly #io = new IOContext();
  readonly #packet = new Packet();
  readonly #streams: { video: Stream | null; audio: Stream | null };
  #chunks: Buffer[] = [];

  constructor({ video, audio }: Tracks) {
    this.#packet.alloc();
    check(this.#context.allocOutputContext2(null, "mpegts", null), "make a transport stream");
    // The buffer is the library's and used again: each chunk is copied.
    const keep = (bytes: Buffer) => {
      this.#chunks.push(Buffer.from(bytes));
      return bytes.length;
    };
    this.#io.allocContextWithCallbacks(BUFFER_BYTES, 1, null, keep, null);
    this.#context.pb = this.#io;
    this.#streams = { video: video && this.#addVideo(video), audio: audio && this.#addAudio(audio) };
  }

  async begin(): Promise<void> {
    const options = Dictionary.fromObject({
      pes_payload_size: "0",
      flush_packets: "1",
      muxdelay: "0",
      muxpreload: "0",
    });
    try {
      check(await this.#context.writeHeader(options), "begin a transport stream");
    } finally {
      options.free();
    }
  }

  async write(unit: FileUnit): Promise<Uint8Array> {
    const stream = this.#streams[unit.kind];
    if (stream === null) return new Uint8Array(0);
    const toTicks = (ms: number) => BigInt(START_TICKS + Math.round((ms * TIMESCALE) / 1000));
    this.#packet.data = Buffer.from(unit.payload.buffer, unit.payload.byteOffset, unit.payload.byteLength);
    this.#packet.pts = toTicks(unit.ptsMs);
    this.#packet.dts = toTicks(unit.dtsMs);
    this.#packet.isKeyframe = unit.key;
    this.#packet.streamIndex = stream.index;
    this.#packet.timeBase = new Rational(1, TIMESCALE);
    try {
      check(await this.#context.writeFrame(this.#packet), "write a transport stream");
      check(await this.#context.writeFrame(null), "flush a transport stream"); // it gathers small audio frames otherwise
    } finally {
      this.#packet.unref();
    }
    await this.#context.flush();
    const bytes = Buffer.concat(this.#chunks);
    this.#chunks = [];
    return bytes;
  }

  async close(): Promise<void> {
    this.#context.pb = null; // before the context is freed, or both free it
    this.#context.freeContext();
    this.#io.freeContext();
    this.#packet.free();
  }

  #addVideo(track: VideoTrack): Stream {
    const stream = this.#context.newStream(null);
    const { codecpar } = stream;
    codecpar.codecType = AVMEDIA_TYPE_VIDEO;
    codecpar.codecId = track.codec === "h264" ? AV_CODEC_ID_H264 : AV_CODEC_ID_HEVC;
    codecpar.extradata = Buffer.from(track.config);
    codecpar.width = track.width;
    codecpar.height = track.height;
    stream.timeBase = new Rational(1, TIMESCALE);
    return stream;
  }

  #addAudio(track: AudioTrack): Stream {
    const stream = this.#context.newStream(null);
    const { codecpar } = stream;
    codecpar.codecType = AVMEDIA_TYPE_AUDIO;
    codecpar.codecId = AV_CODEC_ID_AAC;
    codecpar.extradata = Buffer.from(track.config);
    codecpar.sampleRate = track.sampleRate;
    codecpar.channels = track.channels;
    stream.timeBase = new Rational(1, TIMESCALE);
    return stream;
  }
}
