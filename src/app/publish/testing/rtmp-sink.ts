// A server that takes one publisher at a time and keeps what it demultiplexes, for the tests of everything that publishes.
import { systemClock } from "#base/clock.ts";
import { systemRandom } from "#base/random.ts";
import type { DemuxEvent } from "#media/demux.ts";
import { flvDemuxer } from "#media/flv/demux.ts";
import type { Track } from "#media/session-log/entries.ts";
import { nodeNetwork } from "#platform/network/drivers/node.ts";
import { type RtmpServerEvent, RtmpServerSession } from "#protocols/rtmp/server.ts";

export type SinkUnit = Extract<DemuxEvent, { kind: "unit" }>;

export type RtmpSink = Readonly<{
  port: number;
  /** With the good key. */
  url: string;
  tracks: () => readonly Track[];
  units: () => readonly SinkUnit[];
  /** Losses and unsupported tracks, in words. */
  troubles: () => readonly string[];
  publishers: () => number;
  cleanEnds: () => number;
  /** Resolves when `holds` does, asked after each event; rejects after timeoutMs. */
  until: (holds: () => boolean, timeoutMs: number) => Promise<void>;
  /** Cut whoever publishes now. */
  cut: () => void;
  close: () => Promise<void>;
}>;

export async function rtmpSink(): Promise<RtmpSink> {
  const clock = systemClock();
  const units: SinkUnit[] = [];
  const troubles: string[] = [];
  let tracks: readonly Track[] = [];
  let publishers = 0;
  let cleanEnds = 0;
  const watchers = new Set<() => void>();
  let cut = () => {};
  const listener = await nodeNetwork().listenTcp({ host: "127.0.0.1", port: 0 }, (connection) => {
    const demuxer = flvDemuxer((event) => {
      if (event.kind === "unit") units.push(event);
      else if (event.kind === "tracks") tracks = event.tracks;
      else if (event.kind === "loss") troubles.push(event.detail);
      else if (event.kind === "unsupported") troubles.push(event.what);
    });
    const on = (event: RtmpServerEvent) => {
      if (event.kind === "publish" && event.query.key !== "good") {
        const description = "publish.key_refused: the key is not one of this channel's";
        session.refusePublish(event.streamId, { level: "error", code: "NetStream.Publish.Denied", description });
        connection.end();
      } else if (event.kind === "publish") {
        publishers += 1;
        session.acceptPublish(event.streamId);
      } else if (event.kind === "media") demuxer.tag(event.type, event.timestampMs, event.body);
      else if (event.kind === "unpublish") cleanEnds += 1;
      else if (event.kind === "failed") {
        troubles.push(event.error.message);
        connection.destroy();
      }
    };
    const send = (bytes: Uint8Array) => void connection.write(bytes);
    const session = new RtmpServerSession({ clock, random: systemRandom(), send, on });
    cut = () => connection.destroy();
    connection.onData((bytes) => {
      session.receive(bytes);
      for (const watcher of [...watchers]) watcher();
    });
    connection.onClose(() => {
      session.peerClosed();
      for (const watcher of [...watchers]) watcher();
    });
  });
  return {
    port: listener.port,
    url: `rtmp://127.0.0.1:${listener.port}/live/studio?key=good`,
    tracks: () => tracks,
    units: () => units,
    troubles: () => troubles,
    publishers: () => publishers,
    cleanEnds: () => cleanEnds,
    until: (holds, timeoutMs) =>
      new Promise((resolve, reject) => {
        const watcher = () => {
          if (!holds()) return;
          clearTimeout(timer);
          watchers.delete(watcher);
          resolve();
        };
        const timer = setTimeout(() => {
          watchers.delete(watcher);
          reject(new Error(`not within ${timeoutMs} ms; ${units.length} units, troubles: ${troubles.join("; ")}`));
        }, timeoutMs);
        watchers.add(watcher);
        watcher();
      }),
    cut: () => cut(),
    close: () => listener.close(),
  };
}
