import { strict as assert } from "node:assert";
import { test } from "node:test";
import { prometheusExposition } from "./prometheus.ts";

test("metrics as text, labels escaped, each scrape from scratch", async () => {
  const exposition = prometheusExposition();
  const samples = [
    { labels: { channel: 'a"b\\c\nd' }, value: 3 },
    { labels: { channel: "e" }, value: 0.5 },
  ];
  const metric = { name: "continuity_bytes_total", help: "Bytes.", kind: "counter", samples } as const;
  const first = await exposition.render([metric, { ...metric, name: "continuity_age", kind: "gauge" }]);
  assert.match(first, /^# TYPE continuity_bytes_total counter$/m);
  assert.match(first, /^# TYPE continuity_age gauge$/m);
  assert.ok(first.includes('continuity_bytes_total{channel="a\\"b\\\\c\\nd"} 3\n'), first);
  assert.match(first, /^continuity_age\{channel="e"\} 0\.5$/m);
  assert.match(first, /^process_resident_memory_bytes \d{6,}/m);
  assert.match(await exposition.render([metric]), /channel="e"\} 0\.5$/m);
  assert.match(exposition.contentType, /^text\/plain/);
});

test("a family without samples is still described", async () => {
  const text = await prometheusExposition().render([{ name: "a_total", help: "x", kind: "counter", samples: [] }]);
  assert.match(text, /^# TYPE a_total counter$/m);
});
