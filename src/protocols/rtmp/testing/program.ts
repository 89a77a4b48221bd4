// Other people's programs against a server session of ours on a real socket.
import { strict as assert } from "node:assert";
import { spawn, spawnSync } from "node:child_process";
import { systemClock } from "#base/clock.ts";
import { systemRandom } from "#base/random.ts";
import { nodeNetwork } from "#platform/network/drivers/node.ts";
import { type RtmpServerEvent, RtmpServerSession } from "../server.ts";

/** For a test's `skip`: false when the program can be run with these options. */
export function missing(program: string, ...options: string[]): string | false {
  const { error, status } = spawnSync(program, options, { stdio: "ignore" });
  return error || status !== 0 ? `skipped: no ${program} ${options.join(" ")}` : false;
}

export type Run = { events: RtmpServerEvent[]; status: number | null; errors: string };

/** Run a program against a server of ours. @param line its command line for the server's URL with that path */
export async function against(path: string, line: (url: string) => readonly string[]): Promise<Run> {
  const [clock, random, events] = [systemClock(), systemRandom(), [] as RtmpServerEvent[]];
  const listener = await nodeNetwork().listenTcp({ host: "127.0.0.1", port: 0 }, (socket) => {
    const server = new RtmpServerSession({
      clock,
      random,
      send: (bytes) => socket.write(bytes),
      on(event) {
        events.push(event);
        if (event.kind === "publish") setImmediate(() => server.acceptPublish(event.streamId));
        if (event.kind === "failed") socket.destroy();
        if (event.kind === "play") {
          server.refusePlay(event.streamId, { code: "NetStream.Play.StreamNotFound", description: "Not here." });
          socket.end();
        }
      },
    });
    socket.onData((bytes) => server.receive(bytes));
    socket.onClose(() => server.peerClosed());
  });
  const url = `rtmp://127.0.0.1:${listener.port}/${path}`;
  const [command, ...options] = line(url);
  const program = spawn(command!, options, { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  program.stderr.setEncoding("utf8").on("data", (text) => (errors += text));
  try {
    const status = await new Promise<number | null>((resolve) => program.on("close", resolve));
    return { events, status, errors };
  } finally {
    await listener.close();
  }
}

/** What it asked to publish. */
export const published = ({ events }: Run) => {
  const asked = events.find((event) => event.kind === "publish");
  assert.ok(asked?.kind === "publish");
  return asked;
};
