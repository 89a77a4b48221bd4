import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { inputsFrom, inputText, rungsFrom, rungsText, stateOfInput } from "./channel-text.ts";

/** With the prototype of any other object. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(model, { noNullPrototype: true });
const port = fc.integer({ min: 1, max: 65_535 });
const address = fc.constantFrom("rtsp://***@cam/one?token=***", "http://host:80/a.m3u8", "rtmps://h/app/name");
const input = fc.oneof(
  record({ kind: fc.constant("tcp"), port }),
  record({ kind: fc.constant("tcp"), port, host: fc.constant("127.0.0.1") }),
  record({ kind: fc.constant("udp"), port, group: fc.constant("239.0.0.1") }),
  record({ kind: fc.constant("udp"), port }),
  record({ kind: fc.constant("pull"), url: address }),
  record({ kind: fc.constant("pull"), url: address, onDemand: fc.constant(true) }),
);
const rung = fc.oneof(
  fc.constant({ copy: true as const }),
  record({ height: fc.integer({ min: 64, max: 4320 }) }),
  record({ height: fc.integer({ min: 64, max: 4320 }), bitrateKbps: fc.integer({ min: 50, max: 100_000 }) }),
);

test("what the form shows is what it reads", () => {
  fc.assert(fc.property(fc.array(rung), (rungs) => assert.deepEqual(rungsFrom(rungsText(rungs)), rungs)));
  fc.assert(
    fc.property(fc.array(input), (inputs) =>
      assert.deepEqual(inputsFrom(inputs.map(inputText).join("\n"), []), inputs),
    ),
  );
});

test("what the form cannot say stays with its line", () => {
  const known = [{ kind: "udp", port: 5000, group: "232.0.0.1", source: "10.0.0.1", interface: "10.0.0.2" }];
  assert.deepEqual(inputsFrom("udp:232.0.0.1@5000\n\n  tcp:6000 ", known), [known[0], { kind: "tcp", port: 6000 }]);
});

test("a slip of the hand is named", () => {
  assert.throws(() => rungsFrom("720, 36O"), /"36O" is no rung/);
  assert.throws(() => inputsFrom("udp5000", []), /"udp5000" is no input/);
});

test("each input finds its state, also when the address is hidden in two ways", () => {
  const states = [
    { kind: "udp", port: 5000, state: "listening" },
    { kind: "pull", url: "rtsp://cam/one", state: "waiting" },
    { kind: "pull", url: "rtsp://cam/two", state: "connected" },
  ];
  assert.equal(stateOfInput({ kind: "udp", port: 5000 }, states)?.state, "listening");
  assert.equal(stateOfInput({ kind: "tcp", port: 5000 }, states), null);
  assert.equal(stateOfInput({ kind: "pull", url: "rtsp://***@cam/two?x=***" }, states)?.state, "connected");
  assert.equal(stateOfInput({ kind: "pull", url: "rtsp://other" }, states), null);
});
