// `channels`, `sessions`, `status`: the API's own answers, as tables for people or as they are for programs.
import { type ClientOptions, connect } from "./client.ts";

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
type ChannelItem = { name: string; tenant: string; origin: string; ladder: unknown };

export async function channels(options: ClientOptions): Promise<void> {
  const client = await connect(options);
  const answer = await client.get<{ items: ChannelItem[] }>("/api/v1/channels");
  if (options.json) return print(answer);
  table(
    ["CHANNEL", "FROM", "LADDER", "WATCH"],
    answer.items.map((c) => [c.name, c.origin, ladderText(c.ladder), `${client.url}/watch/${c.name}`]),
    "No channels yet: the first publish makes one.",
  );
}

export async function sessions(options: ClientOptions): Promise<void> {
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

export async function status(options: ClientOptions): Promise<void> {
  const client = await connect(options);
  const answer = await client.get<Record<string, unknown>>("/api/v1/status");
  if (options.json) return print(answer);
  console.log(`Continuity at ${client.url}`);
  for (const [name, value] of Object.entries(answer)) console.log(`  ${name.padEnd(14)} ${inWords(value)}`);
}

/** "live 2, ended 1"; "none" when there is nothing. */
function inWords(value: unknown): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "object" || value === null) return String(value ?? "unknown");
  if (Array.isArray(value)) return value.map(inWords).join("; ") || "none";
  const words = Object.entries(value).map(([key, item]) => `${key} ${inWords(item)}`);
  return words.join(", ") || "none";
}

function ladderText(ladder: unknown): string {
  return Array.isArray(ladder) ? ladder.map((rung) => `${rung.height}p`).join(" ") : String(ladder);
}

function partAge(renditions: Rendition[]): string {
  const ages = renditions.flatMap((r) => (r.partAgeMs === null ? [] : [r.partAgeMs]));
  return ages.length === 0 ? "-" : `${Math.round(Math.max(...ages))} ms`;
}

function print(value: unknown): void {
  console.log(JSON.stringify(value, null, 2));
}

function table(head: string[], rows: string[][], empty: string): void {
  if (rows.length === 0) {
    console.log(empty);
    return;
  }
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  for (const row of [head, ...rows])
    console.log(
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join("  ")
        .trimEnd(),
    );
}
