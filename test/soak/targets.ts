// Every reader of bytes that come from elsewhere. A new one is a line here: see target.ts for what it needs.
import type { Target } from "./target.ts";
import { codecTargets } from "./targets/codecs.ts";
import { configurationTargets } from "./targets/configurations.ts";
import { containerTargets } from "./targets/containers.ts";
import { protocolTargets } from "./targets/protocols.ts";

export const targets: readonly Target[] = [
  ...containerTargets,
  ...codecTargets,
  ...protocolTargets,
  ...configurationTargets,
];
