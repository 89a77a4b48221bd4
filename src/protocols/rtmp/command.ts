// Commands as both sides write and read them: a name, a transaction number, an object or null, and arguments.
import { type Amf0Object, type Amf0Value, decodeAmf0, encodeAmf0 } from "#media/flv/amf0.ts";
import { malformed, type RtmpMessage, TYPE } from "./message.ts";

export type Command = Readonly<{
  name: string;
  /** 0: no answer is expected. */
  transaction: number;
  /** Message stream it was sent on. */
  streamId: number;
  object: Amf0Object | null;
  arguments: readonly Amf0Value[];
}>;

/** @throws PlatformError rtmp.malformed
 *  Source: RTMP 1.0, 7.1.1 */
export function readCommand({ type, streamId, body }: RtmpMessage): Command {
  // Type 17 is the same in practice: a format byte of 0 (AMF0), then the values.
  const values = decode(type === TYPE.commandAmf3 && body[0] === 0 ? body.subarray(1) : body);
  const [name, transaction, object, ...rest] = values;
  if (typeof name !== "string") throw malformed("a command without a name");
  if (transaction !== undefined && typeof transaction !== "number")
    throw malformed(`command ${shown(name)} without a transaction number`);
  return { name, transaction: transaction ?? 0, streamId, object: asObject(object), arguments: rest };
}

function decode(body: Uint8Array): Amf0Value[] {
  try {
    return decodeAmf0(body);
  } catch (cause) {
    throw malformed("a command that is not AMF0", cause);
  }
}

export function command(streamId: number, name: string, transaction: number, ...values: Amf0Value[]): RtmpMessage {
  return { type: TYPE.command, streamId, timestampMs: 0, body: encodeAmf0([name, transaction, ...values]) };
}

/** Source: RTMP 1.0, 7.2.2 */
export function onStatus(streamId: number, level: "status" | "error", code: string, description: string): RtmpMessage {
  return command(streamId, "onStatus", 0, null, { level, code, description });
}

/** @returns null when it is no object */
export function asObject(value: Amf0Value): Amf0Object | null {
  const plain = typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
  return plain ? (value as Amf0Object) : null;
}

/** @returns "" when it is no text, or one longer than any honest peer's */
export function asText(value: Amf0Value): string {
  return typeof value === "string" && value.length <= TEXT_LENGTH_MAX ? value : "";
}

/** A peer's text, short and printable, for our own messages. */
export function shown(text: string): string {
  return JSON.stringify(text.slice(0, 40));
}

const TEXT_LENGTH_MAX = 4096;
