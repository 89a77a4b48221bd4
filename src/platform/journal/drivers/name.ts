import { assert } from "#base/assert.ts";

const PART = /^[A-Za-z0-9._-]{1,200}$/;

/** Names are ours (ids, channel names), never a stranger's text: a bad one is a mistake in the caller. */
export function assertJournalName(name: string): void {
  const safe = name.split("/").every((part) => PART.test(part) && part !== "." && part !== "..");
  assert.ok(safe, `journal name ${JSON.stringify(name)}`);
}
