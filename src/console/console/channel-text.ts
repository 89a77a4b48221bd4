// Ladders and inputs as one types them in a form, both ways. What the values may be is the server's to say; here only the
// form is read.
import type { Channel, Input, InputState, Rung } from "./api.ts";

/** "copy, 720:3500, 360" */
export function rungsText(rungs: readonly Rung[]): string {
  return rungs
    .map(({ copy, height, bitrateKbps }) => (copy ? "copy" : `${height}${bitrateKbps ? `:${bitrateKbps}` : ""}`))
    .join(", ");
}

/** @throws Error with what is wrong, for the person who typed it */
export function rungsFrom(text: string): Rung[] {
  return text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "")
    .map((word) => {
      if (word === "copy") return { copy: true };
      const match = /^(\d+)p?(?::(\d+)k?)?$/.exec(word);
      if (match === null) throw new Error(`"${word}" is no rung: write HEIGHT, HEIGHT:KBPS or copy.`);
      return { height: Number(match[1]), ...(match[2] === undefined ? {} : { bitrateKbps: Number(match[2]) }) };
    });
}

/** In a list of channels. */
export function ladderText(ladder: Channel["ladder"]): string {
  if (Array.isArray(ladder)) return ladder.map((rung) => (rung.copy ? "copy" : `${rung.height}p`)).join(" ");
  return { auto: "automatic ladder", passthrough: "passed through" }[ladder ?? "auto"] ?? String(ladder);
}

/** "udp:239.0.0.1@5000", "tcp:5001", "rtsp://camera/one on demand". */
export function inputText({ kind, port, group, host, url, onDemand }: Input): string {
  if (kind === "pull") return `${url}${onDemand ? " on demand" : ""}`;
  const at = kind === "udp" ? group : host;
  return `${kind}:${at ? `${at}@` : ""}${port}`;
}

/** One a line. What the form cannot say of an input (source, interface) stays when its line stays.
 *  @throws Error with what is wrong, for the person who typed it */
export function inputsFrom(text: string, known: readonly Input[]): Input[] {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return lines.map((line) => {
    const same = known.find((input) => inputText(input) === line);
    if (same) return same;
    const pull = /^([a-z]+:\/\/\S+)(\s+on demand)?$/.exec(line);
    if (pull) return { kind: "pull", url: pull[1]!, ...(pull[2] ? { onDemand: true } : {}) };
    const match = /^(tcp|udp):(?:([^@\s]+)@)?(\d+)$/.exec(line);
    if (match === null)
      throw new Error(`"${line}" is no input: write tcp:PORT, udp:PORT, udp:GROUP@PORT or an address.`);
    const [, kind, at, port] = match;
    return { kind: kind!, port: Number(port), ...(at ? { [kind === "udp" ? "group" : "host"]: at } : {}) };
  });
}

/** The state of the input that a channel lists; null before anything was heard of it. */
export function stateOfInput(input: Input, states: readonly InputState[]): InputState | null {
  const same = (state: InputState) =>
    state.kind === input.kind &&
    (input.kind === "pull" ? addressOf(state.url) === addressOf(input.url) : state.port === input.port);
  const pulls = states.filter(({ kind }) => kind === "pull");
  return states.find(same) ?? (input.kind === "pull" && pulls.length === 1 ? pulls[0]! : null);
}

/** Without what is hidden in it, which two places may hide in two ways. */
function addressOf(url: string | null | undefined): string {
  return (url ?? "").replace(/^([a-z]+:\/\/)[^/?#@]*@/, "$1").replace(/[?#].*$/, "");
}
