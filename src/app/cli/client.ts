// How commands find and ask a running installation: `up` leaves its address in the data folder, beside the token.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isErrorCode, PlatformError } from "#base/errors.ts";
import type { Ports } from "../supervisor/messages.ts";

export type ClientOptions = Readonly<{ data?: string; url?: string; token?: string; json?: boolean }>;

/** What `up` writes to RUN_FILE when it listens. */
export type RunFile = Ports & Readonly<{ url: string; pid: number; startedAt: string }>;
export const RUN_FILE = "run.json";
const DATA_DEFAULT = ".continuity";

export interface Client {
  readonly url: string;
  /** @throws PlatformError network.unreachable, or the code the API answered */
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body?: unknown): Promise<T>;
  /** @param revision what the thing must still be, else channel.changed_meanwhile */
  send<T>(method: "PUT" | "PATCH" | "DELETE", path: string, body?: unknown, revision?: string): Promise<T>;
}

const TIMEOUT_MS = 10_000;

export function dataFolder(options: ClientOptions): string {
  return options.data ?? process.env.CONTINUITY_DATA ?? DATA_DEFAULT;
}

/** @returns null when no installation ever ran there
 *  @throws PlatformError config.invalid when the file is somebody else's */
export async function readRunFile(folder: string): Promise<RunFile | null> {
  const file = join(folder, RUN_FILE);
  const text = await readFile(file, "utf8").catch(() => null);
  try {
    return text === null ? null : (JSON.parse(text) as RunFile);
  } catch (cause) {
    throw new PlatformError("config.invalid", `${file} is not what \`up\` writes: delete it, and start again.`, {
      cause,
    });
  }
}

export async function readKey(folder: string, name: "admin-token" | "publish-key"): Promise<string | null> {
  const text = await readFile(join(folder, "keys", name), "utf8").catch(() => null);
  return text?.trim() ?? null;
}

/** @throws PlatformError network.unreachable when neither option nor data folder says where to ask */
export async function connect(options: ClientOptions): Promise<Client> {
  const folder = dataFolder(options);
  const own = (await readRunFile(folder))?.url;
  const url = options.url ?? process.env.CONTINUITY_URL ?? own;
  if (url === undefined)
    throw new PlatformError(
      "network.unreachable",
      `Nothing has run in ${folder}: start it with \`npm start\`, or name its --data folder or --url.`,
    );
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ""))
    throw new PlatformError("config.invalid", `"${url}" is no address: write it like http://127.0.0.1:8080.`);
  // The folder's token is its own installation's: it goes to no other address.
  const kept =
    own !== undefined && new URL(own).host === new URL(url).host ? await readKey(folder, "admin-token") : null;
  const token = options.token ?? process.env.CONTINUITY_ADMIN_TOKEN ?? kept;
  return {
    url,
    get: (path) => ask({ url, token, method: "GET", path }),
    post: (path, body) => ask({ url, token, method: "POST", path, body }),
    send: (method, path, body, revision) => ask({ url, token, method, path, body, revision }),
  };
}

type Question = Readonly<{
  url: string;
  token: string | null;
  method: string;
  path: string;
  body?: unknown;
  revision?: string | undefined;
}>;

async function ask<T>({ url, token, method, path, body, revision }: Question): Promise<T> {
  const headers: Record<string, string> = {};
  if (revision !== undefined) headers["if-match"] = `"${revision}"`;
  if (token !== null) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(new URL(path, url), {
    method,
    headers,
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch((cause) => {
    throw new PlatformError("network.unreachable", `${url} does not answer. Is it running?`, { cause });
  });
  const value = parsed(await response.text());
  if (value === undefined)
    throw new PlatformError(
      "network.unreachable",
      `What answers at ${url} is not Continuity (HTTP ${response.status}).`,
    );
  if (response.ok) return value as T;
  const { code = "", detail = "" } = Object(value) as { code?: string; detail?: string };
  throw new PlatformError(isErrorCode(code) ? code : "network.unreachable", `${detail} (HTTP ${response.status})`);
}

/** Undefined for what is not JSON; null for nothing. */
function parsed(text: string): unknown {
  try {
    return text === "" ? null : JSON.parse(text);
  } catch {
    return undefined;
  }
}
