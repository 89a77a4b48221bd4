// Who may ask what. Two dangers are kept apart: a stranger on the network (a token stops them), and a stranger's web page
// in the browser of somebody who may (Host and Origin stop it: a name that was pointed at our address after the page was
// loaded, "DNS rebinding", is not one of our names).
import { createHash, timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";
import { PlatformError } from "#base/errors.ts";
import { bearer } from "#platform/keys/keys.ts";
import { isLoopback } from "#platform/network/loopback.ts";

export type AccessRules = Readonly<{
  adminToken: string;
  /** Address we listen on. */
  boundHost: string;
  /** Names under which we are reached besides; with a port, only under that port. */
  publicHosts: readonly string[];
}>;

export type Asked = Readonly<{
  method: string;
  host: string | undefined;
  origin: string | undefined;
  authorization: string | undefined;
  /** `?access_token=`, where it counts: an EventSource cannot send headers. */
  queryToken: string | null;
}>;

/** @throws PlatformError api.forbidden for a foreign Host or Origin, api.unauthorized without the right token */
export function checkAccess(rules: AccessRules, asked: Asked): void {
  const host = hostOf(asked.host);
  if (host === null || !isOurs(rules, host))
    throw new PlatformError(
      "api.forbidden",
      `The name ${shown(asked.host)} is not one of this installation's: add it to publicHosts to use it.`,
    );
  if (asked.origin !== undefined && !isOurPage(rules, asked.origin, host))
    throw new PlatformError("api.forbidden", `Pages of ${shown(asked.origin)} may not call this API.`);
  const token = bearer(asked.authorization) ?? asked.queryToken;
  if (token !== null && !sameToken(token, rules.adminToken))
    throw new PlatformError(
      "api.unauthorized",
      "This is not the admin token (see keys/admin-token in the data folder).",
    );
  // Behind a proxy the public name arrives here: then whoever asks is not on this machine.
  const local = isLoopback(rules.boundHost) && isLoopback(host.name);
  const readsOnly = asked.method === "GET" || asked.method === "HEAD";
  if (token === null && !(local && readsOnly))
    throw new PlatformError("api.unauthorized", "Send the admin token: `Authorization: Bearer TOKEN`.");
}

type Host = Readonly<{ name: string; full: string }>;

/** @returns name without brackets and port, and both as written, in lower case; null when it is no host */
function hostOf(header: string | undefined): Host | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/.exec((header ?? "").toLowerCase());
  return match === null ? null : { name: (match[1] ?? match[2])!, full: match[0] };
}

/** An address in numbers cannot have been rebound: only names can. */
function isOurs({ boundHost, publicHosts }: AccessRules, host: Host): boolean {
  if (isIP(host.name) !== 0 || isLoopback(host.name)) return true;
  return isListed([boundHost, ...publicHosts], host);
}

function isListed(names: readonly string[], host: Host): boolean {
  return names.some((name) => {
    const own = name.toLowerCase();
    return own === host.full || own === host.name || own === `[${host.name}]`;
  });
}

/** The page came from where the request goes to, or from a public name of ours. */
function isOurPage({ publicHosts }: AccessRules, origin: string, host: Host): boolean {
  const match = /^https?:\/\/([^/]+)$/.exec(origin);
  const page = hostOf(match?.[1]);
  return page !== null && (page.full === host.full || isListed(publicHosts, page));
}

/** In a time that does not tell how much of it is right. */
function sameToken(given: string, right: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(right));
}

const shown = (text: string | undefined) => (text === undefined ? "(none)" : text.slice(0, 100));
