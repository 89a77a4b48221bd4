// `sessions`: what streams, and how to end it or send its publisher away.
import { type ClientOptions, connect } from "./client.ts";
import { print, table } from "./output.ts";

type Rendition = { name: string; partAgeMs: number | null; parts: number };
type SessionItem = {
  id: string;
  channel: string;
  state: string;
  protocol: string;
  startedAt: string;
  renditions: Rendition[];
  workers: { id: string; phase: string; pid: number | null }[];
};

export async function list(options: ClientOptions): Promise<void> {
  const client = await connect(options);
  const answer = await client.get<{ items: SessionItem[] }>("/api/v1/sessions");
  if (options.json) return print(answer);
  table(
    ["SESSION", "CHANNEL", "STATE", "INPUT", "SINCE", "RENDITIONS", "PART AGE", "WORKER"],
    answer.items.map((s) => [
      s.id,
      s.channel,
      s.state,
      s.protocol,
      s.startedAt,
      s.renditions.map((r) => r.name).join(" "),
      partAge(s.renditions),
      s.workers.map((w) => `${w.phase}${w.pid === null ? "" : `:${w.pid}`}`).join(" "),
    ]),
    "Nothing streams.",
  );
}

const DONE = {
  stop: "is being ended; its playlists stay for the live window",
  kick: "waits for a publisher now, for the channel's grace",
};

export async function order(what: "stop" | "kick", id: string, options: ClientOptions): Promise<void> {
  const client = await connect(options);
  const answer = await client.post(`/api/v1/sessions/${encodeURIComponent(id)}/${what}`);
  if (options.json) return print(answer);
  console.log(`Session ${id} ${DONE[what]}.`);
}

function partAge(renditions: Rendition[]): string {
  const ages = renditions.flatMap((r) => (r.partAgeMs === null ? [] : [r.partAgeMs]));
  return ages.length === 0 ? "-" : `${Math.round(Math.max(...ages))} ms`;
}
