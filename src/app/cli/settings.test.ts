import { strict as assert } from "node:assert";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import Type from "typebox";
import { asSchema, wrongFields } from "#base/schema.ts";
import { channelSettings } from "#control/channel-schema.ts";
import { optionOf, SETTINGS, settingsFromOptions, settingsFromWords } from "./settings.ts";

test("every setting of a channel can be typed, and nothing else", () => {
  const known = Object.entries(channelSettings).flatMap(([name, schema]) =>
    name === "limits" ? Object.keys(asSchema(schema).properties!).map((inner) => `${name}.${inner}`) : [name],
  );
  assert.deepEqual(SETTINGS.map(({ path }) => path).sort(), known.sort());
});

test("words become what the API takes", async () => {
  const words = [
    "ladder=copy,720p:3500,360",
    "segmentSeconds=4",
    "gopSeconds=null",
    "rtmpPath=app/name",
    "inputs=udp:239.0.0.1@5000 tcp:5001 udp:6000 rtsp://cam/one?x=y",
    "limits.height=1080",
    "limits.bitrateKbps=none",
  ];
  const settings = await settingsFromWords(words);
  assert.deepEqual(settings, {
    ladder: [{ copy: true }, { height: 720, bitrateKbps: 3500 }, { height: 360 }],
    segmentSeconds: 4,
    gopSeconds: null,
    rtmpPath: "app/name",
    inputs: [
      { kind: "udp", port: 5000, group: "239.0.0.1" },
      { kind: "tcp", port: 5001 },
      { kind: "udp", port: 6000 },
      { kind: "pull", url: "rtsp://cam/one?x=y" },
    ],
    limits: { height: 1080, bitrateKbps: null },
  });
  assert.deepEqual(wrongFields(asSchema(Type.Partial(Type.Object(channelSettings))), settings), []);
});

test("options become the same; what the form does not decide goes on as text, for the API to name", async () => {
  const options = { ladder: "passthrough", limitBitrateKbps: "5000", segmentSeconds: "two", json: true };
  const settings = { ladder: "passthrough", segmentSeconds: "two", limits: { bitrateKbps: 5000 } };
  assert.deepEqual(await settingsFromOptions(options), settings);
  assert.deepEqual(SETTINGS.slice(-3).map(optionOf), [
    "--limit-bitrate-kbps",
    "--limit-height",
    "--limit-duration-seconds",
  ]);
});

test("a ladder from a file; what cannot be read says so", async () => {
  const folder = await mkdtemp(join(tmpdir(), "continuity-settings-"));
  try {
    await writeFile(join(folder, "ladder.json"), '[{"height": 480}]');
    await writeFile(join(folder, "bad.json"), "[");
    assert.deepEqual(await settingsFromWords([`ladder=${folder}/ladder.json`]), { ladder: [{ height: 480 }] });
    for (const [word, message] of [
      [`ladder=${folder}/bad.json`, /bad\.json cannot be used as a ladder/],
      [`ladder=${folder}/none.json`, /none\.json cannot be used as a ladder/],
      ["ladder=720x", /"720x" is no ladder/],
      ["inputs=sctp:1", /"sctp:1" is no input/],
      ["segmentSecond=1", /There is no setting segmentSecond; there are: ladder/],
      ["segmentSeconds", /write KEY=VALUE/],
    ] as const)
      await assert.rejects(settingsFromWords([word]), { code: "config.invalid", message });
  } finally {
    await rm(folder, { recursive: true });
  }
});
