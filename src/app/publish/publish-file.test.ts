// A file to a server and back: over RTMP and over HTTP, once and in a loop, and what happens when the server says no.
import { strict as assert } from "node:assert";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { systemClock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { systemRandom } from "#base/random.ts";
import type { DemuxEvent } from "#media/demux.ts";
import { mpegtsDemuxer } from "#media/mpegts/demux.ts";
import { openMediaFile } from "#platform/av/drivers/node-av/media-file.ts";
import { openTransportStream } from "#platform/av/drivers/node-av/transport-stream.ts";
import { nodeNetwork } from "#platform/network/drivers/node.ts";
import { openHttpOutput } from "./http-output.ts";
import type { OutputTracks } from "./output.ts";
import { publishFile } from "./publish-file.ts";
import { openRtmpOutput } from "./rtmp-output.ts";
import { rtmpSink } from "./testing/rtmp-sink.ts";

const clock = systemClock();
const recorded = (name: string) => fileURLToPath(new URL(`../../../test/fixtures/recorded/${name}`, import.meta.url));
const toRtmp = (url: string) => (tracks: OutputTracks) =>
  openRtmpOutput({ clock, random: systemRandom(), network: nodeNetwork() }, url, tracks);
const toHttp = (url: string) => (tracks: OutputTracks) => openHttpOutput({ clock, openTransportStream }, url, tracks);

function refused(code: string, words: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof PlatformError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, words);
    return true;
  };
}

test("in a loop over RTMP: real time, pictures and sound without a seam, a clean end when told to stop", async () => {
  const sink = await rtmpSink();
  const stop = new AbortController();
  const startMs = clock.monotonicMs();
  const running = publishFile(
    { path: recorded("h264-bframes.mpegts"), loop: true },
    { clock, openMediaFile, openOutput: toRtmp(sink.url), signal: stop.signal },
  );
  try {
    await sink.until(() => sink.units().filter(({ track }) => track === 0).length >= 65, 15_000);
    assert.ok(clock.monotonicMs() - startMs > 2300, "65 pictures of 40 ms are not sent faster than they are shown");
    stop.abort();
    const end = await running;
    assert.equal(end.pass, 2);
    await sink.until(() => sink.cleanEnds() === 1, 5000);
    assert.deepEqual(sink.troubles(), []);
    const times = (track: number) => sink.units().filter((unit) => unit.track === track);
    const decoded = times(0).map(({ dtsTicks }) => dtsTicks);
    decoded.slice(1).forEach((ms, i) => {
      assert.ok(ms >= decoded[i]!, `decode time ${ms} after ${decoded[i]}`);
    });
    // In decode order the newest ones may come before some that are shown earlier.
    const shown = times(0)
      .map(({ ptsTicks }) => ptsTicks)
      .sort((a, b) => a - b)
      .slice(0, 58);
    shown.slice(1).forEach((ms, i) => {
      assert.ok(Math.abs(ms - shown[i]! - 40) <= 1, `picture step of ${ms - shown[i]!} ms`);
    });
    const heard = times(1).map(({ ptsTicks }) => ptsTicks);
    heard.slice(1).forEach((ms, i) => {
      const step = ms - heard[i]!;
      assert.ok(step > 10 && step < 80, `sound step of ${step} ms`);
    });
  } finally {
    stop.abort();
    await running.catch(() => {});
    await sink.close();
  }
});

test("H.265 goes out in enhanced RTMP", async () => {
  const sink = await rtmpSink();
  try {
    const signal = new AbortController().signal;
    await publishFile(
      { path: recorded("hevc.mpegts"), loop: false },
      { clock, openMediaFile, openOutput: toRtmp(sink.url), signal },
    );
    await sink.until(() => sink.cleanEnds() === 1, 5000);
    const [video] = sink.tracks();
    assert.ok(video?.kind === "video" && video.codec === "hevc" && video.width === 160);
    assert.equal(sink.units().filter(({ track }) => track === 0).length, 60);
    assert.deepEqual(sink.troubles(), []);
  } finally {
    await sink.close();
  }
});

test("a refusal comes back in the server's own words, a lost connection as what it is", async () => {
  const sink = await rtmpSink();
  const signal = new AbortController().signal;
  const publish = (url: string) =>
    publishFile(
      { path: recorded("h264-bframes.mpegts"), loop: true },
      { clock, openMediaFile, openOutput: toRtmp(url), signal },
    );
  try {
    const wrong = `rtmp://127.0.0.1:${sink.port}/live/studio?key=wrong`;
    await assert.rejects(publish(wrong), refused("publish.key_refused", /the key is not one of this channel's/));
    const running = publish(sink.url);
    const lost = assert.rejects(running, refused("network.unreachable", /closed the connection/));
    await sink.until(() => sink.units().length > 10, 10_000);
    sink.cut();
    await lost;
    await assert.rejects(publish("rtmp://127.0.0.1/x"), refused("api.bad_request", /rtmp:\/\/HOST\/live/));
  } finally {
    await sink.close();
  }
  await assert.rejects(publish(sink.url), refused("network.unreachable", /Cannot connect/));
});

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/ingest/studio.mpegts?key=good`;
}

test("over HTTP as MPEG-TS: every unit arrives, and the end is clean", async () => {
  const events: DemuxEvent[] = [];
  const server = createServer((request, response) => {
    const demuxer = mpegtsDemuxer((event) => events.push(event));
    assert.equal(request.headers["transfer-encoding"], "chunked");
    request.on("data", (chunk: Buffer) => demuxer.push(chunk));
    request.on("end", () => {
      demuxer.end();
      response.writeHead(200).end();
    });
  });
  const url = await listening(server);
  try {
    const signal = new AbortController().signal;
    const end = await publishFile(
      { path: recorded("h264-aac.flv"), loop: false },
      { clock, openMediaFile, openOutput: toHttp(url), signal },
    );
    assert.ok(end.wallMs > 1700 && end.sentBytes > 10_000);
    const units = events.filter((event) => event.kind === "unit");
    assert.equal(units.filter(({ track }) => track === 0).length, 60);
    assert.ok(units.filter(({ track }) => track === 1).length >= 86);
    assert.deepEqual(
      events.filter(({ kind }) => kind === "loss" || kind === "unsupported"),
      [],
    );
    assert.equal(events.at(-1)?.kind, "end");
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test("a refusal over HTTP comes back in the server's own words", async () => {
  const server = createServer((_, response) => {
    const problem = { code: "publish.channel_busy", detail: "Somebody else publishes to studio." };
    response.writeHead(409, { "content-type": "application/problem+json", connection: "close" });
    response.end(JSON.stringify(problem));
  });
  const url = await listening(server);
  try {
    const signal = new AbortController().signal;
    await assert.rejects(
      publishFile(
        { path: recorded("h264-bframes.mpegts"), loop: true },
        { clock, openMediaFile, openOutput: toHttp(url), signal },
      ),
      refused("publish.channel_busy", /Somebody else publishes to studio/),
    );
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});
