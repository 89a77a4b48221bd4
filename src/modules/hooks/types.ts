// What customers' own servers are asked about publishers and told about streams.

export const STREAM_EVENTS = [
  "stream.started",
  "stream.interrupted",
  "stream.resumed",
  "stream.ended",
  "stream.failed",
  "publish.refused",
] as const;

export type StreamEventType = (typeof STREAM_EVENTS)[number];

export type PublishHook = Readonly<{
  url: string;
  /** Signs what we send. */
  secret: string;
  timeoutMs: number;
  /** How long an answer counts for the same question. */
  cacheSeconds: number;
  /** When nobody answers, or nonsense. */
  onFailure: "refuse" | "allow";
  /** theirs: the hook judges keys too, so it is shown them; ours: it is asked when the key was right. */
  keys: "ours" | "theirs";
  format: "json" | "nginx-rtmp";
}>;

export type EventHook = Readonly<{ url: string; secret: string; types: readonly StreamEventType[] }>;

export type Hooks = Readonly<{ publish: PublishHook | null; events: readonly EventHook[] }>;

export const hookDefaults = Object.freeze({
  timeoutMs: 3000,
  cacheSeconds: 30,
  onFailure: "refuse",
  keys: "ours",
  format: "json",
} as const);

/** One event, as it is sent. */
export type StreamEvent = Readonly<{
  /** The same event has the same id, however often it is sent. */
  id: string;
  /** hooks.test: asked for by the operator, about no stream. */
  type: StreamEventType | "hooks.test";
  /** ISO 8601. */
  at: string;
  channel: string | null;
  tenant: string | null;
  session: string | null;
  data: Readonly<Record<string, unknown>>;
}>;

/** @returns what the other end answered; rejects when it cannot be reached or takes too long */
export type Post = (
  url: string,
  body: string,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
) => Promise<Readonly<{ status: number; body: string }>>;
