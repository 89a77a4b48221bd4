// Tokens between roles as JWT (RFC 7519), signed with HS256 under the installation's one secret.
// The algorithm is ours to choose, never the token's: only HS256 is taken, whatever the header says (RFC 8725, 3.1).
// A worker shows the same token with every request of a stream, so verified tokens are remembered, in bounded number.
import { createHash } from "node:crypto";
import { errors, jwtVerify, SignJWT } from "jose";
import { assert } from "#base/assert.ts";
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Keys, Scope } from "../keys.ts";

const ISSUER = "continuity";
/** RFC 7518, 3.2: a key as long as the hash, or longer. */
const SECRET_BYTES_MIN = 32;
/** Clocks of two hosts may disagree by this much. */
const SKEW_SECONDS = 5;
const CACHE_TOKENS_MAX = 1024;
/** Longest token looked at; ours are below 500 characters. */
const TOKEN_CHARS_MAX = 2048;

type Verified = Readonly<{ scope: Scope; notBeforeSeconds: number; expiresSeconds: number }>;

export function jwtKeys(secret: Uint8Array, clock: Clock): Keys {
  assert.ok(secret.byteLength >= SECRET_BYTES_MIN, `a signing secret has at least ${SECRET_BYTES_MIN} bytes`);
  /** By the token's hash, oldest first: a heap dump holds no token. */
  const cache = new Map<string, Verified>();
  const nowSeconds = () => Math.floor(Number(clock.utcNs() / 1_000_000n) / 1000);

  return {
    async mint(scope, ttlSeconds) {
      const now = nowSeconds();
      return new SignJWT({ scope })
        .setProtectedHeader({ alg: "HS256", typ: "JWT" })
        .setIssuer(ISSUER)
        .setNotBefore(now - SKEW_SECONDS)
        .setExpirationTime(now + Math.ceil(ttlSeconds))
        .sign(secret);
    },

    async verify(token) {
      if (token.length > TOKEN_CHARS_MAX) throw refused("is too long");
      const now = nowSeconds();
      const name = createHash("sha256").update(token).digest("base64");
      const known = cache.get(name);
      const verified = known ?? (await check(token, secret, now));
      if (now - SKEW_SECONDS >= verified.expiresSeconds || now + SKEW_SECONDS < verified.notBeforeSeconds) {
        cache.delete(name);
        throw refused("has expired");
      }
      if (known === undefined) remember(cache, name, verified);
      return verified.scope;
    },
  };
}

function remember(cache: Map<string, Verified>, name: string, verified: Verified): void {
  cache.set(name, verified);
  for (const oldest of cache.keys()) {
    if (cache.size <= CACHE_TOKENS_MAX) return;
    cache.delete(oldest);
  }
}

async function check(token: string, secret: Uint8Array, now: number): Promise<Verified> {
  try {
    const { payload } = await jwtVerify(token, secret, {
      algorithms: ["HS256"],
      issuer: ISSUER,
      requiredClaims: ["exp", "nbf", "scope"],
      clockTolerance: SKEW_SECONDS,
      currentDate: new Date(now * 1000),
    });
    return { scope: scopeOf(payload.scope), notBeforeSeconds: payload.nbf!, expiresSeconds: payload.exp! };
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw refused("has expired", error);
    if (error instanceof errors.JOSEError) throw refused("is not one of this installation's", error);
    throw error;
  }
}

/** A scope with exactly its own fields; a signed token with anything else is of a newer build or a defect. */
function scopeOf(claim: unknown): Scope {
  const { kind, session, channel, worker, role } = (claim ?? {}) as Record<string, unknown>;
  if (kind === "session" && typeof session === "string" && typeof channel === "string")
    return Object.freeze({ kind, session, channel });
  if (kind === "worker" && typeof worker === "string") return Object.freeze({ kind, worker });
  if (kind === "publish" && typeof channel === "string") return Object.freeze({ kind, channel });
  if (kind === "internal" && typeof role === "string") return Object.freeze({ kind, role });
  throw refused("has a scope that is not known here");
}

function refused(why: string, cause?: unknown): PlatformError {
  const message = `The token ${why}; ask for a new one.`;
  return new PlatformError("api.unauthorized", message, cause === undefined ? undefined : { cause });
}
