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
