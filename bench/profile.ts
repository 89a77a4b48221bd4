// Where a process's CPU goes, from V8's own sampling profiles: self time by what owns the function that ran.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

type Profile = {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number }; children?: number[] }[];
  samples: number[];
  timeDeltas: number[];
};

export type Share = Readonly<{ owner: string; seconds: number }>;

/** Profiles that `node --cpu-prof` wrote into the folder, one per process. @returns by file, largest share first */
export function readProfiles(folder: string): Map<string, { byOwner: Share[]; byFunction: Share[] }> {
  const result = new Map<string, { byOwner: Share[]; byFunction: Share[] }>();
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".cpuprofile")))
    result.set(name, sharesOf(JSON.parse(readFileSync(join(folder, name), "utf8")) as Profile));
  return result;
}

function sharesOf(profile: Profile): { byOwner: Share[]; byFunction: Share[] } {
  const frames = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
  const owners = new Map<string, number>();
  const functions = new Map<string, number>();
  for (const [i, id] of profile.samples.entries()) {
    const frame = frames.get(id)!;
    if (frame.functionName === "(idle)") continue;
    const seconds = (profile.timeDeltas[i] ?? 0) / 1e6;
    const owner = ownerOf(frame.functionName, frame.url);
    owners.set(owner, (owners.get(owner) ?? 0) + seconds);
    const label = `${frame.functionName || "(anonymous)"} ${placeOf(frame.url)}:${frame.lineNumber + 1}`;
    functions.set(label, (functions.get(label) ?? 0) + seconds);
  }
  return { byOwner: sorted(owners), byFunction: sorted(functions).slice(0, 15) };
}

const sorted = (shares: Map<string, number>): Share[] =>
  [...shares].map(([owner, seconds]) => ({ owner, seconds })).sort((a, b) => b.seconds - a.seconds);

/** "src/modules/origin", a package's name, "node:http", or what V8 calls it. */
function ownerOf(name: string, url: string): string {
  if (url === "") return name.startsWith("(") ? name : "native";
  const own = /\/src\/((?:modules|platform|protocols|media)\/[^/]+|[^/]+)\//.exec(url);
  if (own) return `src/${own[1]}`;
  const foreign = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url);
  if (foreign) return foreign[1]!;
  return url.startsWith("node:internal/") ? `node:${url.split("/")[1]}` : url.slice(0, 40);
}

const placeOf = (url: string): string => url.split("/").slice(-2).join("/");
