import { strict as assert } from "node:assert";
import { test } from "node:test";
import type { ChannelLimits } from "#media/channel.ts";
import { PublisherLimits } from "./channel-limits.ts";
import { audioTrack, tracksEvent, videoTrack } from "./testing/source.ts";

const none: ChannelLimits = { bitrateKbps: null, height: null, durationSeconds: null };

/** Sends for some seconds, in ten pieces each. */
function send(limits: PublisherLimits, fromSecond: number, seconds: number, kilobits: number): void {
  for (let piece = 0; piece < seconds * 10; piece += 1)
    limits.received((kilobits * 1000) / 8 / 10, (fromSecond + piece / 10) * 1000);
}

test("a bit rate is judged over five seconds: a burst passes, a steady excess does not", () => {
  const limits = new PublisherLimits({ ...none, bitrateKbps: 2000 });
  send(limits, 100, 10, 1900);
  send(limits, 110, 1, 2300);
  send(limits, 111, 10, 1900);
  assert.equal(limits.fault(), null);
  send(limits, 121, 3, 2100);
  assert.equal(limits.fault(), null);
  send(limits, 124, 4, 2100);
  assert.equal(limits.fault()?.code, "ingest.over_limit");
  assert.match(limits.fault()!.message, /20\d0 kbit\/s came over 5 s, and this channel takes 2000/);
});

test("what came before a pause does not count", () => {
  const limits = new PublisherLimits({ ...none, bitrateKbps: 1000 });
  send(limits, 0, 4, 1200);
  send(limits, 60, 4, 1200);
  send(limits, 64, 1, 100);
  send(limits, 65, 1, 100);
  assert.equal(limits.fault(), null);
});

test("the picture's short side is held to a height, at the opening and when it changes", () => {
  const limits = new PublisherLimits({ ...none, height: 720 });
  limits.event(tracksEvent(videoTrack(null, 720, 1280), audioTrack()));
  assert.equal(limits.fault(), null);
  limits.event(tracksEvent(videoTrack(null, 1920, 1080)));
  assert.equal(limits.fault()?.code, "ingest.over_limit");
});

test("without limits nothing is too much", () => {
  const limits = new PublisherLimits(none);
  send(limits, 0, 20, 500_000);
  limits.event(tracksEvent(videoTrack(null, 7680, 4320)));
  assert.equal(limits.fault(), null);
});
