// MPEG-TS in, units out. One program is taken (programs.ts). Nothing that comes in makes
// it throw: what cannot be used is told as loss, and what is held is bounded per stream.
// Source: ISO/IEC 13818-1, 2.4
import { ADTS } from "#media/codec/adts.ts";
import type { AudioSyntax } from "#media/codec/audio-syntax.ts";
import { DOLBY } from "#media/codec/dolby.ts";
import { latmSyntax } from "#media/codec/latm.ts";
import { MPEG_AUDIO } from "#media/codec/mpeg-audio.ts";
import { opusLayout, opusSyntax } from "#media/codec/opus.ts";
import type { DemuxClock, DemuxEvent } from "#media/demux.ts";
import { AUDIO_BYTES_MAX, AudioPesStream } from "./audio.ts";
import { Av1PesStream } from "./av1.ts";
import { isSameKind, type Kind, kindOf, streamTypeText } from "./elementary.ts";
import { PACKET_BYTES, PacketReader } from "./packets.ts";
import { PesAssembler } from "./pes.ts";
import { othersText, ProgramChoice } from "./programs.ts";
import { type ProgramMap, parseProgramMap, parsePrograms, SectionReader } from "./sections.ts";
import type { Stream, StreamEvents } from "./stream.ts";
import { VIDEO_BYTES_MAX, VideoPesStream } from "./video.ts";

const CLOCK: DemuxClock = Object.freeze({ timescale: 90_000, wrapBits: 33 });
const AUDIO_TRACKS_MAX = 15;
const FIRST_FREE_PID = 0x10;
const NULL_PID = 0x1fff;
/** Different streams that are reported as unsupported: a table that changes for ever must not fill the memory. */
const REPORTS_MAX = 256;

type Wanted = { pid: number; kind: Kind; number: number };
type Elementary = Wanted & { stream: Stream; pes: PesAssembler };

/** One PID we listen to. */
type Pid = {
  /** continuity_counter of its last payload, -1 before the first. */
  counter: number;
  /** Some bytes of that packet: a repeated packet has the same, a new one with the same counter has not. */
  signature: number;
  readonly sections: SectionReader | null;
  readonly elementary: Elementary | null;
};

export type MpegtsDemuxer = {
  readonly clock: DemuxClock;
  /** Any bytes of the stream, in order. Nothing of them is kept. */
  push(bytes: Uint8Array): void;
  /** The transport knows that bytes are missing here. */
  lose(detail: string): void;
  /** The sender is done: everything held is put out, then `end`. */
  end(): void;
};

export function mpegtsDemuxer(emit: (event: DemuxEvent) => void): MpegtsDemuxer {
  const demuxer = new Demuxer(emit);
  return {
    clock: CLOCK,
    push: (bytes) => demuxer.push(bytes),
    lose: (detail) => demuxer.lose(detail),
    end: () => demuxer.end(),
  };
}

class Demuxer {
  readonly #emit: (event: DemuxEvent) => void;
  readonly #packets: PacketReader;
  readonly #pids: (Pid | undefined)[] = new Array(NULL_PID + 1).fill(undefined);
  readonly #programSections = new Map<number, ReadonlyMap<number, number>>();
  readonly #reported = new Set<string>();
  #programsVersion = -1;
  #program: number | null = null;
  readonly #choice = new ProgramChoice();
  /** -1: none, or not known yet. */
  #clockPid = -1;
  #streams: Elementary[] = [];

  constructor(emit: (event: DemuxEvent) => void) {
    this.#emit = emit;
    const lost = (detail: string) => this.#lostAll(detail);
    this.#packets = new PacketReader((bytes, at) => this.#packet(bytes, at), lost);
    this.#pids[0] = this.#tablePid(
      (section) => this.#programs(section),
      () => this.#programsAgain(),
    );
  }

  push(bytes: Uint8Array): void {
    this.#packets.push(bytes);
  }

  lose(detail: string): void {
    this.#lostAll(detail);
  }

  end(): void {
    this.#packets.end();
    for (const { pes, stream } of this.#streams) {
      pes.finish();
      stream.flush();
    }
    this.#emit({ kind: "end" });
  }

  #packet(bytes: Buffer, at: number): void {
    const second = bytes[at + 1]!;
    const number = ((second & 0x1f) << 8) | bytes[at + 2]!;
    const pid = this.#pids[number];
    if (pid === undefined) {
      if (number === this.#clockPid) this.#clockPacket(bytes, at);
      return;
    }
    const fourth = bytes[at + 3]!;
    const begins = (second & 0x40) !== 0;
    if (second & 0x80) {
      this.#lost(pid, `an error marked by the transport on PID ${number}`);
      return;
    }
    let from = at + 4;
    let flags = 0;
    let stuffed = false;
    if (fourth & 0x20) {
      const length = bytes[from]!;
      if (length > PACKET_BYTES - 5) {
        this.#lost(pid, `an impossible adaptation field on PID ${number}`);
        return;
      }
      flags = length > 0 ? bytes[from + 1]! : 0;
      stuffed = isStuffed(bytes, from, length, flags);
      from += 1 + length;
    }
    const jumps = (flags & 0x80) !== 0;
    if (jumps && number === this.#clockPid) this.#clockJump(begins ? pid : null);
    if (!(fourth & 0x10)) return;
    if (fourth & 0xc0) {
      this.#unsupported(`scrambled packets on PID ${number}`);
      return;
    }
    const end = at + PACKET_BYTES;
    if (!this.#follows(pid, fourth & 15, bytes, at, jumps, number) || from >= end) return;
    if (pid.elementary) {
      if (begins) pid.elementary.pes.begin(bytes, from, end, (flags & 0x40) !== 0, stuffed);
      else pid.elementary.pes.extend(bytes, from, end, stuffed);
    } else pid.sections?.push(bytes.subarray(from, end), begins);
  }

  /** @returns false when the packet is a repetition. A hole before it is reported. */
  #follows(pid: Pid, counter: number, bytes: Buffer, at: number, jumps: boolean, number: number): boolean {
    const signature = bytes.readInt32LE(at + 184) ^ bytes.readInt32LE(at + 96);
    const before = pid.counter;
    const repeats = counter === before && signature === pid.signature;
    pid.counter = counter;
    pid.signature = signature;
    if (before < 0 || jumps || counter === ((before + 1) & 15)) return true;
    if (repeats) return false;
    this.#lost(pid, `packets are missing on PID ${number}`, counter);
    return true;
  }

  #lost(pid: Pid, detail: string, counter = -1): void {
    pid.counter = counter;
    pid.sections?.lose();
    if (!pid.elementary) return;
    pid.elementary.pes.damage();
    this.#emit({ kind: "loss", track: pid.elementary.number, detail });
  }

  #lostAll(detail: string): void {
    for (const pid of this.#pids) {
      if (!pid) continue;
      pid.counter = -1;
      pid.sections?.lose();
      pid.elementary?.pes.damage();
    }
    this.#emit({ kind: "loss", track: null, detail });
  }

  /** A packet of a PID that carries nothing but the clock. */
  #clockPacket(bytes: Buffer, at: number): void {
    if (bytes[at + 3]! & 0x20 && bytes[at + 4]! > 0 && bytes[at + 5]! & 0x80) this.#clockJump(null);
  }

  /** What was begun is of the old clock: it is put out before the jump is told.
   *  @param beginning PID whose next PES begins with this packet: the one before is complete */
  #clockJump(beginning: Pid | null): void {
    for (const elementary of this.#streams) {
      if (beginning?.elementary === elementary) elementary.pes.finish();
      else elementary.pes.cut();
      elementary.stream.flush();
    }
    this.#emit({ kind: "clock-jump" });
  }

  #tablePid(section: (section: Buffer) => void, repeated?: () => void): Pid {
    const broken = () => this.#emit({ kind: "loss", track: null, detail: "a table with a wrong checksum" });
    return { counter: -1, signature: 0, sections: new SectionReader(section, broken, repeated), elementary: null };
  }

  #programs(section: Buffer): void {
    const programs = parsePrograms(section);
    if (!programs) return;
    if (programs.version !== this.#programsVersion) {
      this.#programSections.clear();
      this.#choice.clear();
    }
    this.#programsVersion = programs.version;
    this.#programSections.set(section[6]!, programs.pids);
    const wanted = new Map([...this.#programSections.values()].flatMap((pids) => [...pids]));
    const complete = this.#programSections.size > section[7]!;
    const mapPids = new Set(wanted.values());
    const isGone = complete && this.#program !== null && !wanted.has(this.#program);
    if (isGone) {
      this.#program = null; // another may be taken, of a map that was seen and passed over
      this.#choice.clear();
    }
    for (let number = FIRST_FREE_PID; number < NULL_PID; number += 1) {
      const isTable = this.#pids[number]?.sections != null;
      if (isTable && (isGone || (complete && !mapPids.has(number)))) this.#pids[number] = undefined;
      if (mapPids.has(number) && !this.#pids[number])
        this.#pids[number] = this.#tablePid((map) => this.#programMap(map, number));
    }
  }

  #programMap(section: Buffer, number: number): void {
    const map = parseProgramMap(section);
    if (!map || ![...this.#programSections.values()].some((pids) => pids.get(map.program) === number)) return;
    if (this.#program === map.program) this.#take(map);
    else if (this.#program === null) {
      const programs = this.#allPrograms();
      this.#takeFirst(this.#choice.offer(map, programs));
      if (this.#program === null) this.#refuse(programs);
    }
  }

  /** The list of programs came again: one is taken though not all were seen. */
  #programsAgain(): void {
    if (this.#program === null) this.#takeFirst(this.#choice.repeat(this.#allPrograms()));
  }

  #allPrograms(): number[] {
    return [...this.#programSections.values()].flatMap((pids) => [...pids.keys()]);
  }

  #takeFirst(map: ProgramMap | null): void {
    if (map === null) return;
    this.#program = map.program;
    const others = othersText(map.program, this.#allPrograms());
    if (others !== null) this.#unsupported(others);
    this.#take(map);
  }

  #refuse(programs: readonly number[]): void {
    for (const { type, pid } of this.#choice.refused(programs).flatMap(({ streams }) => streams))
      this.#unsupported(`${streamTypeText(type)} on PID ${pid}`);
  }

  /** Make the streams those of the map; the ones that stay are left alone. */
  #take(map: ProgramMap): void {
    this.#clockPid = map.clockPid === NULL_PID ? -1 : map.clockPid;
    const wanted = this.#choose(map);
    const kept = this.#streams.filter((old) => wanted.some((now) => isSame(old, now)));
    const gone = this.#streams.filter((old) => !kept.includes(old));
    const added = wanted.filter((now) => !kept.some((old) => isSame(old, now)));
    if (gone.length + added.length === 0) return;
    for (const { pes, stream, pid } of gone) {
      pes.cut();
      stream.flush();
      this.#pids[pid] = undefined;
    }
    const opened = added.map((elementary) => this.#open(elementary));
    this.#streams = [...kept, ...opened].sort((a, b) => a.number - b.number);
    if (this.#streams.some(({ stream }) => stream.track)) this.#tellTracks();
  }

  #choose(map: ProgramMap): Wanted[] {
    const chosen: Wanted[] = [];
    let audio = 0;
    for (const source of map.streams) {
      const kind = kindOf(source);
      const { pid } = source;
      const isVideo = kind?.media === "video";
      const isFree = pid >= FIRST_FREE_PID && pid < NULL_PID && !this.#pids[pid]?.sections;
      const isFirst = !chosen.some((other) => other.pid === pid || (isVideo && other.number === 0));
      if (kind && isFree && isFirst && (isVideo || audio < AUDIO_TRACKS_MAX))
        chosen.push({ pid, kind, number: isVideo ? 0 : (audio += 1) });
      else this.#unsupported(`${streamTypeText(source.type)} on PID ${pid}`);
    }
    return chosen;
  }

  #open({ pid, kind, number }: Wanted): Elementary {
    const events: StreamEvents = {
      trackChanged: () => this.#tellTracks(),
      unit: (unit) => this.#emit({ kind: "unit", track: number, ...unit }),
      lost: (detail) => this.#emit({ kind: "loss", track: number, detail }),
      unsupported: (what) => this.#unsupported(what),
    };
    const stream = openStream(number, kind, events);
    const bytesMax = kind.media === "audio" ? AUDIO_BYTES_MAX : VIDEO_BYTES_MAX;
    const pes = new PesAssembler(bytesMax, (whole) => stream.pes(whole), events.lost);
    const elementary = { pid, kind, number, stream, pes };
    this.#pids[pid] = { counter: -1, signature: 0, sections: null, elementary };
    return elementary;
  }

  #tellTracks(): void {
    const tracks = this.#streams.flatMap(({ stream }) => (stream.track ? [stream.track] : []));
    this.#emit({ kind: "tracks", tracks, complete: tracks.length === this.#streams.length });
  }

  #unsupported(what: string): void {
    if (this.#reported.has(what) || this.#reported.size >= REPORTS_MAX) return;
    this.#reported.add(what);
    this.#emit({ kind: "unsupported", what });
  }
}

function openStream(number: number, kind: Kind, events: StreamEvents): Stream {
  if (kind.media === "audio") return new AudioPesStream(number, kind.language, syntaxOf(kind), events);
  return kind.codec === "av1" ? new Av1PesStream(number, events) : new VideoPesStream(number, kind.codec, events);
}

function syntaxOf(kind: Extract<Kind, { media: "audio" }>): AudioSyntax {
  switch (kind.codec) {
    case "adts":
      return ADTS;
    case "latm":
      return latmSyntax();
    case "mpeg":
      return MPEG_AUDIO;
    case "dolby":
      return DOLBY;
    case "opus":
      return opusSyntax(opusLayout(kind.channels));
  }
}

function isSame(old: Elementary, now: Wanted): boolean {
  return old.number === now.number && old.pid === now.pid && isSameKind(old.kind, now.kind);
}

/** Whether an adaptation field is longer than what its flags announce. Source: ISO/IEC 13818-1, 2.4.3.4
 *  @param at of adaptation_field_length @param length its value, at most 183 */
function isStuffed(bytes: Buffer, at: number, length: number, flags: number): boolean {
  if (length === 0) return true;
  let needed = 1 + (flags & 0x10 ? 6 : 0) + (flags & 0x08 ? 6 : 0) + (flags & 0x04 ? 1 : 0);
  if (flags & 0x02) needed += 1 + (bytes[at + 1 + needed] ?? 0);
  if (flags & 0x01) needed += 1 + (bytes[at + 1 + needed] ?? 0);
  return length > needed;
}
