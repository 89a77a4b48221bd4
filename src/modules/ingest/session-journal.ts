// A session's decisions on disk, so that a gateway that died finds its sessions again. The live path never waits for it:
// records queue up, a disk that fails is tried again, and one that stays away costs the session its memory of itself and
// nothing else.
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Channel } from "#media/channel.ts";
import { decodeDecision, encodeDecision } from "#media/session-log/decision-json.ts";
import type { Decision, Positioned } from "#media/session-log/entries.ts";
import type { Journal, JournalFolder } from "#platform/journal/journal.ts";
import { KeptDecisions } from "./log/kept-decisions.ts";
import { type Progress, ProgressJournal, rememberedProgress, removeStrayProgress } from "./progress-journal.ts";
import type { PublishRequest } from "./types.ts";

const FOLDER = "sessions/";
const RETRY_MS = 1000;
/** About an hour of holes. A disk that is away for longer is not waited for. */
const QUEUE_MAX = 10_000;

/** What a session is, besides its log. */
export type SessionFacts = Readonly<{
  session: string;
  channel: Channel;
  protocol: PublishRequest["protocol"];
  remote: string;
}>;

export type Remembered = Readonly<{
  facts: SessionFacts;
  decisions: readonly Positioned<Decision>[];
  progress: Progress | null;
}>;

const KIND = { facts: "F", decision: "D" } as const;
const POSITION_BYTES = 8;

export class SessionJournal {
  readonly #folder: JournalFolder;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #progress: ProgressJournal;
  #journal: Journal | null;
  readonly #queue: Buffer[] = [];
  #writing: Promise<void> | null = null;
  #isFailing = false;
  #isClosed = false;

  constructor(deps: { folder: JournalFolder; session: string; clock: Clock; log: Log; journal?: Journal }) {
    this.#folder = deps.folder;
    this.#name = FOLDER + deps.session;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#progress = new ProgressJournal(deps);
    this.#journal = deps.journal ?? null;
  }

  facts(facts: SessionFacts): void {
    this.#append(record(KIND.facts, Buffer.from(JSON.stringify(facts))));
  }

  decision({ position, entry }: Positioned<Decision>): void {
    const at = Buffer.alloc(POSITION_BYTES);
    at.writeBigUInt64BE(BigInt(position));
    this.#append(record(KIND.decision, at, encodeDecision(entry)));
  }

  progress(progress: Progress): void {
    this.#progress.tell(progress);
  }

  /** Resolves when everything is on disk, or cannot be brought there now. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#writing;
    await this.#journal?.close();
    await this.#progress.close();
  }

  /** The session is over and forgotten. */
  async remove(): Promise<void> {
    this.#queue.length = 0;
    await this.close();
    await this.#progress.remove();
    await this.#folder.remove(this.#name);
  }

  #append(bytes: Buffer): void {
    if (this.#isClosed) return;
    if (this.#queue.length >= QUEUE_MAX) {
      this.#log.error("journal.given_up", { journal: this.#name, records: this.#queue.length });
      this.#isClosed = true;
      this.#queue.length = 0;
      return;
    }
    this.#queue.push(bytes);
    this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    try {
      this.#journal ??= await this.#folder.open(this.#name);
      for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
        await this.#journal.append(next);
        if (this.#queue[0] === next) this.#queue.shift();
      }
      if (this.#isFailing) this.#log.info("journal.works_again", { journal: this.#name });
      this.#isFailing = false;
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      if (!this.#isFailing) this.#log.error("journal.failed", { journal: this.#name, error });
      this.#isFailing = true;
      this.#clock.setTimer(RETRY_MS, () => {
        if (!this.#isClosed && this.#queue.length > 0) this.#writing ??= this.#write();
      });
    } finally {
      this.#writing = null;
    }
  }
}

function record(kind: string, ...parts: Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(kind, "latin1"), ...parts]);
}

/** Sessions that have a journal. What cannot be read is told and left alone: somebody may want to look at it. */
export async function rememberedSessions(
  folder: JournalFolder,
  log: Log,
): Promise<{ remembered: Remembered; journal: Journal }[]> {
  const found: { remembered: Remembered; journal: Journal }[] = [];
  const names = (await folder.list()).filter((name) => name.startsWith(FOLDER));
  await removeStrayProgress(folder, log, (session) => names.includes(FOLDER + session));
  for (const name of names) {
    try {
      const journal = await folder.open(name);
      const remembered = await readJournal(journal, await rememberedProgress(folder, name.slice(FOLDER.length)));
      if (remembered) found.push({ remembered, journal });
      else {
        await journal.close();
        await folder.remove(name); // it died before its first record was written
      }
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      log.error("journal.unreadable", { journal: name, error });
    }
  }
  return found;
}

async function readJournal(journal: Journal, progress: Progress | null): Promise<Remembered | null> {
  let facts: SessionFacts | null = null;
  const decisions = new KeptDecisions(); // a week of copied segments has 300 000 boundaries
  for await (const bytes of journal.read()) {
    const body = Buffer.from(bytes.buffer, bytes.byteOffset + 1, Math.max(0, bytes.byteLength - 1));
    const kind = String.fromCharCode(bytes[0] ?? 0);
    if (kind === KIND.facts) facts = json(body) as SessionFacts;
    else if (kind === KIND.decision) {
      if (body.length <= POSITION_BYTES) throw new PlatformError("media.truncated", "a decision is cut short");
      const entry = decodeDecision(body.subarray(POSITION_BYTES));
      const at = { position: Number(body.readBigUInt64BE(0)), entry };
      decisions.add(at);
      decisions.left(at);
    } else throw new PlatformError("media.unsupported", `a journal record of kind "${kind}"`);
  }
  return facts && { facts, decisions: decisions.all(), progress };
}

function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new PlatformError("media.malformed", "a journal record is not JSON", { cause });
  }
}
