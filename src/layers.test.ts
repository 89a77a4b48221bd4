// The folder list is the architecture: an import may only point up the ORDER, sub-folders of SPLIT layers stand alone,
// and only app/ and sim/ name a driver. Static, dynamic and side-effect imports are all resolved.
import { strict as assert } from "node:assert";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";

const ORDER = ["base", "media", "protocols", "platform", "modules", "control", "api", "console", "app", "sim"];
const SPLIT = ["protocols", "platform", "modules"];
const src = import.meta.dirname;

type Home = { height: number; layer: string; part: string; driver: boolean };

function home(path: string): Home {
  const [layer = "", part = ""] = path.split("/");
  return {
    height: ORDER.indexOf(layer),
    layer,
    part: SPLIT.includes(layer) ? part : "",
    driver: path.includes("/drivers/"),
  };
}

function allowed(from: Home, to: Home): boolean {
  if (from.layer === "console") return to.layer === "console"; // it knows only the HTTP API
  if (to.layer === "console") return false;
  const order = from.height > to.height || (from.height === to.height && from.part === to.part);
  return order && (!to.driver || from.driver || from.height >= ORDER.indexOf("app"));
}

/** Files under src/ that a file imports, as paths from src/; packages are left out. */
function targets(file: string, text: string): string[] {
  const specifiers = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*["']([^"']+)["']/g)].map((match) => match[1]!);
  return specifiers.flatMap((specifier) => {
    if (specifier.startsWith("#")) return [specifier.slice(1)];
    if (specifier.startsWith(".")) return [normalize(join(dirname(file), specifier))];
    return [];
  });
}

const files = globSync("**/*.{ts,tsx}", { cwd: src });

test("imports keep the layer order; only app and sim name a driver", () => {
  for (const file of files.filter((name) => !name.endsWith(".test.ts") && !name.includes("/testing/")))
    for (const target of targets(file, readFileSync(join(src, file), "utf8")))
      assert.ok(allowed(home(file), home(target)), `${file} must not import ${target}`);
});

test("every file lies in a known layer", () => {
  for (const file of files.filter((name) => name !== "layers.test.ts"))
    assert.ok(home(file).height >= 0, `${file} is in no layer`);
});

test("the rule can fail: each kind of wrong import is refused", () => {
  const wrong: [string, string][] = [
    ["base/log.ts", "media/time/rate.ts"],
    ["modules/origin/a.ts", "modules/ingest/b.ts"],
    ["modules/origin/a.ts", "platform/journal/drivers/file.ts"],
    ["console/main.tsx", "api/routes.ts"],
    ["api/routes.ts", "app/config.ts"],
  ];
  for (const [from, to] of wrong) assert.equal(allowed(home(from), home(to)), false, `${from} -> ${to}`);
  assert.deepEqual(targets("a/b.ts", 'import "../c/d.ts"; await import("#e/f.ts"); export * from "./g.ts";'), [
    "c/d.ts",
    "e/f.ts",
    "a/g.ts",
  ]);
});

test("below app/ nobody takes the clock, chance or the environment from the system", () => {
  const forbidden = /\b(Date\.now\(|Math\.random\(|performance\.now\(|process\.env|new Date\(\))/;
  const own = ["base/clock.ts", "base/random.ts"]; // where the injected ones are made
  for (const file of files.filter((name) => !name.endsWith(".test.ts") && !own.includes(name))) {
    const { layer } = home(file);
    if (["app", "sim", "console"].includes(layer) || file.includes("/drivers/") || file.includes("/testing/")) continue;
    assert.ok(!forbidden.test(readFileSync(join(src, file), "utf8")), `${file} reads the clock, chance or environment`);
  }
});
