// What is run so that something comes in on a channel: the demo's generator, and pulls.
import { createHash } from "node:crypto";
import type { SourceSpec } from "#control/reconcile.ts";
import type { Channel, Input, PullInput } from "#media/channel.ts";
import type { RoleContext } from "./process.ts";

/** A pull that is refused with it asks control for another by leaving. */
const PULL_TOKEN_SECONDS = 86_400;

export const isOnDemand = (input: Input): boolean => input.kind === "pull" && (input.onDemand ?? false);

/** None while the addresses it takes are not known. */
export function sourcesOf(context: RoleContext, channel: Channel): SourceSpec[] {
  if (channel.origin === "demo") return demoSource(context, channel);
  const pulls = channel.inputs.filter((input): input is PullInput => input.kind === "pull");
  return pulls.flatMap((input, i) => pullSource(context, channel, input, i));
}

/** The demo publishes like anybody else, to its own channel with the publish key. */
function demoSource({ peers, secrets }: RoleContext, { name }: Channel): SourceSpec[] {
  const { rtmpPort } = peers();
  if (rtmpPort === null) return [];
  const url = `rtmp://127.0.0.1:${rtmpPort}/live/${name}?key=${secrets.publishKey}`;
  return [
    {
      id: `demo-source-${name}`,
      role: "demo-source",
      channel: name,
      onDemand: true,
      specHash: `demo-1-${rtmpPort}`,
      env: async () => ({ CONTINUITY_PUBLISH_URL: url }),
    },
  ];
}

function pullSource(
  { peers, keys, config }: RoleContext,
  { name }: Channel,
  input: PullInput,
  at: number,
): SourceSpec[] {
  const { gatewayUrl } = peers();
  if (gatewayUrl === null) return [];
  const putUrl = new URL(`/ingest/${name}.mpegts`, gatewayUrl).href;
  return [
    {
      id: `pull-${name}.${at}`,
      role: "pull",
      channel: name,
      onDemand: input.onDemand ?? false,
      specHash: `pull-1-${createHash("sha256").update(`${putUrl} ${input.url}`).digest("hex").slice(0, 16)}`,
      env: async () => ({
        CONTINUITY_PULL_URL: input.url,
        CONTINUITY_PUT_URL: putUrl,
        CONTINUITY_CHANNEL: name,
        CONTINUITY_PULL_TOKEN: await keys.mint({ kind: "publish", channel: name }, PULL_TOKEN_SECONDS),
        CONTINUITY_LOG_LEVEL: config.logLevel,
      }),
    },
  ];
}
