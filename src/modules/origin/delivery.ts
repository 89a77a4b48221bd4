// `/live/...`: playlists and media to players and caches. Nothing here waits on anything but memory.
// Paths are matched as they were sent, undecoded: every name of ours is plain, so whatever is not is not here.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { advancePartLimit, type Directives, parseDirectives } from "#media/hls/directives.ts";
import { acceptsGzip } from "#platform/network/http.ts";
import { CACHE, CORS, sendError, sendMedia, sendText } from "./answer.ts";
import type { Audience } from "./audience.ts";
import { isListed, type LiveChannel, startingGroup, tooMany } from "./channel.ts";
import type { HeldGroup, Waiting } from "./held-requests.ts";
import { initNamed, partNamed, segmentNamed } from "./named-media.ts";
import type { OriginOptions } from "./options.ts";
import { type Chain, liveEdgeOf } from "./view.ts";

export type DeliveryDeps = Readonly<{
  clock: Clock;
  options: OriginOptions;
  waiting: Waiting;
  channels: ReadonlyMap<string, LiveChannel>;
  onDemand: (channel: string) => boolean;
  audience: Audience;
  /** Somebody asks for a channel that has nothing live. */
  wanted: () => void;
}>;

const PREFIX = "/live/";
const PLAYLIST = /^([a-z0-9][a-z0-9_-]{0,63})\/([A-Za-z0-9_-]{1,64})\.m3u8$/;
const MEDIA = /^([a-z0-9][a-z0-9_-]{0,63})\/([A-Za-z0-9_-]{1,64})\/([A-Za-z0-9_-]{1,64})\/([a-z0-9.-]{1,40})$/;
const MEDIA_NAME = /^(?:init-(\d{1,9})\.mp4|(\d{1,9}-\d{1,16})(\.\d{1,5})?\.m4s)$/;
/** Further than this above the newest segment nothing can be waited for. */
const MSN_AHEAD_MAX = 2;

export class Delivery {
  readonly #deps: DeliveryDeps;
  /** Requests for channels of which there is no session yet. */
  readonly #starting = new Map<string, HeldGroup<() => void>>();

  constructor(deps: DeliveryDeps) {
    this.#deps = deps;
  }

  /** @returns false when the path is not below /live/ */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const url = request.url ?? "";
    if (!url.startsWith(PREFIX)) return false;
    const { method } = request;
    if (method === "OPTIONS") answerOptions(response);
    else if (method !== "GET" && method !== "HEAD") answerMethod(response);
    else {
      try {
        this.#get(url, request, response);
      } catch (error) {
        if (!(error instanceof PlatformError)) throw error;
        sendError(response, error);
      }
    }
    return true;
  }

  #get(url: string, request: IncomingMessage, response: ServerResponse): void {
    const mark = url.indexOf("?");
    const path = url.slice(PREFIX.length, mark < 0 ? undefined : mark);
    const query = mark < 0 ? "" : url.slice(mark + 1);
    const playlist = PLAYLIST.exec(path);
    if (playlist) {
      const [, channel, name] = playlist as unknown as [string, string, string];
      if (name === "index") this.#multivariant(channel, request, response);
      else this.#mediaPlaylist(channel, name, parseDirectives(query), request, response);
      return;
    }
    const media = MEDIA.exec(path);
    if (!media) throw notFound(path);
    const [, channel, session, name, file] = media as unknown as [string, string, string, string, string];
    this.#media(channel, session, name, file, request, response);
  }

  #multivariant(name: string, request: IncomingMessage, response: ServerResponse, held = false): void {
    const channel = this.#asked(name);
    const isComing = channel?.isOpen || this.#deps.onDemand(name);
    const body = channel?.multivariant(!isComing || held);
    if (body) sendText(response, body, acceptsGzip(request), CACHE.second, request.headers["if-none-match"]);
    else if (isComing && !held) this.#hold(name, response, () => this.#multivariant(name, request, response, true));
    else throw notFound(name);
  }

  #mediaPlaylist(
    channelName: string,
    name: string,
    wanted: Directives,
    request: IncomingMessage,
    response: ServerResponse,
    held = false,
  ): void {
    const channel = this.#asked(channelName);
    const chain = channel?.chain(name);
    if (!channel || !chain) {
      const isComing = channel?.isOpen ? channel.mayGet(name) : this.#deps.onDemand(channelName);
      if (!isComing || held) throw notFound(name);
      const again = () => this.#mediaPlaylist(channelName, name, wanted, request, response, true);
      this.#hold(channelName, response, again);
      return;
    }
    const stale = channel.staleness(chain);
    if (stale) throw stale;
    const want = { delta: wanted.skip, gzip: acceptsGzip(request) };
    const target = chain.ended || wanted.msn === null ? null : targetOf(chain, wanted.msn, wanted.part);
    if (target !== null && !isListed(liveEdgeOf(chain), target.msn, target.part))
      channel.holdPlaylist(response, chain, target.msn, target.part, want);
    else channel.sendPlaylist(response, chain, want, wanted.msn !== null, request.headers["if-none-match"]);
  }

  #hold(name: string, response: ServerResponse, again: () => void): void {
    const { clock, waiting, options, channels } = this.#deps;
    let group = channels.get(name)?.starting ?? this.#starting.get(name);
    if (!group) {
      group = startingGroup(clock, waiting, options);
      for (const [other, held] of this.#starting) if (held.size === 0) this.#starting.delete(other);
      this.#starting.set(name, group);
    }
    const guarded = () => {
      try {
        again();
      } catch (error) {
        if (!(error instanceof PlatformError)) throw error;
        sendError(response, error);
      }
    };
    if (!group.add(response, guarded)) throw tooMany(waiting);
    this.#deps.wanted();
  }

  /** A channel got its first session: who waited for one now waits for its media. */
  opened(channel: LiveChannel): void {
    const group = this.#starting.get(channel.name);
    this.#starting.delete(channel.name);
    group?.release((response, again) => {
      if (!channel.starting.add(response, again)) sendError(response, tooMany(this.#deps.waiting));
    });
  }

  #asked(name: string): LiveChannel | undefined {
    const channel = this.#deps.channels.get(name);
    if (channel || this.#deps.onDemand(name)) this.#deps.audience.asked(name, this.#deps.clock.monotonicMs());
    return channel;
  }

  #media(
    channelName: string,
    sessionId: string,
    name: string,
    file: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const channel = this.#deps.channels.get(channelName);
    const session = channel?.sessions.find(({ id }) => id === sessionId);
    const track = session?.tracks.get(name);
    const match = MEDIA_NAME.exec(file);
    if (!channel || !session || !track || !match) throw notFound(file);
    const [, init, segment, part] = match;
    if (segment !== undefined && part !== undefined) {
      const key = segment + part;
      const media = partNamed(session, track, key);
      if (media === "hinted") channel.holdPart(request, response, session, track, key);
      else if (media) sendMedia(request, response, media);
      else throw notFound(file);
      return;
    }
    const media =
      segment === undefined ? initNamed(session, track, Number(init)) : segmentNamed(session, track, segment);
    if (!media) throw notFound(file);
    sendMedia(request, response, media);
  }
}

/** What is waited for, or a refusal: nobody can know yet what comes so far ahead.
 *  Source: draft-pantos-hls-rfc8216bis-22, 6.2.5.2 */
function targetOf(chain: Chain, msn: number, part: number | null): { msn: number; part: number | null } {
  const { lastMsn, lastParts, lastIsGap, nextMsn, nextParts } = liveEdgeOf(chain);
  const last = lastMsn ?? nextMsn - 1;
  const limit = advancePartLimit(chain.era.partTargetMs);
  const partsThere = msn === last ? lastParts : msn === nextMsn ? nextParts : 0;
  if (msn > last + MSN_AHEAD_MAX || (msn >= last && !lastIsGap && part !== null && part - partsThere >= limit))
    throw new PlatformError("api.bad_request", `Too far ahead: the newest whole segment is ${last}.`);
  return { msn, part };
}

function notFound(what: string): PlatformError {
  return new PlatformError("api.not_found", `Nothing is served as ${what.slice(0, 100)}.`);
}

function answerOptions(response: ServerResponse): void {
  const allow = ["access-control-allow-methods", "GET, HEAD, OPTIONS", "access-control-allow-headers", "Range"];
  response.writeHead(204, [...allow, "access-control-max-age", "86400", ...CORS]);
  response.end();
}

function answerMethod(response: ServerResponse): void {
  response.writeHead(405, ["allow", "GET, HEAD, OPTIONS", "content-length", "0", "connection", "close"]);
  response.end();
}
