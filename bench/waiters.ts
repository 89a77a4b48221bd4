// 10 000 viewers wait for one part of one playlist; how long after the first of them is the last one answered?
import { connect, type Socket } from "node:net";
import { eventually, install } from "../test/e2e/installation.ts";
import type { Figure } from "./report.ts";
import { publish, sourceFile } from "./source.ts";
import { percentile } from "./statistics.ts";

const CONNECT_AT_ONCE = 200;

export async function waiters(folder: string, count: number): Promise<Figure[]> {
  const installation = await install();
  const publisher = await publish(sourceFile(folder), {
    host: "127.0.0.1",
    port: installation.rtmpPort,
    path: `/live/crowd?key=${installation.publishKey}`,
  });
  const sockets: Socket[] = [];
  try {
    const url = new URL(`${installation.url}/live/crowd/v360.m3u8`);
    await eventually("the playlist", async () => (await fetch(url)).ok);
    while (sockets.length < count) {
      const batch = Array.from({ length: Math.min(CONNECT_AT_ONCE, count - sockets.length) }, () => open(url));
      sockets.push(...(await Promise.all(batch)));
    }
    const spans: number[] = [];
    for (let round = 0; round < 5; round += 1) spans.push(...(await release(sockets, url)));
    return [
      {
        name: `${count} waiters on one part, p99`,
        ours: percentile(spans, 0.99),
        unit: "ms",
        peer: null,
        goal: 150,
        note: `after the first answer; median ${percentile(spans, 0.5).toFixed(0)} ms, last ${Math.max(...spans).toFixed(0)} ms; client and server share two cores, and some 70 % of the server's time are the kernel's socket writes; 5 rounds`,
      },
    ];
  } finally {
    for (const socket of sockets) socket.destroy();
    await publisher.stop();
    await installation.stop();
  }
}

function open(url: URL): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(url.port), url.hostname, () => resolve(socket));
    socket.setNoDelay(true).once("error", reject);
  });
}

/** All ask for the part after next, so that all wait when it comes. @returns ms after the first answer, of each */
async function release(sockets: readonly Socket[], url: URL): Promise<number[]> {
  const text = await (await fetch(url)).text();
  const first = Number(/#EXT-X-MEDIA-SEQUENCE:(\d+)/.exec(text)![1]);
  const whole = text.match(/#EXTINF/g)?.length ?? 0;
  const request = Buffer.from(
    `GET ${url.pathname}?_HLS_msn=${first + whole + 1}&_HLS_part=2 HTTP/1.1\r\nHost: ${url.host}\r\nAccept-Encoding: gzip\r\n\r\n`,
  );
  const answered = await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<number>((resolve, reject) => {
          let missing = -1;
          let head = Buffer.alloc(0);
          const onData = (bytes: Buffer) => {
            if (missing < 0) {
              head = Buffer.concat([head, bytes]);
              const end = head.indexOf("\r\n\r\n");
              if (end < 0) return;
              const lines = head.toString("latin1", 0, end);
              if (!lines.startsWith("HTTP/1.1 200")) return reject(new Error(lines));
              missing = Number(/content-length: (\d+)/i.exec(lines)![1]) - (head.length - end - 4);
            } else missing -= bytes.length;
            if (missing > 0) return;
            socket.off("data", onData);
            resolve(performance.now());
          };
          socket.on("data", onData);
          socket.write(request);
        }),
    ),
  );
  const earliest = Math.min(...answered);
  return answered.map((atMs) => atMs - earliest);
}
