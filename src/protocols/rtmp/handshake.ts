// The exchange before the first chunk, in both of its variants.
// Simple (RTMP 1.0, 5.2): each side echoes the other's random bytes. Digest: Flash Player 9 and encoders that follow it
// hide an HMAC in theirs and expect one back; some refuse to go on without. Neither proves anything about the peer (the
// keys are public), so what it answers in C2 or S2 is not compared: encoders that answer nonsense work elsewhere too.
import { createHmac } from "node:crypto";
import type { Random } from "#base/random.ts";
import type { ByteQueue } from "./byte-queue.ts";
import { malformed } from "./message.ts";

const VERSION = 3;
const PACKET_BYTES = 1536;
const DIGEST_BYTES = 32;
/** Where the four bytes stand whose sum places the digest, in the two layouts in use. */
const LAYOUTS = [8, 772] as const;
const PLACES = 728;

const COMMON_KEY = Buffer.from("f0eec24a8068bee82e00d0d1029e7e576eec5d2d29806fab93b8e636cfeb31ae", "hex");
const PLAYER_NAME = Buffer.from("Genuine Adobe Flash Player 001");
const SERVER_NAME = Buffer.from("Genuine Adobe Flash Media Server 001");
const PLAYER_KEY = Buffer.concat([PLAYER_NAME, COMMON_KEY]);
const SERVER_KEY = Buffer.concat([SERVER_NAME, COMMON_KEY]);
/** Any version that is not zero says "with digest"; this is one that real servers send. */
const SERVER_VERSION = 0x04050001;
const PLAYER_VERSION = 0x80000702;

export interface Handshake {
  /** What to send before anything came; empty for a server. */
  readonly opening: Uint8Array;
  /** Read what is there.
   *  @returns what to send (empty: nothing), and whether chunks follow
   *  @throws PlatformError rtmp.malformed on a version we do not speak */
  step(queue: ByteQueue): { reply: Uint8Array; done: boolean };
}

const NOTHING = new Uint8Array(0);
const WAIT = { reply: NOTHING, done: false } as const;
const DONE = { reply: NOTHING, done: true } as const;

export function serverHandshake(random: Random): Handshake {
  let answered = false;
  return {
    opening: NOTHING,
    step(queue) {
      if (!answered) {
        if (queue.reach(1)) checkVersion(queue.head[queue.at]!);
        if (queue.length < 1 + PACKET_BYTES) return WAIT;
        queue.skip(1);
        answered = true;
        return { reply: answerClient(queue.take(PACKET_BYTES), random), done: false };
      }
      return finish(queue);
    },
  };
}

/** @param digest as Flash Player does; servers that ask for it are rare */
export function clientHandshake(random: Random, digest: boolean): Handshake {
  const own = packet(random, digest ? PLAYER_VERSION : 0);
  if (digest) sign(own, LAYOUTS[0], PLAYER_NAME);
  let answered = false;
  return {
    opening: Buffer.concat([Buffer.of(VERSION), own]),
    step(queue) {
      if (!answered) {
        if (queue.reach(1)) checkVersion(queue.head[queue.at]!);
        if (queue.length < 1 + PACKET_BYTES) return WAIT;
        queue.skip(1);
        const theirs = queue.take(PACKET_BYTES);
        answered = true;
        const theirDigest = digest ? findDigest(theirs, SERVER_NAME) : null;
        return { reply: theirDigest ? response(random, PLAYER_KEY, theirDigest.digest) : theirs, done: false };
      }
      return finish(queue);
    },
  };
}

function finish(queue: ByteQueue): { reply: Uint8Array; done: boolean } {
  if (queue.length < PACKET_BYTES) return WAIT;
  queue.skip(PACKET_BYTES);
  return DONE;
}

/** S0, S1 and S2 for a C1. */
function answerClient(theirs: Buffer, random: Random): Buffer {
  const found = theirs.readUInt32BE(4) === 0 ? null : findDigest(theirs, PLAYER_NAME);
  if (found === null) return Buffer.concat([Buffer.of(VERSION), packet(random, 0), theirs]);
  const own = packet(random, SERVER_VERSION);
  sign(own, found.layout, SERVER_NAME);
  return Buffer.concat([Buffer.of(VERSION), own, response(random, SERVER_KEY, found.digest)]);
}

function checkVersion(version: number): void {
  if (version === VERSION) return;
  if (version === 6 || version === 8 || version === 9)
    throw malformed(`RTMPE (version ${version}) is refused, its encryption is broken: use RTMPS`);
  if (version === 0x16) throw malformed("a TLS greeting on a plain port: use rtmp://, or the port for RTMPS");
  if (version >= 0x41 && version <= 0x5a) throw malformed("text instead of a handshake; is this an HTTP client?");
  throw malformed(`version ${version}, where 3 is spoken`);
}

/** Time 0 and random bytes. */
function packet(random: Random, version: number): Buffer {
  const bytes = Buffer.allocUnsafe(PACKET_BYTES);
  bytes.writeUInt32BE(0, 0);
  bytes.writeUInt32BE(version, 4);
  bytes.set(random.bytes(PACKET_BYTES - 8), 8);
  return bytes;
}

/** @returns where the digest of that layout lies */
function digestPlace(bytes: Buffer, layout: number): number {
  const sum = bytes[layout]! + bytes[layout + 1]! + bytes[layout + 2]! + bytes[layout + 3]!;
  return layout + 4 + (sum % PLACES);
}

function digestAt(bytes: Buffer, place: number, key: Buffer): Buffer {
  const rest = [bytes.subarray(0, place), bytes.subarray(place + DIGEST_BYTES)] as const;
  return createHmac("sha256", key).update(rest[0]).update(rest[1]).digest();
}

/** Put the digest of all other bytes in its place. */
export function sign(bytes: Buffer, layout: number, key: Buffer): void {
  const place = digestPlace(bytes, layout);
  digestAt(bytes, place, key).copy(bytes, place);
}

/** The digest in a packet, in whichever layout it verifies; null when in none. */
export function findDigest(bytes: Buffer, key: Buffer): { layout: number; digest: Buffer } | null {
  for (const layout of LAYOUTS) {
    const place = digestPlace(bytes, layout);
    const digest = digestAt(bytes, place, key);
    if (digest.equals(bytes.subarray(place, place + DIGEST_BYTES))) return { layout, digest };
  }
  return null;
}

/** C2 or S2 with digest: random bytes, and a digest of them keyed by the peer's digest. */
function response(random: Random, key: Buffer, theirDigest: Buffer): Buffer {
  const bytes = Buffer.from(random.bytes(PACKET_BYTES));
  responseDigest(bytes, key, theirDigest).copy(bytes, PACKET_BYTES - DIGEST_BYTES);
  return bytes;
}

function responseDigest(bytes: Buffer, key: Buffer, theirDigest: Buffer): Buffer {
  const derived = createHmac("sha256", key).update(theirDigest).digest();
  return createHmac("sha256", derived)
    .update(bytes.subarray(0, PACKET_BYTES - DIGEST_BYTES))
    .digest();
}

/** For tests: is this C2 or S2 the answer to that digest? */
export function answersDigest(bytes: Buffer, by: "player" | "server", theirDigest: Buffer): boolean {
  const expected = responseDigest(bytes, by === "player" ? PLAYER_KEY : SERVER_KEY, theirDigest);
  return expected.equals(bytes.subarray(PACKET_BYTES - DIGEST_BYTES));
}
