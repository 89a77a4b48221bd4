// The control API as the console uses it. Fields are read with care: a console may be older or newer than its server.

export type Rendition = {
  name: string;
  partAgeMs: number | null;
  parts: number;
  segments: number;
  gaps?: number;
  bytes?: number;
};

export type Track = {
  kind: "video" | "audio";
  codec: string;
  width?: number;
  height?: number;
  sampleRate?: number;
  channels?: number;
};

export type Session = {
  id: string;
  channel: string;
  state: "starting" | "live" | "interrupted" | "ending" | "ended" | "failed";
  protocol?: string;
  remote?: string;
  startedAt?: string;
  rate?: { num: number; den: number } | null;
  tracks?: Track[];
  renditions?: Rendition[];
  workers?: { id: string; phase: string; node: string; pid: number | null }[];
  counters?: Record<string, number>;
  endReason?: string | null;
  error?: string | null;
};

export type Rung = { height?: number; bitrateKbps?: number; copy?: true };
export type Input = { kind: string; port?: number; group?: string; host?: string; url?: string; onDemand?: boolean };
export type InputState = { kind: string; port?: number; url?: string | null; state: string; detail?: string | null };
export type Key = {
  name: string;
  /** Only in the answer that made it. */
  key?: string;
  createdAt?: string | null;
  expiresAt?: string | null;
  lastUsedAt?: string | null;
  previousUntil?: string | null;
};

export type Channel = {
  name: string;
  origin?: string;
  readOnly?: boolean;
  revision?: string;
  ladder?: string | Rung[];
  copyFallback?: string;
  gopSeconds?: number | null;
  segmentSeconds?: number;
  partSeconds?: number;
  windowSegments?: number;
  lossGraceSeconds?: number;
  endGraceSeconds?: number;
  rtmpPath?: string | null;
  inputs?: Input[];
  inputStates?: InputState[];
  limits?: { bitrateKbps?: number | null; height?: number | null; durationSeconds?: number | null };
  keys?: Key[];
};
export type Worker = {
  id: string;
  role?: string;
  phase: string;
  session?: string | null;
  node?: string;
  pid?: number | null;
};
export type Refusal = {
  at?: string;
  code: string;
  message: string;
  protocol?: string;
  channel?: string | null;
  remote?: string;
};

export type State = {
  status: Record<string, unknown>;
  channels: Channel[];
  sessions: Session[];
  workers: Worker[];
  refusals: Refusal[];
};

export const EMPTY: State = { status: {}, channels: [], sessions: [], workers: [], refusals: [] };

const TOKEN = "continuity.token";

/** Of this tab only: closing it forgets the token. */
export const token = {
  get: (): string | null => sessionStorage.getItem(TOKEN),
  set: (value: string | null): void =>
    value === null ? sessionStorage.removeItem(TOKEN) : sessionStorage.setItem(TOKEN, value),
};

/** The server said no. `status` 401: it wants a token. */
export class ApiError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const TIMEOUT_MS = 8000;

/** @param revision what the thing was when it was read: if it is another by now, nothing happens (412)
 *  @throws ApiError when it answered with an error; TypeError or a DOMException when it did not answer */
export async function ask<T>(path: string, method = "GET", body?: unknown, revision?: string): Promise<T> {
  const value = token.get();
  const response = await fetch(path, {
    method,
    cache: "no-store",
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: {
      ...(value === null ? {} : { authorization: `Bearer ${value}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(revision === undefined ? {} : { "if-match": `"${revision}"` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const json = response.headers.get("content-type")?.includes("json") ? JSON.parse(text || "null") : null;
  if (!response.ok) throw new ApiError(response.status, json?.detail ?? `The server answered ${response.status}.`);
  return json as T;
}

/** Lists come as `{items: [...]}` or bare. */
export function items<T>(value: unknown): T[] | null {
  if (Array.isArray(value)) return value as T[];
  const inner = (value as { items?: unknown } | null)?.items;
  return Array.isArray(inner) ? (inner as T[]) : null;
}

/** The parts of a snapshot that are there, over what was known. */
export function merge(known: State, snapshot: Record<string, unknown>): State {
  const status = snapshot.status;
  return {
    status: status !== null && typeof status === "object" ? (status as Record<string, unknown>) : known.status,
    channels: items<Channel>(snapshot.channels) ?? known.channels,
    sessions: items<Session>(snapshot.sessions) ?? known.sessions,
    workers: items<Worker>(snapshot.workers) ?? known.workers,
    refusals: items<Refusal>(snapshot.refusals) ?? known.refusals,
  };
}
