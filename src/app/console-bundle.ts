// Where the built console comes from: the image's own build, else a cache folder, else it is built into that folder now.
// A key over sources and versions says which build is the right one, so an edited source is never served stale and an
// unchanged one is never built twice.
import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PlatformError } from "#base/errors.ts";

export const CONSOLE_SOURCES = fileURLToPath(new URL("../console/", import.meta.url));
export const KEY_FILE = "key.txt";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BUILD_ENTRY = fileURLToPath(new URL("./console-build.ts", import.meta.url));
/** What `npm run build:console` makes. */
const DIST = join(ROOT, "dist", "console");
/** It takes 1 to 3 s on two cores. */
const BUILD_TIMEOUT_MS = 120_000;
const BUILD_OUTPUT_CHARACTERS_MAX = 4000;
/** A build of another key that nobody asked for in so long is of no use to anybody. */
const OLD_BUILD_MS = 7 * 24 * 3600 * 1000;

export type ConsoleFile = Readonly<{
  type: string;
  bytes: Buffer;
  /** The same, compressed; null when that gains nothing. */
  gzip: Buffer | null;
  etag: string;
}>;

/** By path under the build's root: "index.html", "assets/index-1a2b3c.js". About 1 MB in all. */
export type ConsoleBundle = ReadonlyMap<string, ConsoleFile>;

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/** Changes when a source, the builder or a package that goes into the pages changes. */
export async function consoleKey(): Promise<string> {
  const hash = createHash("sha256");
  const manifest = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  for (const name of ["vite", "preact", "uplot", "hls.js"]) hash.update(`${name} ${manifest.dependencies[name]}\n`);
  hash.update(await readFile(BUILD_ENTRY));
  const entries = await readdir(CONSOLE_SOURCES, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const path of paths.sort()) {
    hash.update(`${path.slice(CONSOLE_SOURCES.length)}\n`);
    hash.update(await readFile(path));
  }
  return hash.digest("hex").slice(0, 20);
}

/** Finds or makes the right build and reads it.
 *  @param cacheFolder made when it is missing
 *  @throws PlatformError config.invalid when the build fails, with the builder's own words */
export async function openConsoleBundle(cacheFolder: string): Promise<ConsoleBundle> {
  const key = await consoleKey();
  if ((await keyOf(DIST)) === key) return readBundle(DIST);
  const folder = join(cacheFolder, `console-${key}`);
  if ((await keyOf(folder)) !== key) {
    await mkdir(cacheFolder, { recursive: true });
    await build(folder);
    await removeOld(cacheFolder, folder);
  }
  return readBundle(folder);
}

async function keyOf(folder: string): Promise<string | null> {
  return readFile(join(folder, KEY_FILE), "utf8").catch(() => null); // missing, or never finished
}

let builds = 0;

/** Two processes at once build twice, and the first to be done wins: the other's folder is the same anyway. */
async function build(folder: string): Promise<void> {
  builds += 1;
  const own = `${folder}.${process.pid}-${builds}`;
  try {
    await runBuilder(own);
    await rename(own, folder).catch(async (error) => {
      if ((await keyOf(folder)) === null) throw error; // not because the other one was there first
    });
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

function runBuilder(folder: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("CONTINUITY_")));
    const child = fork(BUILD_ENTRY, [folder], {
      env,
      execArgv: ["--disable-warning=ExperimentalWarning"],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      timeout: BUILD_TIMEOUT_MS,
      killSignal: "SIGKILL",
    });
    let output = "";
    const keep = (chunk: Buffer) => (output = (output + chunk.toString()).slice(-BUILD_OUTPUT_CHARACTERS_MAX));
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    child.on("error", (cause) =>
      reject(new PlatformError("config.invalid", "The console cannot be built.", { cause })),
    );
    child.on("close", (code, signal) => {
      if (code === 0) resolve();
      else
        reject(
          new PlatformError("config.invalid", `The console cannot be built (${signal ?? code}): ${output.trim()}`),
        );
    });
  });
}

async function removeOld(cacheFolder: string, keep: string): Promise<void> {
  for (const name of await readdir(cacheFolder)) {
    const path = join(cacheFolder, name);
    if (!name.startsWith("console-") || path === keep) continue;
    const info = await stat(path).catch(() => null); // another process may be removing it
    if (info !== null && Date.now() - info.mtimeMs > OLD_BUILD_MS) await rm(path, { recursive: true, force: true });
  }
}

async function readBundle(folder: string): Promise<ConsoleBundle> {
  const files = new Map<string, ConsoleFile>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const type = TYPES[entry.name.slice(entry.name.lastIndexOf(".") + 1)];
    if (!entry.isFile() || type === undefined) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    const compressed = `${path}.gz`;
    const has = await access(compressed).then(
      () => true,
      () => false, // too small to be worth it
    );
    const etag = `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`;
    const name = path.slice(folder.length + 1).replaceAll("\\", "/");
    files.set(name, { type, bytes, gzip: has ? await readFile(compressed) : null, etag });
  }
  return files;
}
