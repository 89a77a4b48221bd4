// Heads of MPEG audio, AC-3, E-AC-3, Opus and LATM that no encoder at hand makes.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { PlatformError } from "#base/errors.ts";
import { seededRandom } from "#base/random.ts";
import { ADTS } from "./adts.ts";
import { type AudioSyntax, splitUnits } from "./audio-syntax.ts";
import { DOLBY, parseDolby } from "./dolby.ts";
import { latmSyntax } from "./latm.ts";
import { MPEG_AUDIO, parseMpegAudio } from "./mpeg-audio.ts";
import { buildOpusConfig, opusLayout, opusSamples, opusSyntax, parseOpusHead } from "./opus.ts";
import { BitWriter } from "./testing/parameter-set-writer.ts";

const bits = (write: (out: BitWriter) => void, length: number): Buffer => {
  const out = new BitWriter();
  write(out);
  return Buffer.concat([out.bytes(), Buffer.alloc(length)]).subarray(0, length);
};

test("MPEG audio: layers, versions and lengths", () => {
  const head = (hex: string) => {
    const found = parseMpegAudio(Buffer.from(hex, "hex"), 0);
    return found && [found.codec, found.sampleRate, found.channels, found.samples, found.frameBytes];
  };
  assert.deepEqual(head("fffb9064"), ["mp3", 44_100, 2, 1152, 417]);
  assert.deepEqual(head("fffb9264"), ["mp3", 44_100, 2, 1152, 418]); // padded
  assert.deepEqual(head("fffd84c4"), ["mp2", 48_000, 1, 1152, 384]);
  assert.deepEqual(head("fff38064"), ["mp3", 22_050, 2, 576, 208]); // MPEG-2
  assert.deepEqual(head("ffe38064"), ["mp3", 11_025, 2, 576, 417]); // MPEG-2.5
  for (const none of ["fffbf064", "fffb0064", "fffb9c64", "ffeb9064", "ffff9064", "fff99064", "7ffb9064"])
    assert.equal(head(none), null, none); // bit rates, sample rate, version, layers I and none, sync
});

/** A sync frame of E-AC-3. @param type 0 independent, 1 dependent @param blocks code of the number of blocks */
function eac3(type: number, substream: number, bytes: number, map?: number, blocks = 3): Buffer {
  return bits((out) => {
    out
      .u(0x0b77, 16)
      .u(type, 2)
      .u(substream, 3)
      .u(bytes / 2 - 1, 11)
      .u(0, 2)
      .u(blocks, 2);
    out
      .u(type === 0 ? 7 : 2, 3)
      .u(type === 0 ? 1 : 0, 1)
      .u(16, 5)
      .u(31, 5)
      .u(0, 1);
    if (type === 1) {
      out.u(map === undefined ? 0 : 1, 1);
      if (map !== undefined) out.u(map, 16);
    }
  }, bytes);
}

test("E-AC-3: dependent substreams add channels and belong to the unit", () => {
  const unit = Buffer.concat([eac3(0, 0, 300), eac3(1, 0, 200, 1 << (15 - 6))]); // Lrs/Rrs
  const { units, left } = splitUnits(DOLBY, Buffer.concat([unit, unit]));
  assert.equal(left, 0);
  assert.deepEqual(
    units.map((found) => [found.unit.length, found.samples]),
    [
      [500, 1536],
      [500, 1536],
    ],
  );
  const described = DOLBY.describe(units[0]!.unit, units[0]!.head)!;
  assert.deepEqual([described.codec, described.channels, described.samplesPerUnit], ["eac3", 8, 1536]);
  // data rate 125 kbit/s, one independent substream: 48 kHz, bsid 16, 3/2 with LFE, one dependent, chan_loc Lrs/Rrs
  assert.equal(Buffer.from(described.config).toString("hex"), "03e8200f0202");
});

test("E-AC-3: frames of few blocks are joined to units of 1536 samples", () => {
  const frames = Array.from({ length: 8 }, () => eac3(0, 0, 100, undefined, 1)); // 2 blocks: 512 samples
  const { units } = splitUnits(DOLBY, Buffer.concat(frames));
  assert.deepEqual(
    units.map(({ samples, unit }) => [samples, unit.length]),
    [
      [1536, 300],
      [1536, 300],
      [1024, 200],
    ],
  );
});

test("AC-3: lengths at all rates, and the low frequency channel behind mixing levels", () => {
  const ac3 = (rate: number, size: number, channelMode: number, mixBits: number, lfe: number) =>
    bits(
      (out) =>
        out.u(0x0b77, 16).u(0, 16).u(rate, 2).u(size, 6).u(8, 5).u(0, 3).u(channelMode, 3).u(0, mixBits).u(lfe, 1),
      8,
    );
  const read = (bytes: Buffer) => parseDolby(bytes, 0)!;
  assert.deepEqual(read(ac3(0, 28, 7, 4, 1)).frameBytes, 384 * 4);
  assert.deepEqual(read(ac3(1, 28, 2, 2, 0)).frameBytes, 1670); // 44.1 kHz: 835 words, or one more
  assert.deepEqual(read(ac3(1, 29, 2, 2, 0)).frameBytes, 1672);
  assert.deepEqual(read(ac3(2, 28, 1, 0, 1)).frameBytes, 384 * 6);
  for (const [mode, mixBits, channels] of [
    [1, 0, 1],
    [2, 2, 2],
    [3, 2, 3],
    [4, 2, 3],
    [7, 4, 5],
  ] as const)
    for (const lfe of [0, 1]) {
      const bytes = ac3(0, 28, mode, mixBits, lfe);
      assert.equal(DOLBY.describe(bytes, DOLBY.read(bytes, 0) as never)!.channels, channels + lfe);
    }
  assert.equal(parseDolby(ac3(3, 28, 2, 2, 0), 0), null);
  assert.equal(parseDolby(ac3(0, 38, 2, 2, 0), 0), null);
});

test("Opus: how long packets last, and layouts", () => {
  const samples = (...bytes: number[]) => opusSamples(Uint8Array.from(bytes));
  assert.deepEqual([samples(0xfc), samples(0xe0), samples(0x00), samples(0x18)], [960, 120, 480, 2880]);
  assert.deepEqual(
    [samples(0xfd), samples(0xff, 3), samples(0x1b, 2), samples(0x60), samples(0x68)],
    [1920, 2880, 5760, 480, 960],
  );
  assert.deepEqual([samples(), samples(0xff), samples(0xff, 0), samples(0x1b, 3)], [null, null, null, null]);
  const head = Buffer.from("4f707573486561640106380180bb00000000010402000401020305", "hex");
  const layout = parseOpusHead(head);
  assert.deepEqual([layout.channels, layout.preSkip, layout.inputRate, layout.family], [6, 312, 48_000, 1]);
  assert.equal(buildOpusConfig(layout).toString("hex"), "000601380000bb800000010402000401020305");
  assert.deepEqual(opusLayout(6).mapping, layout.mapping);
  assert.throws(() => parseOpusHead(head.subarray(0, 24)), { code: "media.truncated" });
  assert.throws(() => parseOpusHead(Buffer.alloc(19)), { code: "media.malformed" });
  assert.throws(() => opusLayout(9), { code: "media.unsupported" });
});

test("Opus in MPEG-TS: trims and extensions stand before the packet", () => {
  const syntax = opusSyntax(opusLayout(2));
  const packet = Buffer.concat([Buffer.of(0xfc), Buffer.alloc(299, 9)]);
  const unit = Buffer.concat([Buffer.of(0x7f, 0xfc, 255, 45, 0x01, 0x38, 0, 0, 2, 0xaa, 0xbb), packet]);
  const { units, left } = splitUnits(syntax, Buffer.concat([unit, unit]));
  assert.deepEqual([units.length, left], [2, 0]);
  assert.ok(units[0]!.unit.subarray(units[0]!.head.skipBytes).equals(packet));
  for (let length = 0; length < 12; length += 1) assert.equal(syntax.read(unit.subarray(0, length), 0), "more");
});

test("LATM: the configuration comes now and then, in both versions", () => {
  const payload = Buffer.from([1, 2, 3, 4, 5, 0xff]);
  const loas = (element: Buffer) =>
    Buffer.concat([Buffer.of(0x56, 0xe0 | (element.length >> 8), element.length & 255), element]);
  const frame = (out: BitWriter) => {
    out.u(payload.length, 8);
    for (const byte of payload) out.u(byte, 8);
  };
  const config = (out: BitWriter) => out.u(2, 5).u(4, 4).u(2, 4).u(0, 3); // LC, 44.1 kHz, stereo
  const first = (version: 0 | 1, other = false) => {
    const out = new BitWriter().u(0, 1).u(version, 1);
    if (version === 1) out.u(0, 1).u(0, 2).u(7, 8);
    out.u(1, 1).u(0, 6).u(0, 4).u(0, 3);
    if (version === 1) out.u(0, 2).u(16 + 4, 8);
    config(out);
    if (version === 1) out.u(0, 4);
    out
      .u(0, 3)
      .u(0xff, 8)
      .u(other ? 1 : 0, 1);
    if (other && version === 1) out.u(0, 2).u(9, 8);
    else if (other) out.u(1, 1).u(1, 8).u(0, 1).u(1, 8);
    out.u(other ? 1 : 0, 1);
    if (other) out.u(0x5a, 8);
    frame(out);
    return loas(out.bytes());
  };
  const again = new BitWriter().u(1, 1);
  frame(again);
  for (const opening of [first(0), first(1), first(0, true), first(1, true)]) {
    const syntax = latmSyntax();
    const stream = Buffer.concat([loas(again.bytes()), opening, loas(again.bytes())]);
    const { units, left } = splitUnits(syntax, stream);
    assert.deepEqual([units.length, left], [3, 0]);
    const described = units.map(({ unit, head }) => syntax.describe(unit, head));
    assert.equal(described[0], null); // nobody knows yet
    assert.deepEqual([described[2]!.sampleRate, described[2]!.channels, described[2]!.codec], [44_100, 2, "aac"]);
    assert.equal(Buffer.from(described[2]!.config).toString("hex", 0, 2), "1210");
    for (const { unit } of units) assert.deepEqual(syntax.payload!(unit), payload);
  }
  const two = new BitWriter().u(0, 1).u(0, 1).u(1, 1).u(1, 6).u(0, 4).u(0, 3);
  const unit = loas(two.bytes());
  assert.throws(() => latmSyntax().describe(unit, {} as never), { code: "media.unsupported" });
});

test("no bytes make a head that is not one", () => {
  const random = seededRandom(23);
  const syntaxes: AudioSyntax[] = [ADTS, MPEG_AUDIO, DOLBY, opusSyntax(opusLayout(2)), latmSyntax()];
  let described = 0;
  for (let i = 0; i < 30_000; i += 1) {
    const syntax = syntaxes[i % syntaxes.length]!;
    const bytes = Buffer.from(random.bytes(random.int(0, 40)));
    if (bytes.length > 2) bytes.set([syntax.firstByte, random.next() < 0.5 ? 0x77 : bytes[1]! | 0xe0], 0);
    const { units, left } = splitUnits(syntax, bytes);
    assert.ok(left >= 0 && left <= bytes.length);
    for (const { unit, head } of units) {
      assert.ok(head.frameBytes > 0 && head.sampleRate > 0 && head.skipBytes <= head.frameBytes);
      try {
        const track = syntax.describe(unit, head);
        syntax.payload?.(unit);
        if (track) described += 1;
        assert.ok(!track || (track.channels > 0 && track.samplesPerUnit > 0));
      } catch (error) {
        assert.ok(error instanceof PlatformError, String(error));
      }
    }
  }
  assert.ok(described > 20, `${described}`);
});
