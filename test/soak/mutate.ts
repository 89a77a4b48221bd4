// Mutations of good inputs. Blind flips die at the first length field or checksum, so next to them stand mutations that
// know the frame of a format and leave it whole: what is wrong then is inside, where the reader works.
import type { Random } from "#base/random.ts";

export type Mutate = (input: Buffer, random: Random, other: () => Buffer) => Buffer;

/** Numbers at which arithmetic breaks, by bytes. */
const INTERESTING = [
  0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 254, 255, 256, 4095, 8191, 32_767, 32_768, 65_535,
];

const pick = <T>(random: Random, items: readonly T[]): T => items[random.int(0, items.length)]!;

/** Flips, numbers, stretches missing, doubled, moved, of another input, or of noise; several at once now and then. */
export const blind: Mutate = (input, random, other) => {
  let bytes: Buffer = Buffer.from(input);
  for (let times = random.next() < 0.6 ? 1 : random.int(2, 9); times > 0; times -= 1)
    bytes = once(bytes, random, other);
  return bytes;
};

function once(bytes: Buffer, random: Random, other: () => Buffer): Buffer {
  if (bytes.length === 0) return Buffer.from(random.bytes(random.int(0, 64)));
  const at = random.int(0, bytes.length);
  const end = Math.min(bytes.length, at + random.int(1, random.next() < 0.8 ? 16 : 512));
  switch (random.int(0, 9)) {
    case 0:
      bytes[at]! ^= 1 << random.int(0, 8);
      return bytes;
    case 1:
      bytes[at] = random.int(0, 256);
      return bytes;
    case 2:
      return number(bytes, at, random);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
    case 5:
      return bytes.subarray(0, at);
    case 6: {
      const donor = other();
      const from = random.int(0, donor.length + 1);
      return Buffer.concat([bytes.subarray(0, at), donor.subarray(from, from + (end - at)), bytes.subarray(end)]);
    }
    case 7:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(random.int(1, 32)), bytes.subarray(at)]);
    default:
      bytes.fill(pick(random, [0, 0xff, 0x7f, 0x80]), at, end);
      return bytes;
  }
}

/** A field of 1 to 4 bytes becomes a number of note, or one next to what it was, or what is left behind it. */
function number(bytes: Buffer, at: number, random: Random): Buffer {
  const size = Math.min(random.int(1, 5), bytes.length - at);
  const most = 2 ** (8 * size);
  const before = bytes.readUIntBE(at, size);
  const left = bytes.length - at - size;
  const value = pick(random, [pick(random, INTERESTING), before + 1, before - 1, left, left + 1, most - 1, before * 2]);
  bytes.writeUIntBE(((value % most) + most) % most, at, size);
  return bytes;
}

/** Items in one buffer, each behind its length: how a target that takes a sequence keeps it in a file. */
export function pack(items: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    items.flatMap((item) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(item.length);
      return [length, item];
    }),
  );
}

/** A length that runs over the end takes what is there. */
export function unpack(bytes: Buffer): Buffer[] {
  const items: Buffer[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const end = Math.min(bytes.length, at + 4 + bytes.readUInt32BE(at));
    items.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return items;
}

/** Changes inside of items, or their order, number and origin; the frame stays whole. */
export const ofItems: Mutate = (input, random, other) => {
  const items = unpack(input);
  if (items.length === 0) return blind(input, random, other);
  for (let times = random.int(1, 4); times > 0; times -= 1) shuffle(items, random, () => unpack(other()));
  return pack(items);
};

function shuffle(items: Buffer[], random: Random, others: () => Buffer[]): void {
  const at = random.int(0, items.length);
  const item = items[at] ?? Buffer.alloc(0);
  switch (random.int(0, 7)) {
    case 0:
      items.splice(at, 1);
      return;
    case 1:
      items.splice(random.int(0, items.length + 1), 0, item);
      return;
    case 2: {
      const other = random.int(0, items.length);
      [items[at], items[other]] = [items[other] ?? item, item];
      return;
    }
    case 3: {
      const donors = others();
      if (donors.length > 0) items.splice(at, 0, pick(random, donors));
      return;
    }
    default:
      items[at] = blind(item, random, () => others()[0] ?? item);
  }
}

/** Whole pieces of a fixed size, as transport packets are: dropped, doubled, moved, changed inside behind `head` bytes.
 *  @param mend makes a piece's own checks right again */
export function ofPieces(size: number, head: number, mend: (piece: Buffer) => void): Mutate {
  return (input, random, other) => {
    const cut = (bytes: Buffer): Buffer[] =>
      Array.from({ length: Math.floor(bytes.length / size) }, (_, i) =>
        Buffer.from(bytes.subarray(i * size, (i + 1) * size)),
      );
    const pieces = cut(input);
    for (let times = random.int(1, 6); times > 0 && pieces.length > 0; times -= 1) {
      const at = random.int(0, pieces.length);
      if (random.next() < 0.35) shuffle(pieces, random, () => cut(other()));
      else {
        const from = random.next() < 0.2 ? 0 : head;
        for (let changes = random.int(1, 6); changes > 0; changes -= 1)
          number(pieces[at]!, random.int(from, size), random);
        mend(pieces[at]!);
      }
      for (const [i, piece] of pieces.entries()) pieces[i] = sized(piece, size);
    }
    return pieces.length > 0 ? Buffer.concat(pieces) : blind(input, random, other);
  };
}

/** A piece of its own with that many bytes. */
function sized(piece: Buffer, size: number): Buffer {
  const out = Buffer.alloc(size);
  piece.copy(out);
  return out;
}

const CONTAINERS = new Set(["moov", "trak", "mdia", "minf", "stbl", "mvex", "moof", "traf", "dinf", "edts"]);
type Box = { type: string; body: Buffer; children: Box[] | null };

/** Boxes of MP4: changed inside, dropped, doubled or moved, with the sizes of all that encloses them right. */
export const ofBoxes: Mutate = (input, random, other) => {
  const boxes = readBoxes(input);
  const all: Box[][] = [];
  const walk = (list: Box[]) => {
    all.push(list);
    for (const { children } of list) if (children) walk(children);
  };
  walk(boxes);
  for (let times = random.int(1, 4); times > 0; times -= 1) {
    const list = pick(
      random,
      all.filter((candidate) => candidate.length > 0),
    );
    if (!list) return blind(input, random, other);
    const at = random.int(0, list.length);
    const box = list[at]!;
    const choice = random.next();
    if (choice < 0.1) list.splice(at, 1);
    else if (choice < 0.2) list.splice(random.int(0, list.length + 1), 0, box);
    else if (choice < 0.3)
      list[at] = pick(
        random,
        pick(
          random,
          all.filter((candidate) => candidate.length > 0),
        ),
      );
    else if (choice < 0.35) box.type = pick(random, ["free", "moov", "moof", "mdat", "uuid", "trak", "tfhd", "trun"]);
    else if (!box.children) box.body = once(Buffer.from(box.body), random, other);
    if (list.length > 64) list.length = 64; // a box put into itself
  }
  return writeBoxes(boxes, 0);
};

function readBoxes(bytes: Buffer): Box[] {
  const boxes: Box[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const end = Math.min(bytes.length, at + Math.max(8, bytes.readUInt32BE(at)));
    const type = bytes.toString("latin1", at + 4, at + 8);
    const body = Buffer.from(bytes.subarray(at + 8, end));
    boxes.push({ type, body, children: CONTAINERS.has(type) ? readBoxes(body) : null });
    at = end;
  }
  return boxes;
}

function writeBoxes(boxes: readonly Box[], depth: number): Buffer {
  return Buffer.concat(
    boxes.flatMap(({ type, body, children }) => {
      const content = children && depth < 12 ? writeBoxes(children, depth + 1) : body;
      const head = Buffer.alloc(8);
      head.writeUInt32BE(8 + content.length);
      head.write(type.padEnd(4), 4, 4, "latin1");
      return [head, content];
    }),
  );
}

const JSON_VALUES = [
  "null",
  "true",
  "0",
  "-1",
  "1e308",
  "9007199254740993",
  '""',
  '"x"',
  "[]",
  "{}",
  '{"$n":"-1"}',
  '{"$b":"AA=="}',
  '{"__proto__":1}',
];

/** A value, a key or an item of a JSON text becomes another; the text stays JSON. */
export const ofJson: Mutate = (input, random, other) => {
  const text = input.toString("utf8");
  const values = [...text.matchAll(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|\{\}|\[\]/g)];
  if (values.length === 0) return blind(input, random, other);
  const match = pick(random, values);
  const isKey = text[match.index + match[0].length] === ":";
  const value = isKey ? JSON.stringify(`k${random.int(0, 100)}`) : pick(random, JSON_VALUES);
  return Buffer.from(text.slice(0, match.index) + value + text.slice(match.index + match[0].length));
};

const MARKS = [
  "{",
  "}",
  "[",
  "]",
  ";",
  ":",
  ",",
  '"',
  "'",
  "\\",
  "#",
  "$",
  "&",
  "*",
  "-",
  " ",
  "  ",
  "\n",
  "\t",
  "\0",
  "ä",
];

/** Lines of a text dropped, doubled, moved or indented otherwise; marks of its syntax put in; a word of it put elsewhere. */
export const ofLines: Mutate = (input, random, other) => {
  let text = input.toString("utf8");
  for (let times = random.int(1, 6); times > 0; times -= 1) text = lineChanged(text, random, other);
  return Buffer.from(text);
};

function lineChanged(text: string, random: Random, other: () => Buffer): string {
  const at = random.int(0, text.length + 1);
  const lines = text.split("\n");
  const line = random.int(0, lines.length);
  switch (random.int(0, 7)) {
    case 0:
      lines.splice(line, random.int(1, 4));
      return lines.join("\n");
    case 1:
      lines.splice(random.int(0, lines.length + 1), 0, lines[line]!);
      return lines.join("\n");
    case 2:
      lines[line] = lines[line]!.replace(/^ */, " ".repeat(random.int(0, 9)));
      return lines.join("\n");
    case 3:
      return text.slice(0, at) + pick(random, other().toString("utf8").split(/\s+/)) + text.slice(at);
    case 4:
      return text.slice(0, at) + text.slice(at + random.int(1, 30));
    default:
      return text.slice(0, at) + pick(random, MARKS) + text.slice(at + random.int(0, 2));
  }
}
