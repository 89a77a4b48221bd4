// Addresses of RTMP: what publishers type, and what arrives of it. Keys travel in queries, and encoders put the query
// in different places: behind the stream name, behind the application, or only into tcUrl.
import { PlatformError } from "#base/errors.ts";

/** Parameters by name; of the same name twice, the first. It has no prototype: any name is safe to look up. */
export type Query = Readonly<Record<string, string>>;

/** "live?key=abc" as ["live", { key: "abc" }]. Percent signs that encode nothing stay, and so does "+". */
export function splitQuery(text: string): { path: string; query: Query } {
  const mark = text.indexOf("?");
  const query: Record<string, string> = Object.create(null);
  if (mark < 0) return { path: text, query };
  for (const pair of text.slice(mark + 1).split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const [name, value] = equals < 0 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)];
    query[decoded(name)] ??= decoded(value);
  }
  return { path: text.slice(0, mark), query };
}

/** @param queries the first that has a name wins */
export function mergeQueries(...queries: readonly Query[]): Query {
  return Object.assign(Object.create(null), ...queries.toReversed());
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a lone "%" is what somebody's key contains
  }
}

export type RtmpAddress = Readonly<{
  host: string;
  port: number;
  secure: boolean;
  /** All of the path but its last part: "live", "live/instance". */
  app: string;
  /** The last part with its query: "camera?key=abc". */
  name: string;
  /** What a client says it connected to: the address without the stream name. */
  tcUrl: string;
}>;

const PORT = { "rtmp:": 1935, "rtmps:": 443 } as const;

/** @param url rtmp://host[:port]/APP[/INSTANCE]/NAME[?query]
 *  @throws PlatformError api.bad_request */
export function parseRtmpUrl(url: string): RtmpAddress {
  const wrong = (why: string) =>
    new PlatformError("api.bad_request", `Not a publish address: ${why}. Write rtmp://HOST/live/CHANNEL?key=KEY.`);
  if (!URL.canParse(url)) throw wrong("it is no URL");
  const { protocol, hostname, port, pathname, search } = new URL(url);
  if (protocol !== "rtmp:" && protocol !== "rtmps:") throw wrong(`it begins with ${protocol}`);
  if (hostname === "") throw wrong("it has no host");
  const parts = pathname.split("/").filter((part) => part !== "");
  const name = parts.pop();
  if (name === undefined || parts.length === 0) throw wrong("its path needs an application and a stream name");
  const app = parts.join("/");
  const where = port === "" ? hostname : `${hostname}:${port}`;
  return {
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? PORT[protocol] : Number(port),
    secure: protocol === "rtmps:",
    app,
    name: name + search,
    tcUrl: `${protocol}//${where}/${app}`,
  };
}
