// A session of copied media as its gateway, packager and worker would make it: a log that the test says entry by entry, and
// parts of known bytes.
import { audioTrack, videoTrack } from "#media/cmaf/testing/synthetic.ts";
import { writeInit } from "#media/cmaf/write.ts";
import type { Rendition } from "#media/ladder/rendition.ts";
import type { Boundary, EraOpened, SessionNumbers } from "#media/session-log/entries.ts";
import type { TestHouse, TestSession } from "./harness.ts";
import { COPIED_VIDEO, copiedAudio, type MadePart, type SourceMedia, sent, TICKS } from "./source-media.ts";

export const COPIED: readonly Rendition[] = [COPIED_VIDEO, copiedAudio("asource")];

export type EraChange = Partial<Omit<EraOpened, "kind" | "mode">>;

export class SourceSession {
  readonly base: TestSession;
  readonly id: string;
  media: SourceMedia;
  renditions: readonly Rendition[];
  readonly #house: TestHouse;
  /** Ordinal of the media's first segment, its era, and the discontinuities before it. */
  #first = 0;
  #era = 0;
  #discontinuities = 0;

  constructor(house: TestHouse, id: string, media: SourceMedia, renditions: readonly Rendition[] = COPIED) {
    this.base = house.session(id);
    this.id = id;
    this.#house = house;
    this.media = media;
    this.renditions = renditions;
  }

  /** Reserve numbers, open era 0 and its first segment. */
  async open(change: EraChange = {}): Promise<SessionNumbers> {
    const { origin } = this.#house;
    const numbers = await origin.openSession(this.id, this.base.channel);
    const ids = { session: this.id, channel: this.base.channel.name, tenant: "main", traceparent: "" };
    this.base.say({ kind: "session", ...ids, ...numbers, openedNs: 0n });
    this.#sayEra(change);
    return numbers;
  }

  #sayEra(change: EraChange): void {
    this.base.say({
      kind: "era",
      era: this.#era,
      mode: "source",
      rate: { num: TICKS, den: 1 },
      frameRate: { num: 30, den: 1 },
      frame: this.media.boundaries[0]!,
      previousEnd: null,
      segmentFrames: 2 * TICKS,
      partFrames: this.media.cell,
      partTargetMs: 360,
      targetDurationSeconds: 4,
      sourceRate: { num: 30, den: 1 },
      renditions: this.renditions,
      ...change,
    });
  }

  /** Other media from here on, in an era of its own that begins behind the last boundary said. */
  nextEra(media: SourceMedia, previousEnd: number, ordinal: number, change: EraChange = {}): void {
    this.media = media;
    this.#first = ordinal;
    this.#era += 1;
    this.#discontinuities += 1;
    this.#sayEra({ previousEnd, ...change });
  }

  /** The segment of that ordinal begins. */
  boundary(ordinal: number, frame = this.media.boundaries[ordinal - this.#first]!): void {
    const discontinuity = ordinal === this.#first;
    const discontinuities = this.#discontinuities + (discontinuity ? 0 : 1);
    const entry: Boundary = { kind: "boundary", frame, ordinal, discontinuity, discontinuities };
    this.base.say(entry);
  }

  rendition(name: string): Rendition {
    return this.renditions.find((one) => one.name === name)!;
  }

  parts(name: string, ordinal: number): MadePart[] {
    return this.media.parts(this.rendition(name), ordinal - this.#first);
  }

  bytes(name: string, ordinal: number): Buffer {
    return Buffer.concat(this.parts(name, ordinal).map(({ bytes }) => bytes));
  }

  init(name: string): Buffer {
    const rendition = this.rendition(name);
    if (rendition.kind === "audio") return writeInit(audioTrack());
    return writeInit(videoTrack(TICKS, rendition.width, rendition.height));
  }

  async send(name: string, parts: readonly MadePart[]): Promise<void> {
    const answer = await this.base.post(name, [this.init(name), ...parts.map(sent)], this.#era);
    if (answer.status !== 200) throw new Error(`${name}: ${answer.status} ${answer.text}`);
  }

  /** Whole segments [from, to) of all renditions, their boundaries included; that of `to` too, which ends them. */
  async push(from: number, to: number): Promise<void> {
    for (let ordinal = from; ordinal <= to; ordinal += 1)
      if (this.media.boundaries.length > ordinal - this.#first) this.boundary(ordinal);
    for (const { name } of this.renditions)
      for (let ordinal = from; ordinal < to; ordinal += 1) await this.send(name, this.parts(name, ordinal));
  }

  end(frame: number): void {
    this.base.say({ kind: "end", frame, reason: "publisher" });
  }

  moveTo(house: TestHouse): void {
    this.base.moveTo(house);
  }
}
