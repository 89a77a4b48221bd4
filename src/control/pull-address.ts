// Addresses that we pull from hold credentials. Who may read a channel need not know them: they are shown hidden, and
// whoever sends the hidden form back means the one that is there.
import type { Input } from "#media/channel.ts";

const HIDDEN = "***";
/** user:password@ and the values of a query. What is no secret there is hidden as well: nobody can tell from outside. */
const USER_INFO = /^([a-z]+:\/\/)[^/?#@]*@/;
const QUERY_VALUE = /([?&][^=&#]*=)[^&#]*/g;

function hiddenAddress(url: string): string {
  return url.replace(USER_INFO, `$1${HIDDEN}@`).replace(QUERY_VALUE, `$1${HIDDEN}`);
}

export function hiddenInput(input: Input): Input {
  return input.kind === "pull" ? { ...input, url: hiddenAddress(input.url) } : input;
}

/** Inputs as they are meant: hidden addresses are those of `known` that look the same when hidden. */
export function meantInputs(inputs: readonly Input[], known: readonly Input[]): Input[] {
  return inputs.map((input) => {
    if (input.kind !== "pull" || !input.url.includes(HIDDEN)) return input;
    const same = known.find((other) => other.kind === "pull" && hiddenAddress(other.url) === input.url);
    return same?.kind === "pull" ? { ...input, url: same.url } : input;
  });
}
