import { strict as assert } from "node:assert";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { simClock } from "#base/clock.ts";
import { keysConformance } from "../conformance.ts";
import { jwtKeys } from "./jwt.ts";

const secretOf = (fill: number) => new Uint8Array(32).fill(fill);
const NOW = 1_800_000_000;
const CLAIMS = { scope: { kind: "internal", role: "gateway" }, iss: "continuity", nbf: NOW, exp: NOW + 60 };

keysConformance("jwt", (clock, secret) => jwtKeys(secretOf(secret), clock));

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

function forge(header: object, claims: object, hash: string | null = "sha256"): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  if (hash === null) return `${signed}.`;
  return `${signed}.${createHmac(hash, secretOf(1)).update(signed).digest("base64url")}`;
}

test("jwt: what the test forges is taken when nothing is wrong with it", async () => {
  const keys = jwtKeys(secretOf(1), simClock());
  assert.deepEqual(await keys.verify(forge({ alg: "HS256" }, CLAIMS)), { kind: "internal", role: "gateway" });
});

for (const [what, token] of [
  ["alg none without a signature", forge({ alg: "none" }, CLAIMS, null)],
  ["alg none with a good signature", forge({ alg: "none" }, CLAIMS)],
  ["another HMAC under the right secret", forge({ alg: "HS512" }, CLAIMS, "sha512")],
  ["another issuer", forge({ alg: "HS256" }, { ...CLAIMS, iss: "someone" })],
  ["no expiry", forge({ alg: "HS256" }, { ...CLAIMS, exp: undefined })],
  ["no scope", forge({ alg: "HS256" }, { ...CLAIMS, scope: undefined })],
  ["a scope of an unknown kind", forge({ alg: "HS256" }, { ...CLAIMS, scope: { kind: "root" } })],
  ["a session scope without a session", forge({ alg: "HS256" }, { ...CLAIMS, scope: { kind: "session" } })],
  ["a critical header we do not know", forge({ alg: "HS256", crit: ["x"], x: 1 }, CLAIMS)],
] as const)
  test(`jwt: refused: ${what}`, async () => {
    await assert.rejects(jwtKeys(secretOf(1), simClock()).verify(token), { code: "api.unauthorized" });
  });

test("jwt: a short secret is a mistake of ours", () => {
  assert.throws(() => jwtKeys(new Uint8Array(16), simClock()), { name: "AssertionError" });
});

test("jwt: more tokens than are remembered still verify", async () => {
  const keys = jwtKeys(secretOf(1), simClock());
  const tokens = await Promise.all(
    Array.from({ length: 1100 }, (_, i) => keys.mint({ kind: "worker", worker: `w${i}` }, 60)),
  );
  for (const token of tokens) await keys.verify(token);
  assert.deepEqual(await keys.verify(tokens[0]!), { kind: "worker", worker: "w0" });
});
