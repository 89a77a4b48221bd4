// MediaMTX's users: who may publish to a path with a password may publish to its channel with that password as the key.
// Source: mediamtx.yml of the project's distribution, authInternalUsers
import { type ChannelEntry, isKey, isKeyName } from "./outcome.ts";

type Settings = Readonly<Record<string, unknown>>;
type Keys = NonNullable<ChannelEntry["keys"]>;

/** Keys of the path of that name. */
export type UserKeys = (path: string) => Keys;

const HASHED = /^(sha256|argon2):/;

export function mediaMtxUsers(config: Settings, note: (what: string, why: string) => void): UserKeys {
  const users = Array.isArray(config.authInternalUsers) ? (config.authInternalUsers as unknown[]) : [];
  const carried: { name: string; key: string; opens: (path: string) => boolean }[] = [];
  for (const [index, value] of users.entries()) {
    const { user, pass, ips, permissions } = Object(value) as Settings;
    const paths = publishPaths(permissions);
    if (paths.length === 0) continue;
    const what = `authInternalUsers[${index}]`;
    const name = typeof user === "string" && isKeyName(user) && user !== "any" ? user : `user ${index + 1}`;
    if (pass === null || pass === undefined || pass === "")
      note(what, "anybody may publish there; here it takes a key: the installation's, or one of the channel");
    else if (HASHED.test(String(user)) || HASHED.test(String(pass)))
      note(what, "only a hash of its password is known: give it a key (`continuity channels keys NAME add`)");
    else if (!isKey(String(pass)))
      note(what, "its password cannot be a key here (6 to 200 of A-Z a-z 0-9 _ ~ . -): give it a new one");
    else {
      if (Array.isArray(ips) && ips.length > 0)
        note(`${what}: ips`, "publishers are told apart by keys, not by addresses");
      carried.push({ name, key: String(pass), opens: (path) => paths.some((pattern) => matches(pattern, path)) });
    }
  }
  return (path) => {
    const keys = carried.filter(({ opens }) => opens(path)).map(({ name, key }) => ({ name, key }));
    return keys.filter(({ name }, at) => keys.findIndex((other) => other.name === name) === at);
  };
}

/** Of the paths that a user may publish to: "" is each, "~..." a regular expression. */
function publishPaths(permissions: unknown): string[] {
  const list = Array.isArray(permissions) ? (permissions as unknown[]) : [];
  return list
    .map((permission) => Object(permission) as Settings)
    .filter(({ action }) => action === "publish")
    .map(({ path }) => (typeof path === "string" ? path : ""));
}

function matches(pattern: string, path: string): boolean {
  if (pattern === "") return true;
  if (!pattern.startsWith("~")) return pattern === path;
  try {
    return new RegExp(pattern.slice(1)).test(path);
  } catch {
    return false; // written for another kind of expressions: then it opens nothing here
  }
}
