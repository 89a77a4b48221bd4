// A transport stream by hand, packet by packet, so that tests can write what no muxer would.
import { crc32 } from "../sections.ts";

export type PesOptions = {
  streamId?: number;
  pts?: number;
  dts?: number;
  /** PES_packet_length: true as it is, false 0. */
  bounded?: boolean;
  randomAccess?: boolean;
  discontinuity?: boolean;
};

export class TestMux {
  readonly #counters = new Map<number, number>();

  programs(programs: Readonly<Record<number, number>>, version = 0): Buffer {
    const entries = Object.entries(programs).map(([program, pid]) => u16(Number(program), 0xe000 | pid));
    return this.section(0, 0, 1, version, Buffer.concat(entries));
  }

  /** @param streams [type, pid], with a language or with descriptors */
  programMap(
    pid: number,
    program: number,
    streams: readonly (readonly [number, number, (string | Buffer)?])[],
    version = 0,
  ): Buffer {
    const clockPid = streams[0]?.[1] ?? 0x1fff;
    const entries = streams.map(([type, streamPid, about = Buffer.alloc(0)]) => {
      const info = typeof about === "string" ? Buffer.from([0x0a, 4, ...Buffer.from(about), 0]) : about;
      return Buffer.concat([Buffer.of(type), u16(0xe000 | streamPid, 0xf000 | info.length), info]);
    });
    return this.section(pid, 2, program, version, Buffer.concat([u16(0xe000 | clockPid, 0xf000), ...entries]));
  }

  section(pid: number, table: number, id: number, version: number, content: Buffer): Buffer {
    const length = content.length + 9;
    const head = Buffer.concat([Buffer.of(table), u16(0xb000 | length, id), Buffer.of(0xc1 | (version << 1), 0, 0)]);
    const body = Buffer.concat([head, content]);
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc32(body));
    return this.packets(pid, Buffer.concat([Buffer.of(0), body, sum]), { section: true });
  }

  pes(pid: number, data: Buffer, options: PesOptions = {}): Buffer {
    const { streamId = 0xe0, pts, dts, bounded = true } = options;
    const stamps = pts === undefined ? [] : dts === undefined ? [stamp(2, pts)] : [stamp(3, pts), stamp(1, dts)];
    const flags = pts === undefined ? 0 : dts === undefined ? 0x80 : 0xc0;
    const header = Buffer.concat([Buffer.of(0x80, flags, stamps.length * 5), ...stamps]);
    const length = bounded ? header.length + data.length : 0;
    return this.packets(pid, Buffer.concat([Buffer.of(0, 0, 1, streamId), u16(length), header, data]), options);
  }

  /** The bytes in packets, the last one stuffed. */
  packets(pid: number, bytes: Buffer, options: PesOptions & { section?: boolean } = {}): Buffer {
    const out: Buffer[] = [];
    for (let at = 0; at === 0 || at < bytes.length; ) {
      const isFirst = at === 0;
      const flags = isFirst ? (options.randomAccess ? 0x40 : 0) | (options.discontinuity ? 0x80 : 0) : 0;
      const room = 184 - (flags ? 2 : 0);
      const part = bytes.subarray(at, at + room);
      const field = options.section ? Buffer.alloc(0) : adaptation(184 - part.length, flags);
      const filler = Buffer.alloc(184 - part.length - field.length, 0xff);
      const counter = ((this.#counters.get(pid) ?? -1) + 1) & 15;
      this.#counters.set(pid, counter);
      const head = Buffer.of(
        0x47,
        (isFirst ? 0x40 : 0) | (pid >> 8),
        pid & 255,
        (field.length ? 0x30 : 0x10) | counter,
      );
      out.push(head, field, part, filler);
      at += part.length;
    }
    return Buffer.concat(out);
  }
}

function adaptation(length: number, flags: number): Buffer {
  if (length === 0) return Buffer.alloc(0);
  const field = Buffer.alloc(length, 0xff);
  field[0] = length - 1;
  if (length > 1) field[1] = flags;
  return field;
}

function stamp(prefix: number, ticks: number): Buffer {
  const high = Math.floor(ticks / 2 ** 30) & 7;
  const middle = Math.floor(ticks / 2 ** 15) & 0x7fff;
  const low = ticks % 2 ** 15;
  return Buffer.concat([Buffer.of((prefix << 4) | (high << 1) | 1), u16((middle << 1) | 1, (low << 1) | 1)]);
}

function u16(...words: number[]): Buffer {
  return Buffer.from(words.flatMap((word) => [word >> 8, word & 255]));
}

/** An ADTS frame of LC, 48 kHz, stereo. */
export function adtsFrame(payload: Buffer): Buffer {
  const length = payload.length + 7;
  const head = [0xff, 0xf1, 0x4c, 0x80 | (length >> 11), (length >> 3) & 255, ((length & 7) << 5) | 0x1f, 0xfc];
  return Buffer.concat([Buffer.from(head), payload]);
}
