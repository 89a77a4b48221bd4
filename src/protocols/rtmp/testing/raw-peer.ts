// A peer for tests that can say anything to a server session, and understands all it answers.
import { type SimClock, simClock } from "#base/clock.ts";
import { seededRandom } from "#base/random.ts";
import type { Amf0Object, Amf0Value } from "#media/flv/amf0.ts";
import { ByteQueue } from "../byte-queue.ts";
import { ChunkReader } from "../chunk-reader.ts";
import { ChunkWriter } from "../chunk-writer.ts";
import { asObject, type Command, command, readCommand } from "../command.ts";
import { RTMP_LIMITS, type RtmpLimits, type RtmpMessage, TYPE } from "../message.ts";
import { type RtmpServerEvent, RtmpServerSession } from "../server.ts";

export class RawPeer {
  readonly clock: SimClock = simClock();
  readonly server: RtmpServerSession;
  readonly events: RtmpServerEvent[] = [];
  readonly answers: RtmpMessage[] = [];
  readonly writer = new ChunkWriter();
  /** S0, S1 and S2. */
  readonly greeting: Buffer;
  readonly #queue = new ByteQueue();
  readonly #reader = new ChunkReader(this.#queue, RTMP_LIMITS);

  /** The handshake is done; `c0c1c2` replaces the simple one. */
  constructor(
    options: {
      limits?: Partial<RtmpLimits>;
      on?: (event: RtmpServerEvent, server: RtmpServerSession) => void;
      c0c1?: Uint8Array;
    } = {},
  ) {
    let greeting: Buffer | null = null;
    this.server = new RtmpServerSession({
      clock: this.clock,
      random: seededRandom(1),
      limits: options.limits ?? {},
      send: (bytes) => {
        if (greeting === null) greeting = Buffer.from(bytes);
        else this.#read(bytes);
      },
      on: (event) => {
        this.events.push(event);
        options.on?.(event, this.server);
      },
    });
    this.server.receive(options.c0c1 ?? simpleC0C1());
    this.greeting = greeting ?? Buffer.alloc(0);
    this.server.receive(Buffer.alloc(1536, 9));
  }

  #read(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    for (let message = this.#reader.next(); message !== null; message = this.#reader.next()) {
      if (message.type === TYPE.setChunkSize) this.#reader.setChunkBytes(message.body.readUInt32BE());
      this.answers.push(message);
    }
    this.#queue.settle();
  }

  send(message: RtmpMessage, chunkStreamId = 3): void {
    this.server.receive(this.writer.write(chunkStreamId, message));
  }

  call(streamId: number, name: string, transaction: number, ...values: Amf0Value[]): void {
    this.send(command(streamId, name, transaction, ...values));
  }

  connect(object: Amf0Object = { app: "live", tcUrl: "rtmp://host/live" }): void {
    this.call(0, "connect", 1, object);
  }

  /** Connected, with stream 1 asked for as `name`. */
  askPublish(name: string, object?: Amf0Object): void {
    this.connect(object);
    this.call(0, "createStream", 2, null);
    this.call(1, "publish", 3, null, name, "live");
  }

  get kinds(): string[] {
    return this.events.map((event) => event.kind);
  }

  get commands(): Command[] {
    return this.answers.filter((message) => message.type === TYPE.command).map(readCommand);
  }

  /** Codes of all onStatus answers, as "1 NetStream.Publish.Start". */
  get statuses(): string[] {
    const statuses = this.commands.filter((answer) => answer.name === "onStatus");
    return statuses.map((answer) => `${answer.streamId} ${asObject(answer.arguments[0])?.code}`);
  }
}

export function simpleC0C1(version = 3): Buffer {
  const bytes = Buffer.alloc(1537, 5);
  bytes[0] = version;
  bytes.fill(0, 1, 9); // time 0, version 0
  return bytes;
}

/** The bytes in pieces of 1 to `most`, as the seed decides. */
export function* pieces(bytes: Uint8Array, seed: number, most: number): Generator<Uint8Array> {
  const random = seededRandom(seed);
  for (let at = 0; at < bytes.length; ) {
    const size = random.int(1, most + 1);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}
