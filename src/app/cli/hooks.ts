// `hooks`: whether customers' servers take the events that they are sent.
import { type ClientOptions, connect } from "./client.ts";
import { print, table } from "./output.ts";

type Hook = {
  url: string;
  types: string[];
  pending: number;
  delivered: number;
  dead: number;
  lastError: string | null;
};

export async function list(options: ClientOptions): Promise<void> {
  const client = await connect(options);
  const answer = await client.get<{ items: Hook[] }>("/api/v1/hooks");
  if (options.json) return print(answer);
  table(
    ["URL", "EVENTS", "PENDING", "DELIVERED", "GIVEN UP", "LAST ERROR"],
    answer.items.map(({ url, types, pending, delivered, dead, lastError }) => [
      url,
      String(types.length),
      ...[pending, delivered, dead].map(String),
      lastError ?? "",
    ]),
    "No hooks.events are configured.",
  );
}

export async function test(options: ClientOptions): Promise<void> {
  const client = await connect(options);
  const answer = await client.post<{ status: string }>("/api/v1/hooks/test");
  if (options.json) print(answer);
  else console.log("A test event is on its way to each target: `continuity hooks` shows whether it is taken.");
}
