import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { PlatformError } from "#base/errors.ts";
import type { DemuxEvent } from "#media/demux.ts";
import { mpegtsDemuxer } from "#media/mpegts/demux.ts";
import { openRemoteInput } from "./remote-input.ts";

const recorded = (name: string) =>
  readFileSync(join(import.meta.dirname, "../../../../../test/fixtures/recorded", name));

function unitsOf(bytes: Uint8Array): Extract<DemuxEvent, { kind: "unit" }>[] {
  const events: DemuxEvent[] = [];
  const demuxer = mpegtsDemuxer((event) => events.push(event));
  demuxer.push(Buffer.from(bytes));
  demuxer.end();
  return events.filter((event) => event.kind === "unit");
}

async function serving(
  answer: (response: import("node:http").ServerResponse) => void,
  body: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer((_, response) => answer(response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}/live`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

test("every picture and sound of a remote transport stream arrives, with the distances it had", async () => {
  const file = recorded("h264-bframes.mpegts");
  await serving(
    (response) => response.writeHead(200, { "content-type": "video/mp2t" }).end(file),
    async (url) => {
      const reader = await openRemoteInput(url, new AbortController().signal);
      const pieces: Uint8Array[] = [];
      for (let piece = await reader.read(); piece; piece = await reader.read()) pieces.push(piece.bytes);
      await reader.close();
      assert.match(reader.input.streams, /h264 \d+x\d+/);
      assert.equal(reader.input.isBursty, false);
      const [sent, got] = [unitsOf(file), unitsOf(Buffer.concat(pieces))];
      assert.equal(got.length, sent.length);
      const spans = (units: typeof sent) => {
        const ticks = units.filter((unit) => unit.track === units[0]!.track).map((unit) => unit.ptsTicks);
        return ticks.map((value) => value - ticks[0]!);
      };
      assert.deepEqual(spans(got), spans(sent));
    },
  );
});

test("a stream whose clock is set back goes on, with the times that it had", async () => {
  const file = recorded("h264-bframes.mpegts"); // begun anew, as a server does that plays it in a loop
  const [early, late] = [shifted(file, 90_000), shifted(file, 400_000_000)];
  for (const row of [
    [file, file, file],
    [early, late, early],
    [late, early, late],
  ]) {
    const sent = Buffer.concat(row);
    await serving(
      (response) => response.writeHead(200, { "content-type": "video/mp2t" }).end(sent),
      async (url) => {
        const reader = await openRemoteInput(url, new AbortController().signal);
        const pieces: Uint8Array[] = [];
        for (let piece = await reader.read(); piece; piece = await reader.read()) pieces.push(piece.bytes);
        await reader.close();
        const times = (bytes: Uint8Array) => {
          const units = unitsOf(bytes);
          const ticks = units.filter(({ track }) => track === units[0]!.track).map(({ ptsTicks }) => ptsTicks);
          return ticks.map((value) => BigInt.asUintN(33, BigInt(value) - BigInt(ticks[0]!)));
        };
        assert.deepEqual(times(Buffer.concat(pieces)), times(sent));
      },
    );
  }
});

/** A recording with all its time stamps and clock references moved, ticks of 90 kHz. */
function shifted(stream: Buffer, ticks: number): Buffer {
  const bytes = Buffer.from(stream);
  const stamp = (at: number) => {
    const old =
      (BigInt(bytes[at]! >> 1) & 7n) * (1n << 30n) +
      BigInt(bytes.readUInt16BE(at + 1) >> 1) * (1n << 15n) +
      BigInt(bytes.readUInt16BE(at + 3) >> 1);
    const now = (old + BigInt(ticks)) & ((1n << 33n) - 1n);
    bytes[at] = (bytes[at]! & 0xf1) | (Number(now >> 30n) << 1);
    bytes.writeUInt16BE((Number((now >> 15n) & 0x7fffn) << 1) | 1, at + 1);
    bytes.writeUInt16BE((Number(now & 0x7fffn) << 1) | 1, at + 3);
  };
  for (let packet = 0; packet + 188 <= bytes.length; packet += 188) {
    const hasAdaptation = (bytes[packet + 3]! & 0x20) !== 0;
    const adaptation = hasAdaptation ? bytes[packet + 4]! + 1 : 0;
    if (adaptation > 6 && (bytes[packet + 5]! & 0x10) !== 0) {
      const at = packet + 6;
      const base = (BigInt(bytes.readUInt32BE(at)) << 1n) + BigInt(bytes[at + 4]! >> 7);
      const moved = (base + BigInt(ticks)) & ((1n << 33n) - 1n);
      bytes.writeUInt32BE(Number(moved >> 1n), at);
      bytes[at + 4] = (bytes[at + 4]! & 0x7f) | (Number(moved & 1n) << 7);
    }
    const pes = packet + 4 + adaptation;
    if ((bytes[packet + 1]! & 0x40) === 0 || pes + 19 > packet + 188 || bytes.readUIntBE(pes, 3) !== 1) continue;
    if ((bytes[pes + 7]! & 0x80) !== 0) stamp(pes + 9);
    if ((bytes[pes + 7]! & 0x40) !== 0) stamp(pes + 14);
  }
  return bytes;
}

test("what is no stream is refused with a code; so is what does not answer", async () => {
  const refused = async (url: string) => {
    const error = await openRemoteInput(url, new AbortController().signal).then(
      () => null,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof PlatformError, String(error));
    return error.code;
  };
  await serving(
    (response) => response.end("hello ".repeat(1000)),
    async (url) => assert.equal(await refused(url), "network.unreachable"),
  );
  await serving(
    (response) => response.writeHead(404).end(),
    async (url) => assert.equal(await refused(url), "network.unreachable"),
  );
});

test("a blocked read is freed by the signal, also while it opens", async () => {
  for (const head of [Buffer.alloc(0), recorded("h264-bframes.mpegts")]) {
    const stop = new AbortController();
    await serving(
      (response) => {
        response.writeHead(200);
        response.write(head);
      },
      async (url) => {
        const reading = (async () => {
          const reader = await openRemoteInput(url, stop.signal);
          try {
            while ((await reader.read()) !== null);
          } finally {
            await reader.close();
          }
        })();
        setTimeout(() => stop.abort(), 300);
        await assert.rejects(reading, PlatformError);
      },
    );
  }
});
