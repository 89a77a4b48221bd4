// The ports that channels have of their own. What should be open comes as a whole state; here it is compared with what is
// open, and the difference is made. A port that cannot be had is tried again for as long as it is wanted.
import type { Clock, Timer } from "#base/clock.ts";
import { describe, PlatformError, toProblem } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { PortInput } from "#media/channel.ts";
import type { Network } from "#platform/network/network.ts";
import type { Sessions } from "../sessions.ts";
import type { InputState, WantedInput } from "../types.ts";
import { openTcpInput } from "./tcp-input.ts";
import { openUdpInput } from "./udp-input.ts";

/** Long enough that a log is not filled, short enough that nobody restarts us for it. */
const RETRY_MS = 5000;

export type InputDeps = Readonly<{
  clock: Clock;
  log: Log;
  network: Network;
  sessions: Sessions;
  /** Where inputs listen that name no host. */
  host: string;
  /** A state changed; counters alone do not count. */
  changed: () => void;
}>;

export interface OpenInput {
  state(): Omit<InputState, "channel" | "kind" | "error">;
  /** Its publisher is gone too. */
  close(): Promise<void>;
}

type Entry = {
  channel: string;
  input: PortInput;
  opened: OpenInput | null;
  error: InputState["error"];
  retry: Timer | null;
};

export class ChannelInputs {
  readonly #deps: InputDeps;
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<() => void>();
  #wanted: ReadonlyMap<string, WantedInput> = new Map();
  #working: Promise<void> | null = null;
  #again = false;

  constructor(deps: Omit<InputDeps, "changed">) {
    this.#deps = { ...deps, changed: () => this.#changed() };
  }

  /** Returns at once; `states` tells how it went. */
  want(inputs: readonly WantedInput[]): void {
    const ports = inputs.filter(({ input }) => input.kind !== "pull");
    this.#wanted = new Map(ports.map((wanted) => [JSON.stringify([wanted.channel, wanted.input]), wanted]));
    this.#work();
  }

  states(): InputState[] {
    return [...this.#entries.values()].map(({ channel, input, opened, error }) => {
      const { kind, port } = input;
      const closed = { host: hostOf(input, this.#deps.host), port, remote: null, bytes: 0, datagrams: null };
      const state = error === null ? ("opening" as const) : ("failed" as const);
      return { channel, kind, error, ...(opened?.state() ?? { ...closed, state }) };
    });
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.want([]);
    while (this.#working) await this.#working;
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** One pass after the other: a port is closed before it is opened for somebody else. */
  #work(): void {
    this.#again = true;
    this.#working ??= (async () => {
      while (this.#again) {
        this.#again = false;
        await this.#pass();
      }
      this.#working = null;
    })();
  }

  async #pass(): Promise<void> {
    const wanted = this.#wanted;
    for (const [id, entry] of [...this.#entries]) if (!wanted.has(id)) await this.#drop(id, entry);
    for (const [id, { channel, input }] of wanted) {
      const known = this.#entries.get(id);
      if (known?.opened || known?.retry || input.kind === "pull") continue;
      const entry = known ?? { channel, input, opened: null, error: null, retry: null };
      this.#entries.set(id, entry);
      await this.#open(entry);
    }
  }

  async #drop(id: string, entry: Entry): Promise<void> {
    const { channel, input, opened, retry } = entry;
    retry?.cancel();
    this.#entries.delete(id);
    if (opened) {
      await opened.close();
      this.#deps.log.info("ingest.input_closed", { channel, kind: input.kind, port: input.port });
    }
    this.#changed();
  }

  /** Never rejects. */
  async #open(entry: Entry): Promise<void> {
    const { log, clock } = this.#deps;
    const { channel, input } = entry;
    const host = hostOf(input, this.#deps.host);
    const facts = { channel, kind: input.kind, host, port: input.port };
    try {
      entry.opened =
        input.kind === "tcp"
          ? await openTcpInput({ channel, host, port: input.port }, this.#deps)
          : await openUdpInput({ channel, host, input }, this.#deps, (error) => this.#lost(entry, error));
      entry.error = null;
      log.info("ingest.input_open", facts);
    } catch (error) {
      this.#failed(entry, error, facts);
      entry.retry = clock.setTimer(RETRY_MS, () => {
        entry.retry = null;
        this.#work();
      });
    }
    this.#changed();
  }

  /** Each reason is told once and not at every try. */
  #failed(entry: Entry, error: unknown, facts: object): void {
    const { code, detail } = toProblem(error);
    if (entry.error?.message === detail) return;
    entry.error = { code, message: detail };
    if (error instanceof PlatformError) this.#deps.log.warn("ingest.input_failed", { ...facts, code, detail });
    else this.#deps.log.error("ingest.input_failed", { ...facts, error });
  }

  /** The system took the socket away. */
  #lost(entry: Entry, error: Error): void {
    const { channel, input, opened } = entry;
    if (!opened) return;
    entry.opened = null;
    this.#deps.log.warn("ingest.input_lost", { channel, kind: input.kind, port: input.port, reason: describe(error) });
    opened.close().then(
      () => this.#work(),
      (failure) => this.#deps.log.error("ingest.input_lost", { channel, error: failure }),
    );
  }
}

/** Bound to the group's own address a socket gets nothing of other groups on the same port. */
function hostOf(input: PortInput, host: string): string {
  return (input.kind === "udp" ? (input.group ?? input.host) : input.host) ?? host;
}
