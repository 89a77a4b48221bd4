// The guide of the configuration against the schema that the program reads it by: no key that the guide does not tell, none
// that it tells and the program refuses, and the defaults are those that apply.
import { strict as assert } from "node:assert";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readConfig } from "#app/config.ts";
import { configSchema } from "#app/config-schema.ts";
import { asSchema, type JsonSchema } from "#base/schema.ts";
import { channelDefaults } from "#media/channel.ts";
import { hookDefaults } from "#modules/hooks/types.ts";

const guide = readFileSync(join(import.meta.dirname, "../docs/guides/configuration.md"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "continuity-configuration-"));
after(() => rmSync(folder, { recursive: true }));

/** "tls.key", "ladder[].height"; of all forms that a value may have. */
function leaves(schema: JsonSchema, path = ""): string[] {
  if (schema.anyOf) return [...new Set(schema.anyOf.flatMap((form) => leaves(form, path)))];
  if (schema.type === "array") return leaves(schema.items!, `${path}[]`);
  const inner = Object.entries(schema.properties ?? {});
  if (inner.length === 0) return [path.replace(/\[\]$/, "")];
  const found = inner.flatMap(([key, value]) => leaves(value, path === "" ? key : `${path}.${key}`));
  return [...new Set(found)];
}

/** The rows of the tables below a heading: key, then default. */
function rowsOf(heading: string): [key: string, fallback: string][] {
  const section = guide.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`));
  assert.ok(section, `a section "${heading}"`);
  return [...section.matchAll(/^\| (`[^|]+) \| *([^|]*?) *\|/gm)].flatMap(([, keys, fallback]) => {
    const names = [...keys!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
    const fallbacks = fallback!.split(",").map((text) => text.trim().replaceAll("`", ""));
    return names.map((name, i): [string, string] => [name, fallbacks[i] ?? ""]);
  });
}

const isOfChannels = (key: string) => key.startsWith("channels[].");

test("the guide tells every key, and no other", () => {
  const all = leaves(asSchema(configSchema));
  const channel = all.filter(isOfChannels).map((key) => key.slice("channels[].".length));
  const sorted = (keys: Iterable<string>) => [...keys].sort();
  assert.deepEqual(
    sorted(rowsOf("Configuration").map(([key]) => key)),
    sorted([...all.filter((key) => !isOfChannels(key)), "channels"]),
  );
  assert.deepEqual(sorted(rowsOf("Channels").map(([key]) => key)), sorted(new Set(channel)));
});

/** Of the value as the guide writes it; a dash for none. */
function written(value: unknown): string {
  if (value === null || value === undefined) return "";
  return Array.isArray(value) ? value.join(" ") : String(value);
}

const at = (value: unknown, key: string): unknown => key.split(".").reduce((inner: any, name) => inner?.[name], value);

test("the defaults that the guide tells are those that apply", () => {
  const { config } = readConfig({ options: {}, environment: {}, folder });
  const environment = { CONTINUITY_TLS_CERTIFICATE: "c.pem", CONTINUITY_TLS_KEY: "k.pem" };
  const { httpsPort, rtmpsPort } = readConfig({ options: {}, environment, folder }).config.tls!;
  const hooks = { publish: hookDefaults };
  const values = { ...config, data: ".continuity", httpsPort, rtmpsPort, hooks };
  const rows = [
    ...rowsOf("Configuration").map(([key, fallback]) => [key, fallback, at(values, key)] as const),
    ...rowsOf("Channels").map(([key, fallback]) => [key, fallback, at(channelDefaults, key)] as const),
  ];
  const shown = rows.filter(([key, fallback]) => !key.includes("[]") && fallback !== "all");
  assert.ok(shown.length > 30, `${shown.length} defaults`);
  for (const [key, fallback, value] of shown) assert.equal(fallback, written(value), key);
});

test("every configuration in the guides is one that the program takes", () => {
  const guides = join(import.meta.dirname, "../docs/guides");
  const blocks = globSync("*.md", { cwd: guides }).flatMap((name) =>
    [...readFileSync(join(guides, name), "utf8").matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text]) => ({
      name,
      text,
    })),
  );
  assert.ok(blocks.length >= 5, `${blocks.length} blocks`);
  for (const [i, { name, text }] of blocks.entries()) {
    const config = join(folder, `${i}-${name}.yaml`);
    writeFileSync(config, text!);
    assert.doesNotThrow(() => readConfig({ options: { config }, environment: {}, folder }), name);
  }
});
