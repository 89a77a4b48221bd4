// AMF0, the value format of RTMP commands and of FLV script tags. What comes in is a stranger's: depth, the number of
// values and every length are bounded, so a small message can neither overflow the stack nor fill the memory (an object
// reference, which could make a value contain itself, is refused for the same reason).
import { PlatformError } from "#base/errors.ts";

/** AMF0 values as JavaScript has them. Typed objects lose their class name, associative arrays become objects: no RTMP
 *  command depends on either. Dates are milliseconds since 1970, without their (unused) time zone. */
export type Amf0Value = null | undefined | boolean | number | string | Date | Amf0Object | readonly Amf0Value[];
export type Amf0Object = { readonly [key: string]: Amf0Value };

const DEPTH_MAX = 16;
const VALUES_MAX = 10_000;
const SHORT_STRING_BYTES_MAX = 0xffff;

const MARKER = {
  number: 0,
  boolean: 1,
  string: 2,
  object: 3,
  null: 5,
  undefined: 6,
  reference: 7,
  ecmaArray: 8,
  objectEnd: 9,
  strictArray: 10,
  date: 11,
  longString: 12,
  unsupported: 13,
  xmlDocument: 15,
  typedObject: 16,
} as const;

/** All values of a message, in order.
 *  @throws PlatformError media.truncated, media.malformed
 *  Source: Action Message Format AMF 0, section 2 */
export function decodeAmf0(bytes: Uint8Array): Amf0Value[] {
  const reader = new Reader(bytes);
  const values: Amf0Value[] = [];
  while (!reader.atEnd) values.push(reader.value(0));
  return values;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;
  #values = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  value(depth: number): Amf0Value {
    if (depth > DEPTH_MAX) throw malformed(`values nest deeper than ${DEPTH_MAX}`);
    this.#values += 1;
    if (this.#values > VALUES_MAX) throw malformed(`more than ${VALUES_MAX} values`);
    const marker = this.#bytes.readUInt8(this.#take(1));
    switch (marker) {
      case MARKER.number:
        return this.#bytes.readDoubleBE(this.#take(8));
      case MARKER.boolean:
        return this.#bytes.readUInt8(this.#take(1)) !== 0;
      case MARKER.string:
        return this.#text(this.#bytes.readUInt16BE(this.#take(2)));
      case MARKER.longString:
      case MARKER.xmlDocument:
        return this.#text(this.#bytes.readUInt32BE(this.#take(4)));
      case MARKER.object:
        return this.#properties(depth);
      case MARKER.typedObject:
        this.#text(this.#bytes.readUInt16BE(this.#take(2))); // the class name
        return this.#properties(depth);
      case MARKER.ecmaArray:
        this.#take(4); // a count that encoders get wrong: the end marker decides
        return this.#properties(depth);
      case MARKER.strictArray:
        return this.#strictArray(depth);
      case MARKER.date: {
        const at = this.#take(10);
        return new Date(this.#bytes.readDoubleBE(at));
      }
      case MARKER.null:
        return null;
      case MARKER.undefined:
      case MARKER.unsupported:
        return undefined;
      default:
        throw malformed(`marker ${marker} at byte ${this.#at - 1}`);
    }
  }

  #properties(depth: number): Amf0Object {
    const entries: [string, Amf0Value][] = [];
    for (;;) {
      const key = this.#text(this.#bytes.readUInt16BE(this.#take(2)));
      if (key === "" && this.#bytes[this.#at] === MARKER.objectEnd) {
        this.#at += 1;
        return Object.fromEntries(entries); // defines own properties: a key "__proto__" is only a key
      }
      entries.push([key, this.value(depth + 1)]);
    }
  }

  #strictArray(depth: number): Amf0Value[] {
    const count = this.#bytes.readUInt32BE(this.#take(4));
    const items: Amf0Value[] = [];
    for (let i = 0; i < count; i += 1) items.push(this.value(depth + 1)); // ends by itself: each value takes a byte
    return items;
  }

  #text(length: number): string {
    const start = this.#take(length);
    return this.#bytes.toString("utf8", start, start + length);
  }

  /** @returns where the next `length` bytes begin, after stepping over them */
  #take(length: number): number {
    const start = this.#at;
    if (start + length > this.#bytes.length)
      throw new PlatformError(
        "media.truncated",
        `AMF0: ${length} bytes wanted at byte ${start} of ${this.#bytes.length}`,
      );
    this.#at = start + length;
    return start;
  }
}

/** The values one after the other. Objects are written as AMF0 objects; see `ecmaArray` for the other form.
 *  @throws PlatformError media.malformed when they nest too deeply or a property name is longer than 65 535 bytes */
export function encodeAmf0(values: readonly Amf0Value[]): Buffer {
  const chunks: Buffer[] = [];
  for (const value of values) encodeValue(value, chunks, 0);
  return Buffer.concat(chunks);
}

const ECMA_ARRAYS = new WeakSet<object>();

/** The object, marked to be written as an associative array, as players expect of onMetaData. */
export function ecmaArray<T extends Amf0Object>(object: T): T {
  ECMA_ARRAYS.add(object);
  return object;
}

function encodeValue(value: Amf0Value, chunks: Buffer[], depth: number): void {
  if (depth > DEPTH_MAX) throw malformed(`values nest deeper than ${DEPTH_MAX}`);
  if (value === null) chunks.push(Buffer.of(MARKER.null));
  else if (value === undefined) chunks.push(Buffer.of(MARKER.undefined));
  else if (typeof value === "boolean") chunks.push(Buffer.of(MARKER.boolean, value ? 1 : 0));
  else if (typeof value === "number") chunks.push(double(MARKER.number, value, 9));
  else if (typeof value === "string") encodeText(value, chunks);
  else if (value instanceof Date)
    chunks.push(double(MARKER.date, value.getTime(), 11)); // two bytes of time zone, zero
  else if (isList(value)) encodeList(value, chunks, depth);
  else encodeObject(value, chunks, depth);
}

const isList = (value: Amf0Object | readonly Amf0Value[]): value is readonly Amf0Value[] => Array.isArray(value);

function double(marker: number, value: number, bytes: number): Buffer {
  const out = Buffer.alloc(bytes);
  out.writeUInt8(marker, 0);
  out.writeDoubleBE(value, 1);
  return out;
}

function encodeText(value: string, chunks: Buffer[]): void {
  const text = Buffer.from(value, "utf8");
  const short = text.length <= SHORT_STRING_BYTES_MAX;
  const head = Buffer.alloc(short ? 3 : 5);
  head.writeUInt8(short ? MARKER.string : MARKER.longString, 0);
  if (short) head.writeUInt16BE(text.length, 1);
  else head.writeUInt32BE(text.length, 1);
  chunks.push(head, text);
}

function encodeList(values: readonly Amf0Value[], chunks: Buffer[], depth: number): void {
  const head = Buffer.alloc(5);
  head.writeUInt8(MARKER.strictArray, 0);
  head.writeUInt32BE(values.length, 1);
  chunks.push(head);
  for (const value of values) encodeValue(value, chunks, depth + 1);
}

function encodeObject(value: Amf0Object, chunks: Buffer[], depth: number): void {
  const entries = Object.entries(value);
  if (ECMA_ARRAYS.has(value)) {
    const head = Buffer.alloc(5);
    head.writeUInt8(MARKER.ecmaArray, 0);
    head.writeUInt32BE(entries.length, 1);
    chunks.push(head);
  } else chunks.push(Buffer.of(MARKER.object));
  for (const [key, item] of entries) {
    const name = Buffer.from(key, "utf8");
    if (name.length > SHORT_STRING_BYTES_MAX) throw malformed(`a property name of ${name.length} bytes`);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(name.length, 0);
    chunks.push(length, name);
    encodeValue(item, chunks, depth + 1);
  }
  chunks.push(Buffer.of(0, 0, MARKER.objectEnd));
}

function malformed(what: string): PlatformError {
  return new PlatformError("media.malformed", `AMF0: ${what}`);
}
