// `migrate`: another server's configuration in, channels of ours out, and a word on everything that is lost on the way.
import { randomBytes } from "node:crypto";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { PlatformError } from "#base/errors.ts";
import { fromMediaMtx } from "../migrate/mediamtx.ts";
import { fromNginxRtmp } from "../migrate/nginx-rtmp.ts";
import { type ConfigFiles, readNginx } from "../migrate/nginx-syntax.ts";
import { fitted, noteText, type Outcome, outcomeYaml } from "../migrate/outcome.ts";
import { print } from "./output.ts";

export type MigrateOptions = Readonly<{ output?: string; force?: boolean; json?: boolean; streams?: string }>;

export async function migrate(from: "nginx-rtmp" | "mediamtx", config: string, options: MigrateOptions): Promise<void> {
  const outcome = fitted(outcomeOf(from, config, options));
  const yaml = outcomeYaml(outcome, `${from}: ${config}`);
  if (options.output !== undefined) write(options.output, yaml, options.force ?? false);
  if (options.json) print({ yaml, notes: outcome.notes, output: options.output ?? null });
  else if (options.output === undefined) process.stdout.write(yaml);
  else
    console.log(
      `${outcome.config.channels?.length ?? 0} channels written to ${options.output}. Read it before you use it.`,
    );
  if (!options.json) for (const note of outcome.notes) console.error(noteText(note));
}

function outcomeOf(from: "nginx-rtmp" | "mediamtx", path: string, { streams = "" }: MigrateOptions): Outcome {
  const secret = randomBytes(24).toString("base64url"); // the customer's server has to be told it
  if (from === "mediamtx") return fromMediaMtx(read(path), path, secret);
  const names = streams.split(",").filter((name) => name !== "");
  return fromNginxRtmp(readNginx(path, filesBeside(path)), { streams: names, secret });
}

/** Relative includes begin at the folder of the first file. */
function filesBeside(path: string): ConfigFiles {
  const folder = dirname(resolve(path));
  return {
    find: (pattern) => globSync(resolve(folder, pattern)).sort(),
    read,
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new PlatformError("config.invalid", `${path} cannot be read: ${(cause as Error).message}.`, { cause });
  }
}

function write(path: string, text: string, force: boolean): void {
  try {
    writeFileSync(path, text, { flag: force ? "w" : "wx", mode: 0o600 }); // it holds keys
  } catch (cause) {
    const exists = (cause as NodeJS.ErrnoException).code === "EEXIST";
    const why = exists ? "is there already: --force overwrites it" : `cannot be written: ${(cause as Error).message}`;
    throw new PlatformError("config.invalid", `${path} ${why}.`, { cause });
  }
}
