// One third-party sender of a channel: many requests, one publisher. It is admitted by the first of them, and every later
// one must show the same key.
import { timingSafeEqual } from "node:crypto";
import type { Clock, Timer } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { CMAF_CLOCK, CmafTrackReader, type CmafUnit } from "#media/cmaf/demux.ts";
import type { FragmentEvent, FragmentInit } from "#media/cmaf/fragments.ts";
import type { Track } from "#media/session-log/entries.ts";
import type { PublisherLink } from "../live-session.ts";
import type { Publication, Sessions } from "../sessions.ts";
import type { PublishRequest } from "../types.ts";
import { type InitStore, type KnownInit, REPRESENTATIONS_MAX } from "./init-store.ts";
import { PacedMerge } from "./paced-merge.ts";

/** Units that wait for their time: some segments of a whole ladder. */
const WAITING_BYTES_MAX = 96 * 1024 * 1024;
/** All representations known, the tracks are told as complete after this long without a new one. */
const COMPLETE_MS = 1500;

type Representation = { reader: CmafTrackReader; init: KnownInit };

export class CmafPublisher {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #request: PublishRequest;
  readonly #publication: Publication;
  readonly #store: InitStore;
  readonly #inits: Map<string, KnownInit>;
  readonly #representations = new Map<string, Representation>();
  readonly #numbers = new Map<string, number>();
  readonly #merge = new PacedMerge(WAITING_BYTES_MAX, (unit) => this.#out(unit));
  readonly #endedTracks = new Set<string>();
  #told: readonly Track[] = [];
  #timer: Timer | null = null;
  #completeMs: number;
  #isComplete = false;
  #ended = false;
  /** Why the session wants no more of it; null while it does. */
  dismissal: PlatformError | null = null;

  private constructor(
    deps: { clock: Clock; log: Log },
    request: PublishRequest,
    publication: Publication,
    store: InitStore,
    inits: Map<string, KnownInit>,
  ) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#request = request;
    this.#publication = publication;
    this.#store = store;
    this.#inits = inits;
    this.#completeMs = deps.clock.monotonicMs() + COMPLETE_MS;
  }

  /** @throws PlatformError publish.* when it is not admitted */
  static async admit(
    deps: { clock: Clock; log: Log; sessions: Sessions },
    request: PublishRequest,
    store: InitStore,
    gone: (publisher: CmafPublisher) => void,
  ): Promise<CmafPublisher> {
    let publisher: CmafPublisher | null = null;
    let early: PlatformError | null = null;
    const link: PublisherLink = {
      protocol: "cmaf",
      remote: request.remote,
      dismiss(error) {
        const why = error ?? new PlatformError("api.conflict", "The session has ended.");
        if (publisher === null) early = why;
        else {
          publisher.#dismissed(why);
          gone(publisher);
        }
      },
    };
    const inits = await store.load();
    const publication = await deps.sessions.admit(request, link, CMAF_CLOCK);
    publisher = new CmafPublisher(deps, request, publication, store, inits);
    if (early !== null) throw early;
    return publisher;
  }

  get isOver(): boolean {
    return this.#ended || this.dismissal !== null;
  }

  /** Whether a request comes from the sender that was admitted. */
  knows(key: string | null): boolean {
    const [a, b] = [Buffer.from(this.#request.key ?? ""), Buffer.from(key ?? "")];
    return a.byteLength === b.byteLength && timingSafeEqual(a, b);
  }

  /** As of now: a sender opens the request of its first segment before that of the init segment has ended. */
  initOf(representation: string): FragmentInit | null {
    return this.#inits.get(representation)?.init ?? null;
  }

  received(bytes: number): void {
    this.#publication.received(bytes);
  }

  /** @throws PlatformError media.*, ingest.unsupported_codec, ingest.too_fast, origin.init_missing */
  event(representation: string, event: FragmentEvent): void {
    if (this.#ended) return;
    if (event.kind === "init") this.#init(representation, event);
    else this.#fragment(representation, event);
    this.#advance();
  }

  /** @returns whether all tracks have ended */
  trackEnded(representation: string): boolean {
    this.#endedTracks.add(representation);
    return [...this.#representations.keys()].every((name) => this.#endedTracks.has(name));
  }

  /** The sender says that the stream is over: what waits is let out first. @returns what is wrong with all that it sent */
  end(): PlatformError | null {
    if (this.isOver) return null;
    this.#ended = true;
    this.#timer?.cancel();
    this.#merge.flush();
    return this.#publication.leave(true);
  }

  /** The gateway stops, or the sender is lost. */
  close(): void {
    this.#ended = true;
    this.#timer?.cancel();
    this.#publication.leave(false);
  }

  #dismissed(why: PlatformError): void {
    this.dismissal = why;
    this.#timer?.cancel();
  }

  #init(name: string, { init, bytes }: Extract<FragmentEvent, { kind: "init" }>): void {
    const known = this.#inits.get(name);
    if (known?.bytes.equals(bytes) && this.#representations.has(name)) return;
    if (!known && this.#inits.size >= REPRESENTATIONS_MAX)
      throw new PlatformError("media.unsupported", `More than ${REPRESENTATIONS_MAX} representations of one channel.`);
    this.#open(name, { init, bytes });
    this.#inits.set(name, { init, bytes });
    this.#store.save(this.#inits);
  }

  #open(name: string, init: KnownInit): Representation {
    const number = this.#numbers.get(name) ?? this.#numbers.size + 1;
    this.#numbers.set(name, number);
    const representation = { init, reader: new CmafTrackReader(init.init, number) };
    this.#representations.set(name, representation);
    this.#merge.announce(number, this.#clock.monotonicMs());
    this.#completeMs = this.#clock.monotonicMs() + COMPLETE_MS;
    this.#tell();
    return representation;
  }

  #fragment(name: string, { samples, endTicks }: Extract<FragmentEvent, { kind: "fragment" }>): void {
    let representation = this.#representations.get(name);
    const stored = this.#inits.get(name);
    if (!representation && stored) representation = this.#open(name, stored);
    if (!representation) throw new PlatformError("origin.init_missing", `Send the init segment of ${name} first.`);
    const { reader } = representation;
    const track = reader.track;
    reader.prepare(samples);
    const units = samples.flatMap((sample) => reader.units(sample));
    if (reader.track !== track) this.#tell();
    const number = this.#numbers.get(name)!;
    if (!this.#merge.add(number, units, reader.ticks(endTicks), this.#clock.monotonicMs()))
      throw new PlatformError(
        "ingest.too_fast",
        `More than ${WAITING_BYTES_MAX >> 20} MiB wait for their time: send segments as they are made.`,
      );
  }

  /** Largest picture first: it leads. */
  #tell(): void {
    const tracks = [...this.#representations.values()]
      .map(({ reader }) => reader.track)
      .filter((track) => track !== null);
    const size = (track: Track) => (track.kind === "video" ? track.width * track.height : 0);
    this.#told = tracks.toSorted((a, b) => size(b) - size(a) || a.track - b.track);
    this.#publication.event({ kind: "tracks", tracks: this.#told, complete: this.#isComplete });
  }

  #advance(): void {
    if (this.isOver) return;
    const nowMs = this.#clock.monotonicMs();
    if (!this.#isComplete && nowMs >= this.#completeMs && this.#told.length > 0) {
      this.#isComplete = true;
      this.#tell();
    }
    const waitMs = this.#merge.advance(nowMs);
    this.#timer?.cancel();
    const untilCompleteMs = this.#isComplete ? null : Math.max(1, this.#completeMs - nowMs);
    const nextMs = Math.min(waitMs ?? Number.POSITIVE_INFINITY, untilCompleteMs ?? Number.POSITIVE_INFINITY);
    if (nextMs !== Number.POSITIVE_INFINITY) this.#timer = this.#clock.setTimer(nextMs, () => this.#advance());
  }

  #out({ unit, loss }: CmafUnit): void {
    if (loss !== null) this.#publication.event({ kind: "loss", track: unit.track, detail: loss });
    this.#publication.event(unit);
  }

  /** For the log when it is gone. */
  tellDropped(): void {
    if (this.#merge.dropped > 0) this.#log.warn("ingest.cmaf_dropped", { units: this.#merge.dropped });
  }
}
