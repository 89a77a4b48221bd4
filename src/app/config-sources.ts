// Where configuration is written: a YAML file, the environment, the command line. Each gives the same kind of layer, and
// knows for each value where a person finds it again.
import { isCollection, isPair, LineCounter, type Node, parse, parseDocument, visit } from "yaml";
import { asSchema, type JsonSchema, nearest, type Path } from "#base/schema.ts";
import type { GivenSecrets } from "./config.ts";
import { configSchema } from "./config-schema.ts";

export type Layer = Readonly<{
  value: Readonly<Record<string, unknown>>;
  /** "continuity.yaml:12", "CONTINUITY_PORT", "--port" */
  where: (path: Path) => string;
  /** What made parts of it unreadable. */
  mistakes: readonly string[];
}>;

/** As the command line has them: texts. */
export type Options = Readonly<{
  host?: string;
  port?: string;
  rtmpPort?: string;
  data?: string;
  config?: string;
  roles?: string;
  logLevel?: string;
}>;

export function fileLayer(path: string, text: string): Layer {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "silent" });
  const lineOf = (offset: number) => `${path}:${lines.linePos(offset).line}`;
  const mistakes = document.errors.map(({ pos, message }) => `${lineOf(pos[0])}: ${message}`);
  visit(document, {
    Pair(_, { key }) {
      // Not shown: there may be a password in it.
      if (isCollection(key))
        mistakes.push(`${lineOf(key.range?.[0] ?? 0)}: a key must be a word, not a mapping or a list`);
    },
  });
  let value: unknown = null;
  try {
    if (mistakes.length === 0) value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    mistakes.push(`${path}: ${(error as Error).message}`); // aliases without end
  }
  if (value !== null && (typeof value !== "object" || Array.isArray(value))) {
    mistakes.push(`${path}:1: must be a mapping of keys to values`);
    value = null;
  }
  const offsets = new Map<string, number>();
  visit(document, {
    Pair: (_, pair, above) =>
      remember(offsets, above, (pair.key as Node | null)?.range?.[0], (pair.key as { value?: unknown }).value),
    Value: (index, node, above) => {
      if (typeof index === "number") remember(offsets, above, node.range?.[0], index);
    },
  });
  const where = (at: Path) => {
    for (let length = at.length; length > 0; length -= 1) {
      const offset = offsets.get(JSON.stringify(at.slice(0, length).map(String)));
      if (offset !== undefined) return lineOf(offset);
    }
    return `${path}:1`;
  };
  return { value: (value ?? {}) as Record<string, unknown>, where, mistakes };
}

/** Notes where the item `step` of the collection that `above` ends with is written. */
function remember(
  offsets: Map<string, number>,
  above: readonly unknown[],
  offset: number | undefined,
  step: unknown,
): void {
  if (offset === undefined) return;
  const path: string[] = [];
  for (const [depth, node] of above.entries()) {
    if (isPair(node)) path.push(String((node.key as { value?: unknown } | null)?.value));
    const next = above[depth + 1];
    if (isCollection(node) && next !== undefined && !isPair(next)) path.push(String(node.items.indexOf(next as never)));
  }
  offsets.set(JSON.stringify([...path, String(step)]), offset);
}

const PREFIX = "CONTINUITY_";
const SECRETS: Readonly<Record<string, keyof GivenSecrets>> = {
  CONTINUITY_ADMIN_TOKEN: "adminToken",
  CONTINUITY_PUBLISH_KEY: "publishKey",
  CONTINUITY_CLUSTER_SECRET: "clusterSecret",
};
/** Known, and read elsewhere: the file's name; where the command line finds a running installation. */
const OTHERS = ["CONTINUITY_CONFIG", "CONTINUITY_URL"];
/** Kubernetes gives every pod such variables for a service that happens to be called "continuity". */
const SERVICE_LINK = /^CONTINUITY_(SERVICE_(HOST|PORT).*|PORT_\d+_(TCP|UDP).*)$/;
const SERVICE_LINK_VALUE = /^(tcp|udp):\/\//;

/** Each key of the file as a variable: rtmpPort is CONTINUITY_RTMP_PORT, warm.min is CONTINUITY_WARM_MIN. Lists of words
 *  are separated by commas; channels are YAML (so JSON as well). An empty variable counts as not set. */
export function environmentLayer(environment: Readonly<Record<string, string | undefined>>) {
  const known = variables(asSchema(configSchema));
  const value: Record<string, unknown> = {};
  const names = new Map<string, string>();
  const mistakes: string[] = [];
  const secrets: Record<keyof GivenSecrets, string | null> = {
    adminToken: null,
    publishKey: null,
    clusterSecret: null,
  };
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith(PREFIX) || text === undefined || text === "" || OTHERS.includes(name)) continue;
    if (SERVICE_LINK.test(name) || SERVICE_LINK_VALUE.test(text)) continue;
    const secret = SECRETS[name];
    const variable = known.get(name);
    if (secret !== undefined) secrets[secret] = text;
    else if (variable === undefined) mistakes.push(unknownVariable(name, [...known.keys(), ...Object.keys(SECRETS)]));
    else {
      put(value, variable.path, parseText(variable.schema, text));
      for (let length = variable.path.length; length > 0; length -= 1)
        names.set(variable.path.slice(0, length).join("."), name);
    }
  }
  const where = (path: Path) => longestKnown(names, path) ?? "environment";
  return { layer: { value, where, mistakes } satisfies Layer, secrets: secrets as GivenSecrets };
}

function put(into: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key, ...inner] = path as [string, ...string[]];
  if (inner.length === 0) into[key] = value;
  else put((into[key] ??= {}) as Record<string, unknown>, inner, value);
}

/** What is known of the path, or of the nearest place above it. */
export function longestKnown<T>(known: ReadonlyMap<string, T>, path: Path): T | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const found = known.get(path.slice(0, length).join("."));
    if (found !== undefined) return found;
  }
  return undefined;
}

function unknownVariable(name: string, known: readonly string[]): string {
  const plain = known.map((candidate) => candidate.slice(PREFIX.length));
  const near = nearest(name.slice(PREFIX.length), plain);
  return `${name}: is not known${near === null ? "; each key of the file has one" : `; did you mean ${PREFIX}${near}?`}`;
}

function variables(
  schema: JsonSchema,
  path: readonly string[] = [],
): Map<string, { path: string[]; schema: JsonSchema }> {
  const found = new Map<string, { path: string[]; schema: JsonSchema }>();
  for (const [key, inner] of Object.entries(schema.properties ?? {})) {
    const own = [...path, key];
    if (inner.type === "object") for (const entry of variables(inner, own)) found.set(...entry);
    else
      found.set(PREFIX + own.map((word) => word.replaceAll(/[A-Z]/g, "_$&").toUpperCase()).join("_"), {
        path: own,
        schema: inner,
      });
  }
  return found;
}

export function optionLayer(options: Options): Layer {
  const properties = asSchema(configSchema).properties!;
  const given = Object.entries(options).filter(([name, text]) => Object.hasOwn(properties, name) && text !== undefined);
  const value = Object.fromEntries(given.map(([name, text]) => [name, parseText(properties[name]!, String(text))]));
  const where = (path: Path) => `--${String(path[0]).replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  return { value, where, mistakes: [] };
}

/** The text as the schema's type; as it is when it cannot be one, so that the check names it. */
function parseText(schema: JsonSchema, text: string): unknown {
  if (schema.type === "integer" || schema.type === "number") return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
  if (schema.type === "boolean") return { true: true, false: false, "1": true, "0": false }[text] ?? text;
  if (schema.type !== "array") return text;
  if (schema.items?.type === "object") {
    try {
      return parse(text, { maxAliasCount: 100, logLevel: "silent" });
    } catch {
      return text;
    }
  }
  return text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
}
