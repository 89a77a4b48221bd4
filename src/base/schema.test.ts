import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type JsonSchema, nearest, pathText, wrongFields } from "./schema.ts";

const schema: JsonSchema = {
  type: "object",
  required: ["name"],
  additionalProperties: false,
  properties: {
    name: { type: "string", pattern: "^[a-z]+$", description: "letters a to z" },
    port: { type: "integer", minimum: 0, maximum: 65535 },
    level: { anyOf: [{ const: "info" }, { const: "warn" }] },
    ladder: {
      anyOf: [
        { const: "auto" },
        {
          type: "array",
          maxItems: 2,
          items: { type: "object", properties: { height: { type: "integer" } }, additionalProperties: false },
        },
      ],
    },
    tags: { type: "array", uniqueItems: true, items: { type: "string" } },
    on: { type: "boolean" },
    door: {
      anyOf: [
        {
          type: "object",
          required: ["port"],
          additionalProperties: false,
          properties: { kind: { const: "tcp" }, port: {} },
        },
        {
          type: "object",
          required: ["url"],
          additionalProperties: false,
          properties: {
            kind: { const: "pull" },
            url: { type: "string", pattern: "^http:", description: "an address" },
          },
        },
      ],
    },
    none: { anyOf: [{ type: "null" }, { type: "number", minimum: 0.5 }] },
  },
};

const lines = (value: unknown) =>
  wrongFields(schema, value).map(({ path, message }) => `${pathText(path)} ${message}`.trim());

test("a value that fits has nothing wrong", () => {
  assert.deepEqual(lines({ name: "a", port: 0, level: "warn", ladder: [{ height: 1 }], tags: ["x"], on: false }), []);
  assert.deepEqual(lines({ name: "a", ladder: "auto", none: null }), []);
});

test("every wrong field is named at once, with what is allowed", () => {
  assert.deepEqual(lines({ name: "A", port: 70_000, level: "loud", on: "yes", tags: ["x", "x"], none: 0.1 }), [
    "name must be letters a to z",
    "port must be a whole number from 0 to 65535",
    "level must be info or warn",
    "on must be true or false",
    "tags[1] is listed twice",
    "none must be null or a number, at least 0.5",
  ]);
});

test("in a choice, the branch that the value follows names its own wrong field", () => {
  assert.deepEqual(lines({ name: "a", ladder: [{ height: 1 }, { hight: 2 }] }), [
    "ladder[1].hight is not known; did you mean height?",
  ]);
  assert.deepEqual(lines({ name: "a", ladder: 3 }), ["ladder must be auto or a list, each an object with height"]);
});

test("in a choice of objects, the one whose constants the value has names its wrong field", () => {
  assert.deepEqual(lines({ name: "a", door: { kind: "pull", url: "file:///x" } }), ["door.url must be an address"]);
  assert.deepEqual(lines({ name: "a", door: { kind: "tcp", url: "http://x" } }), [
    "door.port is missing: any value",
    "door.url is not known; allowed: kind, port",
  ]);
  assert.equal(lines({ name: "a", door: { kind: "rope", port: 1 } })[0], "door.kind must be tcp");
});

test("missing and unknown fields", () => {
  assert.deepEqual(lines({ prot: 1, __proto__: null }), [
    "name is missing: letters a to z",
    "prot is not known; did you mean port?",
  ]);
  assert.deepEqual(lines(null), ["must be an object with name, port, level, ladder, tags, on, door, none"]);
  assert.deepEqual(lines([]), ["must be an object with name, port, level, ladder, tags, on, door, none"]);
  assert.match(lines({ name: "a", constructor: 1 })[0]!, /^constructor is not known/);
});

test("numbers that are none are refused", () => {
  for (const port of [Number.NaN, Number.POSITIVE_INFINITY, 1.5, "1", true])
    assert.equal(lines({ name: "a", port }).length, 1, String(port));
});

test("a hostile value buys a bounded answer", () => {
  const hostile = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`x${i}`, 1]));
  assert.equal(lines({ name: "a", ...hostile }).length, 100);
});

test("a keyword nobody taught us stops us", () => {
  assert.throws(() => wrongFields({ type: "string", format: "uri" } as JsonSchema, ""), { name: "AssertionError" });
});

test("nearest word", () => {
  assert.equal(nearest("rtmp_port", ["rtmpPort", "port"]), "rtmpPort");
  assert.equal(nearest("chanels", ["channels"]), "channels");
  assert.equal(nearest("zebra", ["channels", "port"]), null);
});
