// What tests of inputs share: an installation with a configuration file of its own, ports for programs that cannot say
// which one they took, and the strict checker's word on a channel.
import { strict as assert } from "node:assert";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runChecker } from "../checker/checker.ts";
import { eventually, type Installation, withInstallation } from "./installation.ts";

export async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "continuity-e2e-"));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Free a moment ago, for both TCP and UDP as good as always. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** @param more keys of the configuration besides channels */
export async function withConfig(
  channels: readonly object[],
  body: (installation: Installation, folder: string) => Promise<void>,
  more: object = {},
): Promise<void> {
  await inFolder(async (folder) => {
    const config = join(folder, "continuity.yaml");
    await writeFile(config, JSON.stringify({ demo: false, channels, ...more })); // JSON is YAML
    await withInstallation({ args: ["--config", config] }, (installation) => body(installation, folder));
  });
}

/** The strict checker finds nothing in a channel's playlists. @param toleranceMs what many things at once may cost */
export async function checked(
  installation: Installation,
  channel: string,
  reloads = 12,
  toleranceMs = 900,
): Promise<void> {
  const url = `${installation.url}/live/${channel}/index.m3u8`;
  await eventually(`a playlist of ${channel}`, async () => (await fetch(url)).ok, 40_000);
  const report = await runChecker({ url, reloads, toleranceMs });
  assert.deepEqual(report.findings, [], channel);
}
