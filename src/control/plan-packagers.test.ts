import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Action, plan, type SessionNote, type World } from "./plan.ts";
import { type PackagedSession, type PackagerState, SESSIONS_MAX } from "./plan-packagers.ts";

const NOW = 100_000;

const session = (id: string, change: object = {}): World["sessions"][number] => ({
  id,
  channel: "c",
  state: "live",
  anchorNs: 1n,
  needs: { worker: false, packager: true },
  ...change,
});
const running = (id: string, change: object = {}): World["running"][number] => ({
  id,
  role: "package",
  specHash: "1",
  phase: "ready",
  sinceMs: NOW - 10_000,
  pid: 1,
  node: "n",
  ...change,
});
const held = (id: string, change: Partial<PackagedSession> = {}): PackagedSession => ({
  session: id,
  phase: "running",
  frame: 1,
  ...change,
});
const packager = (id: string, sessions: readonly PackagedSession[] = [], change: object = {}): PackagerState => ({
  id,
  connected: true,
  heardMs: NOW,
  busyMs: NOW,
  sessions,
  ...change,
});
const note = (...agesMs: number[]): SessionNote => ({
  endedMs: null,
  failed: false,
  failuresMs: agesMs.map((ageMs) => NOW - ageMs),
});

function decide(change: Partial<World>): Action[] {
  const packagers = change.packagers ?? [];
  const world: World = {
    nowMs: NOW,
    sessions: [],
    origins: [(change.sessions ?? []).map(({ id }) => ({ id, state: "open" }))],
    running: packagers.map(({ id }) => running(id)),
    workers: [],
    packagers,
    packagerFailuresMs: [],
    copies: true,
    notes: new Map(),
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

/** "package p s1", "remove-packager p lost s1" */
const words = (change: Partial<World>) =>
  decide(change).map((action) => {
    const { pooled: _, ...shown } = action as Action & { pooled?: boolean };
    return Object.values(shown).flat().join(" ");
  });

test("one runs while any channel copies, and none is started without that", () => {
  assert.deepEqual(words({}), ["start-packager pack0"]);
  assert.deepEqual(words({ copies: false }), []);
  assert.deepEqual(words({ running: [running("p", { phase: "starting", sinceMs: NOW })] }), []);
  assert.deepEqual(words({ packagers: [packager("p", [], { busyMs: 0 })] }), [], "however long it is idle");
});

test("it goes a minute after nobody needs it; of several the idle ones go", () => {
  const idle = (ageMs: number) => packager("p", [], { busyMs: NOW - ageMs });
  assert.deepEqual(words({ copies: false, packagers: [idle(60_000)] }), []);
  assert.deepEqual(words({ copies: false, packagers: [idle(60_001)] }), ["remove-packager p surplus"]);
  const busy = packager("b", [held("s")]);
  const sessions = [session("s")];
  assert.deepEqual(words({ sessions, packagers: [busy, idle(60_001)] }), ["remove-packager p surplus"]);
  assert.deepEqual(words({ sessions, packagers: [busy, idle(59_000)] }), []);
});

test("sessions go to the one that runs, many to one; a full one makes another start", () => {
  const sessions = [session("a"), session("b")];
  assert.deepEqual(words({ sessions, packagers: [packager("p")] }), ["package p a", "package p b"]);
  assert.deepEqual(words({ sessions, packagers: [packager("p", [held("a"), held("b", { phase: "given" })])] }), []);
  const many = Array.from({ length: SESSIONS_MAX + 1 }, (_, i) => session(`s${i}`));
  const full = packager(
    "p",
    many.slice(1).map(({ id }) => held(id)),
  );
  assert.deepEqual(words({ sessions: many, packagers: [full] }), ["start-packager pack0"]);
  const coming = { running: [running("p"), running("q", { phase: "starting", sinceMs: NOW })] };
  assert.deepEqual(words({ sessions: many, packagers: [full], ...coming }), []);
  assert.deepEqual(words({ sessions: many, packagers: [full, packager("q")] }), ["package q s0"]);
  const deaf = packager("p", [], { connected: false });
  assert.deepEqual(words({ sessions, packagers: [deaf, packager("q")] }), ["package q a", "package q b"]);
});

test("what needs nothing copied gets no packager; what needs both gets both", () => {
  const packagers = [packager("p")];
  assert.deepEqual(words({ packagers, sessions: [session("s", { needs: { worker: true, packager: false } })] }), [
    "start new0",
  ]);
  assert.deepEqual(words({ packagers, sessions: [session("s", { needs: { worker: true, packager: true } })] }), [
    "package p s",
    "start new0",
  ]);
});

test("a session is dropped when its media is complete, and not when only the rest of it is encoded", () => {
  const packagers = [packager("p", [held("s")])];
  const ended = [session("s", { state: "ended" })];
  assert.deepEqual(words({ packagers, sessions: ended }), [], "an origin lacks something");
  assert.deepEqual(words({ packagers, sessions: ended, origins: [[{ id: "s", state: "complete" }]] }), [
    "drop p s done",
  ]);
  assert.deepEqual(words({ packagers, sessions: [] }), ["drop p s done"], "the gateway has forgotten it");
  const encoded = [session("s", { needs: { worker: false, packager: false } })];
  assert.deepEqual(words({ packagers, sessions: encoded }), [], "it has begun, and finishes");
  const unbegun = [packager("p", [held("s", { frame: null })])];
  assert.deepEqual(words({ packagers: unbegun, sessions: encoded }), ["drop p s done"]);
});

test("of two with one session the one that is further keeps it", () => {
  const packagers = [packager("p", [held("s", { frame: 5 })]), packager("q", [held("s", { frame: 9 })])];
  assert.deepEqual(words({ sessions: [session("s")], packagers }), ["drop p s surplus"]);
});

test("one that failed at a session drops it and gets it again, ever later, and then it is given up", () => {
  const failed = [packager("p", [held("s", { phase: "failed" })])];
  const sessions = [session("s")];
  assert.deepEqual(words({ sessions, packagers: failed }), ["drop p s failed"], "not twice at once to the same");
  const leaving = [packager("p", [held("s", { phase: "leaving" })])];
  assert.deepEqual(words({ sessions, packagers: leaving, notes: new Map([["s", note(0)]]) }), []);
  const again = (...agesMs: number[]) =>
    words({ sessions, packagers: [packager("p")], notes: new Map([["s", note(...agesMs)]]) });
  assert.deepEqual(again(0), ["package p s"]);
  assert.deepEqual(again(999, 500), []);
  assert.deepEqual(again(1500, 1000), ["package p s"]);
  assert.deepEqual(again(50_000, 40_000, 30_000, 20_000, 10_000), ["fail s"]);
});

test("a broken one's sessions go to another in the same pass, and are charged", () => {
  const sessions = [session("a"), session("b")];
  const mine = packager("p", [held("a"), held("b"), held("old")]);
  const spare = packager("q");
  const broken = (process: World["running"], own = mine) =>
    words({ sessions, packagers: [own, spare], running: [...process, running("q")] });
  const moved = (why: string) => ["package q a", "package q b", `remove-packager p ${why} a b`];
  assert.deepEqual(broken([running("p", { phase: "failed" })]), moved("failed"));
  assert.deepEqual(broken([]), moved("left"));
  const silent = packager("p", mine.sessions, { connected: false, heardMs: NOW - 3001 });
  assert.deepEqual(broken([running("p")], silent), moved("lost"));
  assert.deepEqual(words({ sessions, packagers: [mine], running: [] }), [
    "remove-packager p left a b",
    "start-packager pack0",
  ]);
});

test("starts that hang are replaced, and not in a hot loop", () => {
  const at = (phase: string, ageMs: number, ...failuresMs: number[]) =>
    words({
      running: [running("p", { phase, sinceMs: NOW - ageMs })],
      packagerFailuresMs: failuresMs.map((ms) => NOW - ms),
    });
  assert.deepEqual(at("starting", 15_001), ["remove-packager p stuck", "start-packager pack0"]);
  assert.deepEqual(at("ready", 5001), ["remove-packager p mute", "start-packager pack0"]);
  assert.deepEqual(at("ready", 5001, 20_000), ["remove-packager p mute"], "the second in a row waits");
});

test("one that is killed while it works is replaced at once, however often", () => {
  const sessions = [session("s")];
  const change = { sessions, running: [], packagerFailuresMs: [NOW - 20_000] };
  const started = (own: PackagerState) => words({ ...change, packagers: [own] }).includes("start-packager pack0");
  assert.ok(started(packager("p", [held("s")])));
  assert.ok(!started(packager("p", [held("s", { frame: null })])), "that it made nothing counts");
});

test("no packager takes two suspects: who kills it must not end the others", () => {
  const twice = note(20_000, 10_000);
  const sessions = [session("a"), session("b"), session("c")];
  const suspects = new Map([
    ["a", twice],
    ["b", twice],
  ]);
  assert.deepEqual(words({ sessions, packagers: [packager("p")], notes: suspects }), ["package p a", "package p c"]);
  const packagers = [packager("p", [held("a"), held("c")])];
  assert.deepEqual(words({ sessions, packagers, notes: suspects }), [], "b waits until a has a part");
  const relieved = new Map([["b", twice]]);
  assert.deepEqual(words({ sessions, packagers, notes: relieved }), ["package p b"]);
});

test("after a restart of control: who has not spoken yet may hold the sessions", () => {
  const change = {
    sessions: [session("s")],
    packagers: [packager("p")],
    running: [running("p"), running("theirs", { sinceMs: NOW })],
  };
  assert.deepEqual(words({ ...change, strangers: new Set(["theirs"]) }), []);
  assert.deepEqual(words(change), ["package p s"]);
});
