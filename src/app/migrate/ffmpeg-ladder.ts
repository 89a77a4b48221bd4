// Ladders that others make with a command: `ffmpeg -i SOURCE -s 640x360 -b:v 800k OUT ...`. One rung per output, as far as
// its height can be seen.
import type { Rung } from "#media/channel.ts";

/** @param words the command, its name first
 *  @returns null when it is no ffmpeg that makes renditions; `outputs`: where they go; `unsure`: outputs whose height is
 *  not said */
export function ffmpegLadder(words: readonly string[]): { ladder: Rung[]; outputs: string[]; unsure: number } | null {
  if (!/(^|\/)ffmpeg$/.test(words[0] ?? "")) return null;
  const rungs: Rung[] = [];
  const outputs: string[] = [];
  let unsure = 0;
  let options: [string, string][] = [];
  for (let at = 1; at < words.length; at += 1) {
    const word = words[at]!;
    const next = words[at + 1];
    if (word === "-i") {
      options = []; // what stood before was the input's
      at += 1;
    } else if (word.startsWith("-") && next !== undefined && !isAddress(next) && !isSwitch(word)) {
      options.push([word, next]);
      at += 1;
    } else if (isAddress(word)) {
      outputs.push(word);
      const rung = rungOf(options);
      if (rung === null) unsure += 1;
      else rungs.push(rung);
      options = [];
    }
  }
  if (outputs.length === 0) return null;
  const heights = new Set<number>();
  const ladder = rungs
    .filter((rung) => !heights.has(heightOf(rung)) && heights.add(heightOf(rung)))
    .toSorted((a, b) => heightOf(b) - heightOf(a))
    .slice(0, 8);
  return { ladder, outputs, unsure };
}

const isAddress = (word: string) => /^(rtmps?|rtsps?|srt|https?|udp|tcp):\/\//.test(word);
const isSwitch = (word: string) => /^-(re|y|n|an|vn|sn|hide_banner|nostdin|nostats|shortest)$/.test(word);
/** A copy stands above everything that is made from it. */
const heightOf = (rung: Rung) => ("copy" in rung ? Number.MAX_SAFE_INTEGER : rung.height);

function rungOf(options: readonly [string, string][]): Rung | null {
  const last = (...names: string[]) => options.findLast(([name]) => names.includes(name))?.[1];
  const codec = last("-c:v", "-vcodec", "-codec:v", "-c", "-codec");
  if (codec === "copy") return { copy: true };
  const size = /^\d+x(\d+)$/.exec(last("-s", "-s:v") ?? "")?.[1];
  const scaled = /scale=(?:w=)?-?\d+[:x](?:h=)?(\d+)/.exec(last("-vf", "-filter:v") ?? "")?.[1];
  const named = { hd480: 480, hd720: 720, hd1080: 1080, vga: 480, nhd: 360 }[last("-s", "-s:v") ?? ""];
  const height = Number(size ?? scaled ?? named ?? 0);
  if (height < 64 || height > 4320) return null;
  const kbps = kilobits(last("-b:v", "-vb", "-b") ?? last("-maxrate", "-maxrate:v"));
  return kbps === null ? { height } : { height, bitrateKbps: kbps };
}

function kilobits(text: string | undefined): number | null {
  const match = /^(\d+(?:\.\d+)?)([kKmM]?)$/.exec(text ?? "");
  if (match === null) return null;
  const unit = { "": 0.001, k: 1, m: 1000 }[match[2]!.toLowerCase()]!;
  const kbps = Math.round(Number(match[1]) * unit);
  return kbps >= 50 && kbps <= 100_000 ? kbps : null;
}
