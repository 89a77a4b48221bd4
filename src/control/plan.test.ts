import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Action, plan, type SessionNote, type World } from "./plan.ts";
import type { WorkerState } from "./plan-workers.ts";

const NOW = 100_000;

const session = (id: string, change: object = {}): World["sessions"][number] => ({
  id,
  channel: "c",
  state: "live",
  anchorNs: 1n,
  needs: { worker: true, packager: false },
  ...change,
});
const process = (id: string, change: object = {}): World["running"][number] => ({
  id,
  role: "transcode",
  specHash: "1",
  phase: "ready",
  sinceMs: NOW - 10_000,
  pid: 1,
  node: "n",
  ...change,
});
const worker = (id: string, change: Partial<WorkerState> = {}): WorkerState => ({
  id,
  session: null,
  phase: "warm",
  connected: true,
  heardMs: NOW,
  frame: null,
  releasedMs: null,
  ...change,
});
const note = (change: Partial<SessionNote> = {}): SessionNote => ({
  endedMs: null,
  failed: false,
  failuresMs: [],
  ...change,
});

function decide(change: Partial<World>): Action[] {
  const world: World = {
    nowMs: NOW,
    sessions: [],
    origins: [(change.sessions ?? []).map(({ id }) => ({ id, state: "open" }))],
    running: [],
    workers: [],
    notes: new Map(),
    packagers: [],
    packagerFailuresMs: [],
    copies: false,
    poolFailuresMs: [],
    lastTakenMs: null,
    warmMin: 0,
    strangers: new Set(),
    sources: [],
    freshId: (ordinal) => `new${ordinal}`,
    freshPackagerId: (ordinal) => `pack${ordinal}`,
    ...change,
  };
  return plan(world);
}

/** "assign a s1", "remove b lost" */
const words = (actions: Action[]) => actions.map((action) => Object.values(action).flat().join(" "));

test("idle: nothing to do; the warm ones are started", () => {
  assert.deepEqual(decide({}), []);
  assert.deepEqual(words(decide({ warmMin: 2 })), ["start new0", "start new1"]);
  assert.deepEqual(decide({ warmMin: 1, running: [process("a")], workers: [worker("a")] }), []);
  assert.deepEqual(decide({ warmMin: 1, running: [process("a", { phase: "starting", sinceMs: NOW })] }), []);
});

test("a session takes the oldest warm worker; its replacement comes 3 s later", () => {
  const running = [process("b", { sinceMs: NOW - 1 }), process("a")];
  const workers = [worker("b"), worker("a")];
  assert.deepEqual(words(decide({ warmMin: 1, sessions: [session("s")], running, workers })), ["assign a s"]);
  const after = {
    warmMin: 1,
    sessions: [session("s")],
    running: [process("a")],
    workers: [worker("a", { session: "s" })],
  };
  assert.deepEqual(decide({ ...after, lastTakenMs: NOW - 2999 }), []);
  assert.deepEqual(words(decide({ ...after, lastTakenMs: NOW - 3000 })), ["start new0"]);
});

test("without a warm worker one is started, once: the next pass sees it coming", () => {
  assert.deepEqual(words(decide({ sessions: [session("s")] })), ["start new0"]);
  for (const phase of ["starting", "ready"])
    assert.deepEqual(decide({ sessions: [session("s")], running: [process("a", { phase, sinceMs: NOW })] }), []);
});

test("which sessions need a worker", () => {
  const needs = (change: object, origin: "open" | "complete" | "abandoned" | null, known: SessionNote = note()) =>
    decide({
      sessions: [session("s", change)],
      origins: [origin === null ? null : [{ id: "s", state: origin }]],
      notes: new Map([["s", known]]),
    }).length > 0;
  for (const state of ["starting", "live", "interrupted"]) assert.ok(needs({ state, anchorNs: null }, "open"), state);
  assert.ok(needs({ state: "ended" }, "open"));
  assert.ok(needs({ state: "ended" }, null), "an origin that cannot be heard may lack something");
  assert.ok(!needs({ state: "ended" }, "complete") && !needs({ state: "ended" }, "abandoned"));
  assert.ok(!needs({ state: "ended", anchorNs: null }, "open"), "it never had a frame");
  assert.ok(!needs({ state: "ended" }, "open", note({ endedMs: NOW - 60_001 })), "not for ever");
});

test("a worker whose session is complete is released, then removed if it stays", () => {
  const sessions = [session("s", { state: "ended" })];
  const origins = [[{ id: "s", state: "complete" as const }]];
  const at = (releasedMs: number | null, running = [process("a")]) =>
    words(
      decide({ sessions, origins, running, workers: [worker("a", { session: "s", phase: "draining", releasedMs })] }),
    );
  assert.deepEqual(at(null), ["release a done"]);
  assert.deepEqual(at(NOW - 1000), []);
  assert.deepEqual(at(NOW - 2001), ["remove a done"]);
  assert.deepEqual(at(NOW - 1, []), ["remove a done"], "it left by itself: forgotten");
});

test("a broken worker is removed, and its session has another in the same pass", () => {
  const sessions = [session("s")];
  const spare = { running: [process("w")], workers: [worker("w")] };
  const broken = (own: Partial<World>) =>
    words(
      decide({
        sessions,
        running: [...spare.running, ...(own.running ?? [])],
        workers: [...spare.workers, ...(own.workers ?? [])],
      }),
    );
  const mine = worker("a", { session: "s", phase: "running" });
  assert.deepEqual(broken({ running: [process("a", { phase: "failed" })], workers: [mine] }), [
    "assign w s",
    "remove a failed s",
  ]);
  assert.deepEqual(broken({ workers: [mine] }), ["assign w s", "remove a left s"]);
  const silent = { ...mine, connected: false, heardMs: NOW - 3001 };
  assert.deepEqual(broken({ running: [process("a")], workers: [silent] }), ["assign w s", "remove a lost s"]);
  assert.deepEqual(broken({ running: [process("a")], workers: [{ ...silent, heardMs: NOW - 2999 }] }), [
    "remove w surplus",
  ]);
  assert.deepEqual(broken({ running: [process("a")], workers: [{ ...mine, phase: "failed" }] }), [
    "assign w s",
    "remove a failed s",
  ]);
});

test("what broke in this very pass counts already: the second failure in a row waits", () => {
  const running = [process("a", { phase: "failed" }), process("w")];
  const workers = [worker("a", { session: "s", phase: "running" }), worker("w")];
  const at = (...agesMs: number[]) =>
    words(
      decide({
        sessions: [session("s")],
        running,
        workers,
        notes: new Map([["s", note({ failuresMs: agesMs.map((age) => NOW - age) })]]),
      }),
    );
  assert.deepEqual(at(), ["assign w s", "remove a failed s"]);
  assert.deepEqual(at(30_000), ["remove a failed s"]);
  assert.deepEqual(at(61_000), ["assign w s", "remove a failed s"]);
  assert.deepEqual(at(40, 30, 20, 10), ["fail s", "remove a failed s", "remove w surplus"]);
});

test("one that drained and left is waited for: the origin's word may be on its way", () => {
  const drained = worker("a", { session: "s", phase: "draining", connected: false });
  const sessions = [session("s", { state: "ended" })];
  assert.deepEqual(decide({ sessions, workers: [drained] }), []);
  assert.deepEqual(words(decide({ sessions, workers: [{ ...drained, heardMs: NOW - 3001 }] })), [
    "remove a left s",
    "start new0",
  ]);
});

test("stuck and mute starts are replaced, and those who waited for them are charged", () => {
  const sessions = [session("s")];
  const at = (phase: string, ageMs: number) =>
    words(decide({ sessions, running: [process("a", { phase, sinceMs: NOW - ageMs })] }));
  assert.deepEqual(at("starting", 15_000), []);
  assert.deepEqual(at("starting", 15_001), ["remove a stuck s", "start new0"]);
  assert.deepEqual(at("ready", 5000), []);
  assert.deepEqual(at("ready", 5001), ["remove a mute s", "start new0"]);
});

test("ever slower after failures, and given up after five within a minute", () => {
  const ready = { sessions: [session("s")], running: [process("w")], workers: [worker("w")] };
  const after = (...agesMs: number[]) =>
    words(decide({ ...ready, notes: new Map([["s", note({ failuresMs: agesMs.map((age) => NOW - age) })]]) }));
  assert.deepEqual(after(0), ["assign w s"], "the first is replaced at once");
  assert.deepEqual(after(500, 0), [], "and the warm worker is kept for it");
  assert.deepEqual(after(1500, 1000), ["assign w s"]);
  assert.deepEqual([after(9, 8, 1999).length, after(9000, 8000, 2000).length], [0, 1]);
  assert.deepEqual(after(59_000, 40_000, 30_000, 20_000, 10_000).slice(0, 1), ["fail s"]);
  assert.deepEqual(after(61_000, 40_000, 30_000, 20_000, 10_000), ["assign w s"], "old ones count no more");
  const failed = new Map([["s", note({ failed: true })]]);
  assert.deepEqual(
    words(decide({ sessions: [session("s")], notes: failed })),
    ["fail s"],
    "until the gateway has ended it",
  );
});

test("warm workers that break are not started in a hot loop", () => {
  const failures = (...agesMs: number[]) =>
    decide({ warmMin: 1, poolFailuresMs: agesMs.map((age) => NOW - age) }).length;
  assert.deepEqual([failures(0), failures(100, 0), failures(2000, 1000)], [1, 0, 1]);
  assert.deepEqual(
    [
      failures(50_000, 40_000, 30_000, 25_000, 22_000, 19_000),
      failures(50_000, 40_000, 30_000, 25_000, 22_000, 20_000),
    ],
    [0, 1],
  );
});

test("of two workers with one session the one that is further stays", () => {
  const running = [process("a"), process("b")];
  const workers = [worker("a", { session: "s", frame: 5 }), worker("b", { session: "s", frame: 9 })];
  assert.deepEqual(words(decide({ sessions: [session("s")], running, workers })), ["release a surplus"]);
});

test("more idle than wanted: the youngest go", () => {
  const running = [
    process("old"),
    process("young", { sinceMs: NOW - 1 }),
    process("coming", { phase: "starting", sinceMs: NOW }),
  ];
  const workers = [worker("old"), worker("young")];
  assert.deepEqual(words(decide({ warmMin: 1, running, workers })), ["remove young surplus", "remove coming surplus"]);
});

test("an origin that forgot a session is told again; one that cannot be heard is left alone", () => {
  const running = [process("a")];
  const workers = [worker("a", { session: "s" })];
  assert.deepEqual(words(decide({ sessions: [session("s")], running, workers, origins: [null, []] })), ["reopen 1 s"]);
});

test("after a restart of control: who has not spoken yet may hold the session, so the warm worker is kept", () => {
  const own = process("a", { sinceMs: NOW });
  const change = { warmMin: 1, sessions: [session("s")], running: [own, process("w")], workers: [worker("w")] };
  assert.deepEqual(decide({ ...change, strangers: new Set(["a"]) }), []);
  assert.deepEqual(words(decide(change)), ["assign w s"]);
  const silent = { ...change, running: [{ ...own, sinceMs: NOW - 5001 }, process("w")] };
  assert.deepEqual(words(decide({ ...silent, strangers: new Set(["a"]) })), ["assign w s", "remove a mute s"]);
});

test("a demo source runs while somebody watches and a minute longer", () => {
  const demo = {
    id: "demo-source-demo",
    onDemand: true,
    specHash: "x",
    lastAskedMs: NOW,
    lastStartMs: null,
    failuresMs: [],
  };
  const source = process(demo.id, { role: "demo-source", specHash: "x" });
  assert.deepEqual(words(decide({ sources: [demo] })), ["start-source demo-source-demo"]);
  assert.deepEqual(decide({ sources: [demo], running: [source] }), []);
  assert.deepEqual(decide({ sources: [{ ...demo, lastAskedMs: NOW - 60_000 }], running: [source] }), []);
  const left = { ...demo, lastAskedMs: NOW - 60_001 };
  assert.deepEqual(words(decide({ sources: [left], running: [source] })), [`remove-source ${demo.id} false`]);
  assert.deepEqual(decide({ sources: [{ ...demo, lastAskedMs: null }] }), []);
  assert.deepEqual(
    words(decide({ sources: [{ ...demo, specHash: "y" }], running: [source] })),
    ["start-source demo-source-demo"],
    "its address changed",
  );
  assert.deepEqual(words(decide({ sources: [demo], running: [{ ...source, phase: "failed" }] })), [
    `remove-source ${demo.id} true`,
  ]);
  assert.deepEqual(decide({ sources: [{ ...demo, lastStartMs: NOW - 1999 }] }), []);
  assert.deepEqual(decide({ sources: [{ ...demo, failuresMs: [NOW - 3000, NOW - 500] }] }), []);
  assert.deepEqual(words(decide({ running: [source] })), [`remove-source ${demo.id} false`], "its channel is gone");
});

test("a pull that is not on demand runs without anybody who watches, and is replaced when it broke", () => {
  const pull = {
    channel: "news",
    id: "pull-news.0",
    specHash: "x",
    onDemand: false,
    lastAskedMs: null,
    lastStartMs: null,
    failuresMs: [],
  };
  const there = process(pull.id, { role: "pull", specHash: "x" });
  assert.deepEqual(words(decide({ sources: [pull] })), ["start-source pull-news.0"]);
  assert.deepEqual(decide({ sources: [pull], running: [there] }), []);
  assert.deepEqual(words(decide({ sources: [pull], running: [{ ...there, phase: "failed" }] })), [
    "remove-source pull-news.0 true",
  ]);
  assert.deepEqual(words(decide({ running: [there] })), ["remove-source pull-news.0 false"]);
});
