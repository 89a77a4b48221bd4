// Which ports channels have of their own, and which of them cannot be had at once.
import type { Channel, PortInput } from "#media/channel.ts";

type Port = Pick<PortInput, "kind" | "port"> & Readonly<{ host?: string; group?: string; source?: string }>;

const ANY = ["0.0.0.0", "::"];

/** Whether one of the two would take what is meant for the other. Two groups share a port, and so do two senders of one
 *  group: the system keeps them apart. An input without a host listens where all such do, which may be everywhere. */
export function samePort(a: Port, b: Port): boolean {
  if (a.kind !== b.kind || a.port !== b.port) return false;
  if (a.group !== undefined && a.group === b.group)
    return a.source === undefined || b.source === undefined || a.source === b.source;
  const [one, other] = [a.group ?? a.host, b.group ?? b.host];
  if (one === undefined || other === undefined) return true;
  return one === other || ANY.includes(one) || ANY.includes(other);
}

/** An input of `channel` whose port an input of another channel has, or of its own. */
export function portRival(
  channel: Pick<Channel, "name" | "inputs">,
  others: readonly Pick<Channel, "name" | "inputs">[],
): Readonly<{ input: PortInput; owner: string }> | null {
  const own = portsOf(channel);
  for (const [index, input] of own.entries()) {
    if (own.slice(0, index).some((before) => samePort(before, input))) return { input, owner: channel.name };
    const owner = others.find(
      (other) => other.name !== channel.name && portsOf(other).some((port) => samePort(port, input)),
    );
    if (owner) return { input, owner: owner.name };
  }
  return null;
}

function portsOf({ inputs }: Pick<Channel, "inputs">): PortInput[] {
  return inputs.filter((input) => input.kind !== "pull");
}
