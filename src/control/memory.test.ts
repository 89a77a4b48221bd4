import { strict as assert } from "node:assert";
import { test } from "node:test";
import { FAILURES_MAX } from "./backoff.ts";
import { ControlMemory } from "./memory.ts";

const session = {
  id: "s",
  channel: "c",
  state: "live",
  anchorNs: 1n,
  needs: { worker: true, packager: false },
} as const;

test("workers that break after new parts never add up; those that break without any do", () => {
  const memory = new ControlMemory();
  memory.observeSessions([session], 0);
  const failuresOf = () => memory.notes.get("s")!.failuresMs.length;
  for (let i = 1; i <= 2 * FAILURES_MAX; i += 1) {
    memory.observeMedia([[{ id: "s", lastPartNs: BigInt(i) }], null]);
    memory.countFailure(["s"], false, i * 1000);
    assert.equal(failuresOf(), 1, "a part came in between");
  }
  for (let i = 2; i <= FAILURES_MAX; i += 1) {
    memory.observeMedia([[{ id: "s", lastPartNs: 10n }]]); // the same part as before
    memory.countFailure(["s"], false, 20_000 + i);
    assert.equal(failuresOf(), i);
  }
  memory.observeMedia([[{ id: "s", lastPartNs: 11n }]]);
  assert.equal(failuresOf(), 0);
});
