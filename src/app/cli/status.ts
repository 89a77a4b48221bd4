// `status`: one look at the whole installation.
import { type ClientOptions, connect } from "./client.ts";
import { print } from "./output.ts";

export async function status(options: ClientOptions): Promise<void> {
  const client = await connect(options);
  const answer = await client.get<Record<string, unknown>>("/api/v1/status");
  if (options.json) return print(answer);
  console.log(`Continuity at ${client.url}`);
  for (const [name, value] of Object.entries(answer)) console.log(`  ${name.padEnd(14)} ${inWords(value)}`);
}

/** "live 2, ended 1"; "none" when there is nothing, a dash for what is not there or not known. */
function inWords(value: unknown): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "object" || value === null) return String(value ?? "-");
  if (Array.isArray(value)) return value.map(inWords).join("; ") || "none";
  const words = Object.entries(value).map(([key, item]) => `${key} ${inWords(item)}`);
  return words.join(", ") || "none";
}
