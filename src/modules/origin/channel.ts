// One channel as its viewers see it: its sessions one after another, their playlists, and who waits for what of them.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { skippableSegments, writeMediaPlaylist } from "#media/hls/media-playlist.ts";
import { writeMultivariant } from "#media/hls/multivariant.ts";
import { CACHE, sendError, sendMedia, sendText, TextBody } from "./answer.ts";
import { HeldGroup, type Waiting } from "./held-requests.ts";
import { partNamed } from "./named-media.ts";
import type { ChannelNumbers } from "./numbers.ts";
import type { OriginOptions } from "./options.ts";
import { multivariantOf, playableEra } from "./presentation.ts";
import type { Session } from "./session.ts";
import type { Track } from "./track.ts";
import { type Chain, chainOf, type LiveEdge, liveEdgeOf, playlistOf } from "./view.ts";

/** What a held playlist request wants of its answer. */
type Want = Readonly<{ delta: boolean; gzip: boolean }>;
type PlaylistGroup = { readonly msn: number; readonly part: number | null; readonly group: HeldGroup<Want> };

/** Multiples of the target duration. */
const HOLD_LIMIT = 3;
const STALE_AFTER = 1.5;
const PLAYLIST_MIN = 3;
/** An answer that was waited for stays right for its URL as long as anybody may ask it. */
const HELD_ANSWER_LIFE = 6;

/** `held` and `now`: how long an answer may be kept that was waited for, and one that was not. */
type Rendered = Readonly<{ version: number; full: TextBody; delta: TextBody; held: string; now: string }>;

export class LiveChannel {
  readonly name: string;
  readonly numbers: ChannelNumbers;
  /** Oldest first; only the last may wait for the one before. */
  sessions: Session[] = [];
  /** Requests that wait for something to play. */
  readonly starting: HeldGroup<() => void>;
  /** Goes up whenever a playlist of the channel may have changed. */
  #version = 0;
  readonly #chains = new Map<string, { version: number; chain: Chain }>();
  readonly #rendered = new Map<string, Rendered>();
  #multivariant: { version: number; session: Session; body: TextBody } | null = null;
  readonly #playlistGroups = new Map<string, Map<string, PlaylistGroup>>();
  readonly #partGroups = new Map<string, { track: Track; groups: Map<string, HeldGroup<IncomingMessage>> }>();
  readonly #clock: Clock;
  readonly #options: OriginOptions;
  readonly #waiting: Waiting;

  constructor(deps: { name: string; numbers: ChannelNumbers; clock: Clock; options: OriginOptions; waiting: Waiting }) {
    this.name = deps.name;
    this.numbers = deps.numbers;
    this.#clock = deps.clock;
    this.#options = deps.options;
    this.#waiting = deps.waiting;
    this.starting = startingGroup(deps.clock, deps.waiting, deps.options);
  }

  get newest(): Session | null {
    return this.sessions.at(-1) ?? null;
  }

  /** A session is on air, or about to be. */
  get isOpen(): boolean {
    return this.newest?.outcome === null;
  }

  /** The session on air has that rendition, or has not said yet what it has. */
  mayGet(name: string): boolean {
    const era = this.newest?.era ?? null;
    return era === null || era.renditions.some((rendition) => rendition.name === name);
  }

  get waiters(): number {
    const groups = [...this.#playlistGroups.values()].flatMap((byKey) => [...byKey.values()].map(({ group }) => group));
    const parts = [...this.#partGroups.values()].flatMap(({ groups: byKey }) => [...byKey.values()]);
    return [...groups, ...parts, this.starting].reduce((sum, group) => sum + group.size, 0);
  }

  /** The rendition's playlist, in parts; null when there is none. Worked out once per publication. */
  chain(name: string): Chain | null {
    const known = this.#chains.get(name);
    if (known?.version === this.#version) return known.chain;
    const chain = chainOf(this.sessions, name);
    if (chain) this.#chains.set(name, { version: this.#version, chain });
    return chain;
  }

  /** The multivariant playlist of the newest session that can be played; null when there is none yet.
   *  @param orEnded also of one that is over */
  multivariant(orEnded: boolean): TextBody | null {
    const session = this.sessions.findLast((one) => playableEra(one) !== null);
    if (!session || ((session !== this.newest || !this.isOpen) && !orEnded)) return null;
    const known = this.#multivariant;
    if (known?.version === this.#version && known.session === session) return known.body;
    const body = new TextBody(writeMultivariant(multivariantOf(session, playableEra(session)!)));
    this.#multivariant = { version: this.#version, session, body };
    return body;
  }

  /** The playlist as it is now. Made once per publication, and only if somebody asks. */
  #render(chain: Chain): Rendered {
    const { name } = chain.track;
    const known = this.#rendered.get(name);
    if (known?.version === this.#version) return known;
    const value = playlistOf(chain);
    const full = new TextBody(writeMediaPlaylist(value));
    const delta = skippableSegments(value) > 0 ? new TextBody(writeMediaPlaylist(value, true)) : full;
    const { ended, targetDurationSeconds } = value;
    const held = ended ? CACHE.second : `public, max-age=${HELD_ANSWER_LIFE * targetDurationSeconds}`;
    const rendered = { version: this.#version, full, delta, held, now: ended ? CACHE.second : CACHE.now };
    this.#rendered.set(name, rendered);
    return rendered;
  }

  sendPlaylist(response: ServerResponse, chain: Chain, want: Want, waited: boolean, ifNoneMatch = ""): void {
    const { full, delta, held, now } = this.#render(chain);
    sendText(response, want.delta ? delta : full, want.gzip, waited ? held : now, ifNoneMatch);
  }

  /** Keep a request until segment `msn` is whole, or its part is listed. */
  holdPlaylist(response: ServerResponse, chain: Chain, msn: number, part: number | null, want: Want): void {
    const { name } = chain.track;
    const byKey = this.#playlistGroups.get(name) ?? new Map<string, PlaylistGroup>();
    this.#playlistGroups.set(name, byKey);
    const key = `${msn}.${part ?? ""}`;
    let entry = byKey.get(key);
    if (!entry) {
      const limitMs = HOLD_LIMIT * chain.targetDurationSeconds * 1000;
      const late = () => new PlatformError("origin.busy", `${key} of ${name} did not come within ${limitMs} ms.`);
      const group = new HeldGroup<Want>(this.#clock, this.#waiting, limitMs, (held) => sendError(held, late()));
      byKey.set(key, (entry = { msn, part, group }));
    }
    if (!entry.group.add(response, want)) sendError(response, tooMany(this.#waiting));
  }

  /** Keep a request for a part that was hinted. */
  holdPart(request: IncomingMessage, response: ServerResponse, session: Session, track: Track, key: string): void {
    const at = `${session.id}/${track.name}`;
    const entry = this.#partGroups.get(at) ?? { track, groups: new Map<string, HeldGroup<IncomingMessage>>() };
    this.#partGroups.set(at, entry);
    let group = entry.groups.get(key);
    if (!group) {
      const limitMs = HOLD_LIMIT * (session.era?.targetDurationSeconds ?? 2) * 1000;
      const late = () => new PlatformError("origin.busy", `That part did not come within ${limitMs} ms.`);
      group = new HeldGroup<IncomingMessage>(this.#clock, this.#waiting, limitMs, (held) => sendError(held, late()));
      entry.groups.set(key, group);
    }
    if (!group.add(response, request)) sendError(response, tooMany(this.#waiting));
  }

  /** A track of a session published something, or the session is over: answer who waited for it. */
  published(session: Session, track: Track): void {
    this.#version += 1;
    this.#trim(track.name);
    this.#releaseParts(session, track);
    this.#releasePlaylists(track.name);
    this.releaseStarting();
  }

  /** Boundaries moved: a hint may name another part now. */
  replanned(session: Session): void {
    this.#version += 1;
    for (const track of session.tracks.values()) this.#releaseParts(session, track);
  }

  #releasePlaylists(name: string): void {
    const byKey = this.#playlistGroups.get(name);
    const chain = byKey && byKey.size > 0 ? this.chain(name) : null;
    if (!byKey || !chain) return;
    const edge = liveEdgeOf(chain);
    for (const [key, { msn, part, group }] of byKey) {
      if (group.size > 0 && !chain.ended && !isListed(edge, msn, part)) continue;
      byKey.delete(key);
      group.release((response, want) => this.sendPlaylist(response, chain, want, true));
    }
  }

  #releaseParts(session: Session, track: Track): void {
    const at = `${session.id}/${track.name}`;
    const entry = this.#partGroups.get(at);
    if (!entry) return;
    for (const [key, group] of entry.groups) {
      const media = partNamed(session, track, key);
      if (media === "hinted" && group.size > 0) continue;
      entry.groups.delete(key);
      group.release((response, request) => {
        if (media !== null && media !== "hinted") sendMedia(request, response, media);
        else sendError(response, new PlatformError("api.not_found", "That part will not exist."));
      });
    }
    if (entry.groups.size === 0) this.#partGroups.delete(at);
  }

  releaseStarting(): void {
    if (this.starting.size === 0 || (this.isOpen && this.multivariant(false) === null)) return;
    this.starting.release((_, again) => again());
  }

  /** Why a playlist must not be answered any more, though it is there; null when it may. */
  staleness({ session, track, era, ended }: Chain): PlatformError | null {
    if (ended) return null;
    const limitMs = STALE_AFTER * era.targetDurationSeconds * 1000;
    const silentMs = this.#clock.monotonicMs() - track.publishedMs;
    if (silentMs <= limitMs || session.isInHole(track)) return null;
    return new PlatformError("origin.stale", `Nothing was added to ${track.name} for ${Math.round(silentMs)} ms.`);
  }

  /** Take from the list what is beyond the window, never below three target durations. */
  #trim(name: string): void {
    const chain = this.chain(name);
    if (!chain) return;
    const window = chain.session.channel.windowSegments;
    const nowMs = this.#clock.monotonicMs();
    const joined = new Set(chain.links.map(({ track }) => track));
    for (const { tracks } of this.sessions) {
      const track = tracks.get(name);
      if (!track || joined.has(track)) continue;
      while (track.listed.length > 0) track.retireOldest(nowMs, keepMs(track.listed)); // its numbers do not join up
    }
    let count = chain.links.reduce((sum, { track }) => sum + track.listed.length, 0);
    let leftMs = chain.links.reduce((sum, { track }) => sum + lengthMs(track.listed), 0);
    for (const { track } of chain.links)
      while (track.listed.length > 0 && count > window) {
        const oldestMs = lengthMs(track.listed.slice(0, 1));
        if (leftMs - oldestMs < PLAYLIST_MIN * chain.targetDurationSeconds * 1000) return;
        track.retireOldest(nowMs, oldestMs + leftMs);
        count -= 1;
        leftMs -= oldestMs;
      }
  }

  /** Let go of what is over. @returns sessions that nothing is held of any more */
  async tend(nowMs: number): Promise<Session[]> {
    for (const session of this.sessions) {
      session.tend(nowMs);
      let expired = false;
      for (const track of session.tracks.values()) expired = track.expire(nowMs) || expired;
      if (!expired) continue;
      const oldest = Math.min(...[...session.tracks.values()].map((track) => track.oldestOrdinal));
      await session.journal.removeBelow(oldest);
    }
    const over = this.sessions.filter((session) => this.#isOver(session, nowMs));
    if (over.length > 0) {
      this.sessions = this.sessions.filter((session) => !over.includes(session));
      this.#version += 1;
      this.#rendered.clear();
      this.#chains.clear();
    }
    return over;
  }

  #isOver(session: Session, nowMs: number): boolean {
    if (session.endedMs === null || session.state === "open") return false;
    const tracks = [...session.tracks.values()];
    const isLast =
      session === this.newest || this.sessions.every((later) => later === session || !isAfter(later, session));
    const listedMs = Math.max(0, ...tracks.map((track) => lengthMs(track.listed)));
    const keep = Math.max(this.#options.endedKeepMs, listedMs);
    if (isLast) return nowMs - session.endedMs > keep;
    const nothingHeld = tracks.every((track) => track.listed.length === 0 && track.retired.length === 0);
    return nothingHeld && nowMs - session.endedMs > this.#options.endedKeepMs;
  }
}

function isAfter(later: Session, session: Session): boolean {
  return later.msnBase > session.msnBase;
}

/** Whether a playlist that has come this far answers a request for (msn, part). */
export function isListed(edge: LiveEdge, msn: number, part: number | null): boolean {
  if (edge.lastMsn !== null && msn <= edge.lastMsn) {
    // Past the last part of the newest whole segment: the first of the next is meant. A gap tells all there is to tell.
    const isPast = part !== null && msn === edge.lastMsn && part >= edge.lastParts && !edge.lastIsGap;
    return !isPast || edge.nextParts > 0;
  }
  if (msn < edge.nextMsn) return true; // before the first of the playlist
  return part !== null && msn === edge.nextMsn && part < edge.nextParts;
}

function lengthMs(segments: readonly Readonly<{ durationTicks: number; timescale: number }>[]): number {
  return segments.reduce((sum, { durationTicks, timescale }) => sum + (durationTicks * 1000) / timescale, 0);
}

/** A segment stays fetchable for its own length and that of the longest playlist that had it. */
function keepMs(listed: readonly Readonly<{ durationTicks: number; timescale: number }>[]): number {
  return lengthMs(listed.slice(0, 1)) + lengthMs(listed);
}

export function startingGroup(clock: Clock, waiting: Waiting, options: OriginOptions): HeldGroup<() => void> {
  const late = () => new PlatformError("origin.stale", "The channel did not start in time; try again.");
  return new HeldGroup<() => void>(clock, waiting, options.startHoldMs, (response) => sendError(response, late()));
}

export function tooMany({ max }: Waiting): PlatformError {
  return new PlatformError("origin.busy", `${max} requests wait already; try again.`);
}
