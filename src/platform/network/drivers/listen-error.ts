import { PlatformError } from "#base/errors.ts";

/** Why we cannot listen, in words that say what to do: the port is taken, or the configured address cannot be ours. */
export function listenError(address: Readonly<{ host: string; port: number }>, cause: NodeJS.ErrnoException): Error {
  const where = `port ${address.port} on ${address.host}`;
  switch (cause.code) {
    case "EADDRINUSE":
      return new PlatformError(
        "network.address_in_use",
        `Another program already listens on ${where}: stop it, or choose another port (0 takes a free one).`,
        { cause },
      );
    case "EACCES":
      return new PlatformError("config.invalid", `This user may not listen on ${where}: choose one above 1023.`, {
        cause,
      });
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new PlatformError("config.invalid", `${address.host} is no address of this machine: choose one that is.`, {
        cause,
      });
    default:
      return cause;
  }
}

/** Why a multicast group cannot be joined. */
export function joinError(group: string, local: string | undefined, cause: NodeJS.ErrnoException): Error {
  const on = local === undefined ? "" : ` on ${local}`;
  return new PlatformError(
    "config.invalid",
    `The group ${group} cannot be joined${on} (${cause.code ?? cause.message}): name a multicast group, and as \`interface\` an address that one of this machine's interfaces has.`,
    { cause },
  );
}
