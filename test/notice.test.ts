// NOTICE says which processes load the GPL build of FFmpeg, and lawyers read it literally. Here the imports are followed
// from where each process begins: what it names can reach the package, nothing else can.
import { strict as assert } from "node:assert";
import { globSync, readFileSync } from "node:fs";
import { join, normalize } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "..");
const notice = readFileSync(join(root, "NOTICE"), "utf8");
/** Static and dynamic ones; types leave nothing behind. */
const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s+(?!type\b)(?:[^"';]*?\bfrom\s*)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/g;
const PACKAGES = /^(node-av|@seydx\/node-av)/;

/** @param withLater also what is only imported when it is needed
 *  @returns every file of ours and every package that the file brings into its process */
function closure(entry: string, withLater: boolean): Set<string> {
  const seen = new Set<string>();
  const open = [entry];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    if (!file.endsWith(".ts")) continue;
    for (const [, now, later] of readFileSync(join(root, file), "utf8").matchAll(IMPORT)) {
      const target = now ?? (withLater ? later : undefined);
      if (target === undefined) continue;
      if (target.startsWith("#")) open.push(`src/${target.slice(1)}`);
      else if (target.startsWith(".")) open.push(normalize(join(file, "..", target)));
      else open.push(target);
    }
  }
  return seen;
}

const loadsFfmpeg = (entry: string, withLater = true) =>
  [...closure(entry, withLater)].some((name) => PACKAGES.test(name));

test("the processes that NOTICE names load FFmpeg, and no others do", () => {
  const named = [...notice.matchAll(/\((src\/[\w./-]+\.ts)\)/g)].map(([, path]) => path!);
  assert.ok(named.length >= 3, `${named}`);
  const entries = [...globSync("src/app/roles/*.ts", { cwd: root }), "src/app/supervisor/supervisor.ts"];
  const loading = entries.filter((path) => !path.endsWith(".test.ts") && loadsFfmpeg(path));
  assert.deepEqual(loading.sort(), named.sort());
});

test("the command line loads it for `publish` only, when it publishes", () => {
  assert.equal(loadsFfmpeg("src/app/cli/main.ts", false), false, "with the command line itself");
  const commands = globSync("src/app/cli/*.ts", { cwd: root }).filter(
    (path) => !/\.test\.ts$|main\.ts|commands\.ts/.test(path),
  );
  assert.deepEqual(
    commands.filter((path) => loadsFfmpeg(path)),
    ["src/app/cli/publish.ts"],
  );
  assert.match(notice, /`continuity publish` and `continuity doctor`/);
});

test("the rule can fail: the driver itself reaches the package", () => {
  assert.ok(loadsFfmpeg("src/platform/av/drivers/node-av.ts", false));
  assert.ok(loadsFfmpeg("src/app/roles/worker.ts", false));
  assert.ok(closure("src/app/roles/gateway.ts", true).size > 100, "the gateway's imports are followed");
});
