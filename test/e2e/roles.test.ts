// The same code, split: gateway, origin and control as three installations that know each other by address only.
import { strict as assert } from "node:assert";
import { createServer } from "node:net";
import { test } from "node:test";
import {
  AAC,
  eventually,
  ffmpeg,
  H264,
  install,
  sessionIn,
  TEST_AUDIO,
  TEST_VIDEO,
  unlessInstalled,
} from "./installation.ts";

/** A port nobody listens on now: control's address must be known before it starts. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

test("--roles gateway, origin and control as three processes", { skip: unlessInstalled("ffmpeg") }, async () => {
  const controlPort = await freePort();
  const secrets = {
    CONTINUITY_CLUSTER_SECRET: "a-secret-of-thirty-two-characters-",
    CONTINUITY_ADMIN_TOKEN: "admin-token-of-the-test",
    CONTINUITY_PUBLISH_KEY: "publish-key-of-the-test",
    CONTINUITY_CONTROL_URL: `http://127.0.0.1:${controlPort}`,
  };
  const gateway = await install({ args: ["--roles", "gateway"], env: secrets });
  const withGateway = { ...secrets, CONTINUITY_GATEWAY_URL: gateway.url };
  const origin = await install({ args: ["--roles", "origin"], env: withGateway });
  const control = await install({
    args: ["--roles", "control", "--port", String(controlPort)],
    env: { ...withGateway, CONTINUITY_ORIGIN_URLS: origin.url },
  });
  try {
    const to = `rtmp://127.0.0.1:${gateway.rtmpPort}/live/cam?key=${secrets.CONTINUITY_PUBLISH_KEY}`;
    const source = ffmpeg([...TEST_VIDEO(), ...TEST_AUDIO, ...H264(), ...AAC, "-f", "flv", to]);
    await sessionIn(control, "cam", "live");
    for (const url of [origin.url, control.url]) {
      const text = await eventually(`${url} serves the playlist`, async () => {
        const response = await fetch(`${url}/live/cam/index.m3u8`);
        return response.ok && (await response.text());
      });
      assert.match(text, /RESOLUTION=640x360/);
    }
    await source.end();
    await eventually("it ends", async () => {
      const { items } = await control.get("/api/v1/sessions");
      return items.every((s: { state: string }) => s.state === "ended");
    });
  } finally {
    await Promise.all([control.stop(), gateway.stop(), origin.stop()]);
  }
});
