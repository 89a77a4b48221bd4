// What is wrong with a value, field by field, in words that say what is allowed. Configuration and API check against the
// same JSON Schemas, and both promise to name every wrong field at once.
// Why not a validator library's own messages: "must match a schema in anyOf" and "schema is false" tell a person nothing.
// Only the keywords that our schemas use are known here; another one is a mistake of ours and stops the process.
import { assert } from "./assert.ts";

/** JSON Schema (2020-12), the part of it that we write. `description` completes the sentence "must be ...". */
export type JsonSchema = Readonly<{
  type?: string;
  description?: string;
  const?: unknown;
  anyOf?: readonly JsonSchema[];
  properties?: Readonly<Record<string, JsonSchema>>;
  required?: readonly string[];
  additionalProperties?: boolean | JsonSchema;
  items?: JsonSchema;
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  default?: unknown;
}>;

/** Schemas built by a library carry types of their own; here only the JSON in them counts. */
export const asSchema = (built: object): JsonSchema => built as JsonSchema;

export type Path = readonly (string | number)[];
export type Wrong = Readonly<{ path: Path; message: string }>;

/** More are not listed: a hostile body must not buy a long answer. */
const WRONG_MAX = 100;
const KNOWN = new Set(
  `type description const anyOf properties required additionalProperties items minItems maxItems uniqueItems minimum maximum
  minLength maxLength pattern default title examples`.split(/\s+/),
);

/** @returns every wrong field, in the value's order; none: the value fits */
export function wrongFields(schema: JsonSchema, value: unknown, path: Path = []): Wrong[] {
  const wrong: Wrong[] = [];
  check(schema, value, path, wrong);
  return wrong.slice(0, WRONG_MAX);
}

function check(schema: JsonSchema, value: unknown, path: Path, wrong: Wrong[]): void {
  for (const keyword of Object.keys(schema)) assert.ok(KNOWN.has(keyword), `schema keyword ${keyword}`);
  if (wrong.length >= WRONG_MAX) return;
  if (schema.anyOf) {
    checkAny(schema, schema.anyOf, value, path, wrong);
    return;
  }
  const fits = hasType(schema, value) && inRange(schema, value);
  if (!fits) wrong.push({ path, message: `must be ${allowed(schema)}` });
  else if (Array.isArray(value)) checkItems(schema, value, path, wrong);
  else if (isRecord(value)) checkFields(schema, value, path, wrong);
}

/** The branch of the value's own type speaks, so that a wrong field deep inside is named; of several such the one whose
 *  constants (`kind: "pull"`) the value has. Else the choices are named. */
function checkAny(
  schema: JsonSchema,
  branches: readonly JsonSchema[],
  value: unknown,
  path: Path,
  wrong: Wrong[],
): void {
  const found = branches.map((branch) => wrongFields(branch, value, path));
  if (found.some((list) => list.length === 0)) return;
  const deep = found.map((list) => list.some((item) => item.path.length > path.length));
  const meant = branches.findIndex((branch, i) => deep[i] && hasConstants(branch, value));
  const told = found[meant >= 0 ? meant : deep.indexOf(true)];
  wrong.push(...(told ?? [{ path, message: `must be ${allowed(schema)}` }]));
}

function hasConstants({ properties = {} }: JsonSchema, value: unknown): boolean {
  const constants = Object.entries(properties).filter(([, schema]) => "const" in schema);
  return isRecord(value) && constants.length > 0 && constants.every(([name, schema]) => value[name] === schema.const);
}

function checkItems(schema: JsonSchema, value: readonly unknown[], path: Path, wrong: Wrong[]): void {
  const seen = new Set<unknown>();
  for (const [index, item] of value.entries()) {
    if (schema.items) check(schema.items, item, [...path, index], wrong);
    if (schema.uniqueItems && seen.has(item)) wrong.push({ path: [...path, index], message: "is listed twice" });
    seen.add(item);
  }
}

function checkFields(schema: JsonSchema, value: Record<string, unknown>, path: Path, wrong: Wrong[]): void {
  const { properties = {}, required = [], additionalProperties = true } = schema;
  for (const name of required)
    if (!Object.hasOwn(value, name))
      wrong.push({ path: [...path, name], message: `is missing: ${allowed(properties[name] ?? {})}` });
  for (const [name, item] of Object.entries(value)) {
    const own = Object.hasOwn(properties, name) ? properties[name]! : additionalProperties;
    if (own === false) wrong.push({ path: [...path, name], message: unknownField(name, Object.keys(properties)) });
    else if (own !== true) check(own, item, [...path, name], wrong);
  }
}

function hasType(schema: JsonSchema, value: unknown): boolean {
  if ("const" in schema) return value === schema.const;
  switch (schema.type) {
    case undefined:
      return true;
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "object":
      return isRecord(value);
    case "integer":
      return Number.isSafeInteger(value);
    case "number":
      return Number.isFinite(value);
    default:
      return typeof value === schema.type;
  }
}

function inRange(schema: JsonSchema, value: unknown): boolean {
  if (typeof value === "number") return value >= (schema.minimum ?? -Infinity) && value <= (schema.maximum ?? Infinity);
  if (Array.isArray(value)) return within(value.length, schema.minItems, schema.maxItems);
  if (typeof value !== "string") return true;
  return (
    within(value.length, schema.minLength, schema.maxLength) &&
    (schema.pattern === undefined || new RegExp(schema.pattern, "u").test(value))
  );
}

const within = (count: number, least = 0, most = Infinity) => count >= least && count <= most;

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What a schema allows, as a phrase: "a whole number from 0 to 65535", "auto or a list". */
export function allowed(schema: JsonSchema): string {
  if (schema.description !== undefined) return schema.description;
  if (schema.anyOf) return orList(schema.anyOf.map(allowed));
  if ("const" in schema) return String(schema.const);
  switch (schema.type) {
    case "integer":
      return `a whole number${range(schema)}`;
    case "number":
      return `a number${range(schema)}`;
    case "boolean":
      return "true or false";
    case "array":
      return schema.items ? `a list, each ${allowed(schema.items)}` : "a list";
    case "object":
      return `an object with ${Object.keys(schema.properties ?? {}).join(", ") || "any keys"}`;
    case "string":
      return "text";
    default:
      return schema.type ?? "any value";
  }
}

function range({ minimum, maximum }: JsonSchema): string {
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`;
  if (minimum !== undefined) return `, at least ${minimum}`;
  return maximum === undefined ? "" : `, at most ${maximum}`;
}

function orList(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** "is not known; did you mean rtmpPort?" */
function unknownField(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  if (near !== null) return `is not known; did you mean ${near}?`;
  return known.length === 0 ? "is not known" : `is not known; allowed: ${known.join(", ")}`;
}

/** The known word that a misspelt one most likely means: a third of its letters may differ; two that changed places
 *  count as two. */
export function nearest(word: string, known: readonly string[]): string | null {
  if (word.length > 64) return null;
  const plain = (text: string) => text.toLowerCase().replaceAll(/[-_]/g, "");
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(plain(word), plain(candidate)) }))
    .sort((a, b) => a.distance - b.distance)[0];
  const most = word.length < 4 ? 1 : Math.max(2, Math.floor(word.length / 3));
  return ranked !== undefined && ranked.distance <= most ? ranked.candidate : null;
}

/** Least number of letters inserted, removed or replaced (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row.at(-1)!;
}

/** "channels[2].ladder" */
export function pathText(path: Path): string {
  return path.map((step, i) => (typeof step === "number" ? `[${step}]` : i === 0 ? step : `.${step}`)).join("");
}
