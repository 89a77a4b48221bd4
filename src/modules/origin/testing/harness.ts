// An origin under test: real HTTP on a free port, journals in memory, a session log that the test writes by hand, and
// synthetic media of which every byte is known.
import { request as httpRequest, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http";
import { type Clock, systemClock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { type Log, silentLog } from "#base/log.ts";
import { type Channel, channelDefaults } from "#media/channel.ts";
import { audioTrack, syntheticChunk, videoTrack } from "#media/cmaf/testing/synthetic.ts";
import { writeInit } from "#media/cmaf/write.ts";
import type { Rendition } from "#media/ladder/rendition.ts";
import type { Decision, EraOpened, Positioned, SessionNumbers } from "#media/session-log/entries.ts";
import { type Segment, Timeline } from "#media/session-log/timeline.ts";
import { indexAt, type Rate } from "#media/time/rate.ts";
import { partTargetMs, segmentStart } from "#media/time/segmentation.ts";
import { utcToTai } from "#media/time/tai.ts";
import { memoryJournals } from "#platform/journal/drivers/memory.ts";
import type { JournalFolder } from "#platform/journal/journal.ts";
import { jwtKeys } from "#platform/keys/drivers/jwt.ts";
import { type HttpServer, listenHttp } from "#platform/network/drivers/http-server.ts";
import type { OriginOptions } from "../options.ts";
import { createOrigin } from "../origin.ts";
import { plannedParts } from "../planned-parts.ts";
import type { DecisionSource, Origin } from "../types.ts";

export const RATE: Rate = { num: 30_000, den: 1001 };
const SEGMENT_FRAMES = 60;
const PART_FRAMES = 10;

/** The host's clock, `factor` times as fast: limits of seconds pass in a blink. */
export function fastClock(factor: number): Clock {
  const system = systemClock();
  return {
    utcNs: () => system.utcNs(),
    monotonicMs: () => system.monotonicMs() * factor,
    hostInstant: () => system.hostInstant(),
    setTimer: (delayMs, fire) => system.setTimer(delayMs / factor, fire),
  };
}

/** Session logs in memory, decisions only. */
export class TestLogs implements DecisionSource {
  readonly #logs = new Map<string, { decisions: Decision[]; wake: Set<() => void> }>();
  readonly stored = new Map<string, bigint>();

  begin(session: string): void {
    this.#logs.set(session, { decisions: [], wake: new Set() });
  }

  add(session: string, decision: Decision): void {
    const log = this.#logs.get(session)!;
    log.decisions.push(decision);
    for (const wake of log.wake) wake();
  }

  forget(session: string): void {
    const log = this.#logs.get(session);
    this.#logs.delete(session);
    for (const wake of log?.wake ?? []) wake();
  }

  async *decisions(session: string, from: number, signal: AbortSignal): AsyncIterable<Positioned<Decision>> {
    for (let position = from; !signal.aborted; ) {
      const log = this.#logs.get(session);
      if (!log) throw new PlatformError("log.unknown_session", `no session ${session}`);
      const entry = log.decisions[position];
      if (entry) {
        yield { position, entry };
        position += 1;
        if (entry.kind === "end") return;
      } else
        await new Promise<void>((resolve) => {
          log.wake.add(resolve);
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
    }
  }

  storedThrough(session: string, timeNs: bigint): void {
    this.stored.set(session, timeNs);
  }
}

export const video = (name: string, height: number): Rendition => ({
  kind: "video",
  copied: false,
  name,
  codec: "h264",
  width: (height * 16) / 9,
  height,
  pixelAspect: { num: 1, den: 1 },
  profile: "main",
  levelIdc: 30,
  preset: "veryfast",
  crf: 23,
  maxBitrate: 800_000,
});

export const audio: Rendition = {
  kind: "audio",
  copied: false,
  track: 2,
  name: "a128",
  codec: "aac",
  sampleRate: 48_000,
  channels: 2,
  bitrate: 128_000,
  language: "und",
};

export const LADDER: readonly Rendition[] = [video("v360", 360), video("v180", 180), audio];

export function channelNamed(name: string, change: Partial<Channel> = {}): Channel {
  return { ...channelDefaults, name, origin: "auto", ...change };
}

export type Answer = { status: number; headers: IncomingHttpHeaders; body: Buffer; text: string };

/** One request, answered in full. */
export function ask(url: string, options: { method?: string; headers?: OutgoingHttpHeaders; body?: Buffer } = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const { method = "GET", headers = {} } = options;
    const { hostname, port } = new URL(url);
    const path = url.slice(url.indexOf("/", "http://".length)); // as it stands: a URL would resolve dots
    const request = httpRequest({ hostname, port, path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const body = Buffer.concat(chunks);
        resolve({ status: response.statusCode!, headers: response.headers, body, text: body.toString() });
      });
    });
    request.on("error", reject);
    request.end(options.body);
  });
}

/** One session as its gateway and worker would make it. */
export class TestSession {
  readonly id: string;
  readonly timeline = new Timeline();
  readonly channel: Channel;
  #house: TestHouse;
  /** First frame. */
  frame: number;
  #renditions: readonly Rendition[] = [];

  constructor(house: TestHouse, id: string, channel: Channel, startNs: bigint) {
    this.#house = house;
    this.id = id;
    this.channel = channel;
    this.frame = segmentStart(indexAt(RATE, startNs), SEGMENT_FRAMES);
    house.logs.begin(id);
  }

  /** The same session, towards another origin. */
  moveTo(house: TestHouse): void {
    this.#house = house;
  }

  say(decision: Decision): void {
    this.timeline.apply(decision);
    this.#house.logs.add(this.id, decision);
  }

  /** Reserve numbers and open era 0. @param higher how much more another origin of the session asked for */
  async open(renditions: readonly Rendition[] = LADDER, higher = 0): Promise<SessionNumbers> {
    const reserved = await this.#house.origin.openSession(this.id, this.channel);
    const numbers = { ...reserved, msnBase: reserved.msnBase + higher };
    const ids = { session: this.id, channel: this.channel.name, tenant: "main", traceparent: "" };
    this.say({ kind: "session", ...ids, ...numbers, openedNs: 0n });
    this.era(0, this.frame, null, renditions);
    return numbers;
  }

  era(era: number, frame: number, previousEnd: number | null, renditions: readonly Rendition[]): void {
    this.#renditions = renditions;
    const sampleRate = renditions.some(({ kind }) => kind === "audio") ? 48_000 : null;
    const opened: EraOpened = {
      kind: "era",
      era,
      mode: "grid",
      rate: RATE,
      frameRate: RATE,
      frame,
      previousEnd,
      segmentFrames: SEGMENT_FRAMES,
      partFrames: PART_FRAMES,
      partTargetMs: partTargetMs(RATE, PART_FRAMES, sampleRate),
      targetDurationSeconds: 2,
      sourceRate: RATE,
      renditions,
    };
    this.say(opened);
  }

  init(name: string): Buffer {
    const rendition = this.#renditions.find((one) => one.name === name)!;
    if (rendition.kind === "audio") return writeInit(audioTrack());
    return writeInit(videoTrack(RATE.num, rendition.width, rendition.height));
  }

  /** The parts of a segment of a rendition. @param salt makes other bytes for the same place */
  parts(name: string, segment: Segment, salt = 0): Buffer[] {
    const rendition = this.#renditions.find((one) => one.name === name)!;
    const sampleTicks = rendition.kind === "video" ? RATE.den : 1024;
    return plannedParts(this.timeline, segment, rendition).map((planned) =>
      syntheticChunk({
        start: planned.startTicks,
        count: planned.durationTicks / sampleTicks,
        sampleTicks,
        startsSegment: planned.number === 0,
        sync: rendition.kind === "audio" ? "all" : planned.number === 0 ? "first" : "none",
        salt: salt + rendition.name.length,
      }),
    );
  }

  segment(ordinal: number): Segment {
    return this.timeline.segment(ordinal)!;
  }

  token(): Promise<string> {
    return this.#house.keys.mint({ kind: "session", session: this.id, channel: this.channel.name }, 60);
  }

  url(name: string, era = 0): string {
    const extension = name.startsWith("a") ? "cmfa" : "cmfv";
    const path = `/ingest/${this.channel.name}/Streams(${name}.${extension})`;
    return `${this.#house.url}${path}?session=${this.id}&era=${era}`;
  }

  /** One POST with all of it; resolves with the answer, by when it is published, and on disk if whole. */
  async post(name: string, bytes: readonly Buffer[], era = 0): Promise<Answer> {
    const headers = { authorization: `Bearer ${await this.token()}`, "content-type": "video/mp4" };
    return ask(this.url(name, era), { method: "POST", headers, body: Buffer.concat(bytes) });
  }

  /** Whole segments [from, to) of all renditions. */
  async push(from: number, to: number, era = 0): Promise<void> {
    for (const { name } of this.#renditions) {
      const parts = Array.from({ length: to - from }, (_, i) => this.parts(name, this.segment(from + i))).flat();
      const answer = await this.post(name, [this.init(name), ...parts], era);
      if (answer.status !== 200) throw new Error(`${name}: ${answer.status} ${answer.text}`);
    }
  }

  /** The first parts of a segment of all renditions. */
  async pushParts(ordinal: number, from: number, to: number, names = this.#renditions.map(({ name }) => name)) {
    for (const name of names) {
      const parts = this.parts(name, this.segment(ordinal)).slice(from, to);
      const answer = await this.post(name, [this.init(name), ...parts]);
      if (answer.status !== 200) throw new Error(`${name}: ${answer.status} ${answer.text}`);
    }
  }

  /** The log ends after a segment. */
  end(ordinal: number): void {
    this.say({ kind: "end", frame: this.segment(ordinal).end, reason: "publisher" });
  }
}

/** A disk that a dead process cannot write to: its appends never come back. */
function mortal(journals: JournalFolder, isDead: () => boolean): JournalFolder {
  const never = new Promise<never>(() => {});
  return {
    ...journals,
    remove: (name) => (isDead() ? never : journals.remove(name)),
    async open(name) {
      if (isDead()) return never;
      const journal = await journals.open(name);
      return {
        append: (record) => (isDead() ? never : journal.append(record)),
        read: () => journal.read(),
        close: () => journal.close(),
      };
    },
  };
}

export class TestHouse {
  readonly logs: TestLogs;
  readonly clock: Clock;
  readonly keys;
  readonly journals: JournalFolder;
  origin!: Origin;
  #server!: HttpServer;
  #isDead = false;
  readonly #options: Partial<OriginOptions>;
  readonly #log: Log;
  readonly #onDemand: (channel: string) => boolean;

  constructor(
    options: {
      clock?: Clock;
      journals?: JournalFolder;
      logs?: TestLogs;
      origin?: Partial<OriginOptions>;
      log?: Log;
      onDemand?: (channel: string) => boolean;
    } = {},
  ) {
    this.clock = options.clock ?? systemClock();
    this.keys = jwtKeys(new Uint8Array(32), systemClock());
    this.journals = options.journals ?? memoryJournals();
    this.logs = options.logs ?? new TestLogs();
    this.#options = options.origin ?? {};
    this.#log = options.log ?? silentLog;
    this.#onDemand = options.onDemand ?? (() => false);
  }

  get url(): string {
    return this.#server.url;
  }

  async start(): Promise<this> {
    const { clock, keys, journals, logs } = this;
    this.origin = await createOrigin({
      clock,
      keys,
      journals: mortal(journals, () => this.#isDead),
      log: this.#log,
      decisions: logs,
      onDemand: this.#onDemand,
      options: this.#options,
    });
    this.#server = await listenHttp({ host: "127.0.0.1", port: 0, handlers: [this.origin.http] });
    return this;
  }

  /** Kill it: connections are cut, and nothing reaches the disk any more. */
  async crash(): Promise<void> {
    this.#isDead = true;
    await this.#server.close();
  }

  async stop(): Promise<void> {
    await this.#server.close();
    await this.origin.close();
  }

  session(id: string, channel = channelNamed("news"), startNs = this.nowNs()): TestSession {
    return new TestSession(this, id, channel, startNs);
  }

  nowNs(): bigint {
    return utcToTai(this.clock.utcNs());
  }

  get(path: string, headers: OutgoingHttpHeaders = {}, method = "GET"): Promise<Answer> {
    return ask(this.url + path, { headers, method });
  }
}

/** Wait for something that will be so, by asking again: for changes that no answer tells. */
export async function until<T>(
  find: () => T | null | undefined | false | Promise<T | null | undefined | false>,
): Promise<T> {
  for (let i = 0; i < 2000; i += 1) {
    const found = await find();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error("it did not come to be within 10 s");
}
