// The API over HTTP, on a control that a test moves by hand.
import { request as httpRequest } from "node:http";
import { systemClock } from "#base/clock.ts";
import { jsonLog } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { createHouse } from "#control/testing/house.ts";
import { channelDefaults } from "#media/channel.ts";
import { listenHttp } from "#platform/network/drivers/http-server.ts";
import { prometheusExposition } from "#platform/telemetry/drivers/prometheus.ts";
import { createApi } from "../api.ts";

export const TOKEN = "the-admin-token-of-this-test";
// biome-ignore lint/suspicious/noExplicitAny: answers are checked against their schemas
export type Json = any;
const FILE_CHANNEL = { channel: { ...channelDefaults, name: "fixed", origin: "file" as const }, keys: [] };

export async function start(boundHost = "127.0.0.1") {
  const lines: string[] = [];
  const log = jsonLog("debug", {}, (line) => void lines.push(line));
  const house = await createHouse({ log, configured: [FILE_CHANNEL] });
  const api = await createApi({
    log,
    clock: { ...systemClock(), utcNs: house.clock.utcNs }, // one idea of the date, and timers that run
    random: seededRandom(2),
    control: house.control,
    channels: house.channels,
    exposition: prometheusExposition(),
    access: { adminToken: TOKEN, boundHost, publicHosts: ["live.example.org", "other.example.org:8443"] },
    version: "1.2.3",
    facts: () => ({ rtmpPort: 1935 }),
  });
  const server = await listenHttp({ host: "127.0.0.1", port: 0, handlers: [api.handler] });
  type Options = { method?: string; body?: unknown; headers?: Record<string, string>; token?: string | null };
  /** Over node:http, which lets a test set Host. */
  const ask = (path: string, { method = "GET", body, headers = {}, token = TOKEN }: Options = {}) =>
    new Promise<{ status: number; headers: Record<string, unknown>; text: string; json: Json }>((resolve, reject) => {
      const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
      const type = body === undefined ? {} : { "content-type": "application/json" };
      const sent = httpRequest(
        server.url + path,
        { method, agent: false, headers: { ...authorization, ...type, ...headers } },
        (answer) => {
          let text = "";
          answer.setEncoding("utf8").on("data", (chunk) => (text += chunk));
          answer.on("end", () => {
            const json =
              String(answer.headers["content-type"]).includes("json") && text !== "" ? JSON.parse(text) : null;
            resolve({ status: answer.statusCode!, headers: answer.headers, text, json });
          });
        },
      );
      sent.on("error", reject);
      sent.end(body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body));
    });
  return {
    house,
    server,
    ask,
    lines,
    async close() {
      await api.close();
      await server.close();
      await house.control.close();
    },
  };
}
