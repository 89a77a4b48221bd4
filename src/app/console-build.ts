// Builds the web console into a folder and ends: `node src/app/console-build.ts FOLDER` (`npm run build:console`).
// A process of its own, because Vite and its compiler take 100 MB that a server would never give back.
// Two pages, one build: what a viewer downloads has nothing of the console in it, and the console none of the player.
// Nothing is inlined, so that the pages run under a content policy without exceptions; and what pays for it is
// compressed here, once.
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { build } from "vite";
import { CONSOLE_SOURCES, consoleKey, KEY_FILE } from "./console-bundle.ts";

const COMPRESSED = /\.(html|js|css|svg)$/;
/** Smaller files gain nothing worth a header. */
const COMPRESS_BYTES_MIN = 1024;

async function buildConsole(folder: string): Promise<void> {
  const key = await consoleKey();
  await build({
    configFile: false,
    root: CONSOLE_SOURCES,
    base: "/",
    logLevel: "warn",
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    build: {
      outDir: folder,
      emptyOutDir: true,
      target: "es2022",
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      chunkSizeWarningLimit: 800, // hls.js is 590 KB before compression
      rolldownOptions: {
        input: { index: join(CONSOLE_SOURCES, "index.html"), watch: join(CONSOLE_SOURCES, "watch.html") },
      },
    },
  });
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !COMPRESSED.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    if (bytes.byteLength >= COMPRESS_BYTES_MIN)
      await writeFile(`${path}.gz`, await promisify(gzip)(bytes, { level: 9 }));
  }
  await writeFile(join(folder, KEY_FILE), key);
}

/** Whoever finds the folder finds it whole: it is built beside and then named. */
async function publish(folder: string): Promise<void> {
  const beside = `${folder}.building-${process.pid}`;
  await mkdir(beside, { recursive: true });
  try {
    await buildConsole(beside);
    await rm(folder, { recursive: true, force: true });
    await rename(beside, folder);
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

const folder = process.argv[2];
if (folder === undefined) {
  console.error("usage: console-build.ts FOLDER");
  process.exitCode = 2;
} else {
  process.env.NODE_ENV = "production";
  await publish(resolve(folder));
}
