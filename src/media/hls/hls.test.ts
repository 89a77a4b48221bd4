import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { PlatformError } from "#base/errors.ts";
import { seededRandom } from "#base/random.ts";
import { type Rate, STANDARD_RATES, timeOf } from "#media/time/rate.ts";
import { audioFramesOf, partStarts, partTargetMs } from "#media/time/segmentation.ts";
import { advancePartLimit, parseDirectives } from "./directives.ts";
import { type MediaPlaylist, type PlaylistSegment, skippableSegments, writeMediaPlaylist } from "./media-playlist.ts";
import { writeMultivariant } from "./multivariant.ts";
import { secondsText } from "./text.ts";

const START_FRAME = 53_850_000_000 - 60 * 5; // 2026 at 30 frames a second

function segment(n: number, change: Partial<PlaylistSegment> = {}): PlaylistSegment {
  const start = START_FRAME + n * 60;
  const parts = [0, 1, 2, 3, 4, 5].map((i) => {
    return { uri: `s/v/0-${start}.${i}.m4s`, durationTicks: 10, independent: i === 0, gap: false };
  });
  const startNs = timeOf({ num: 30, den: 1 }, start);
  const plain = { durationTicks: 60, timescale: 30, startNs, gap: false, discontinuity: false, map: "s/v/init-0.mp4" };
  return { ...plain, partTargetMs: 334, uri: `s/v/0-${start}.m4s`, parts, ...change };
}

function playlist(count: number, change: Partial<MediaPlaylist> = {}): MediaPlaylist {
  return {
    targetDurationSeconds: 2,
    partTargetMs: 334,
    mediaSequence: 7,
    discontinuitySequence: 3,
    segments: Array.from({ length: count }, (_, n) => segment(n)),
    growing: null,
    preloadHint: "s/v/next.m4s",
    renditionReports: [{ uri: "a.m3u8", lastMsn: 7 + count, lastPart: null }],
    ended: false,
    ...change,
  };
}

test("a small live playlist, in full", () => {
  const growing = segment(2, { parts: segment(2).parts.slice(0, 1), durationTicks: 10 });
  const segments = [segment(0, { discontinuity: true }), segment(1, { gap: true, parts: [] })];
  const reports = [{ uri: "a.m3u8", lastMsn: 9, lastPart: 0 }];
  assert.equal(
    writeMediaPlaylist(playlist(0, { segments, growing, renditionReports: reports })),
    `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.000,PART-HOLD-BACK=1.002
#EXT-X-PART-INF:PART-TARGET=0.334
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:3
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="s/v/init-0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-18T11:05:53.000Z
#EXT-X-PART:DURATION=0.333333,INDEPENDENT=YES,URI="s/v/0-53849999700.0.m4s"
#EXT-X-PART:DURATION=0.333333,URI="s/v/0-53849999700.1.m4s"
#EXT-X-PART:DURATION=0.333333,URI="s/v/0-53849999700.2.m4s"
#EXT-X-PART:DURATION=0.333333,URI="s/v/0-53849999700.3.m4s"
#EXT-X-PART:DURATION=0.333333,URI="s/v/0-53849999700.4.m4s"
#EXT-X-PART:DURATION=0.333333,URI="s/v/0-53849999700.5.m4s"
#EXTINF:2.000000,
s/v/0-53849999700.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-18T11:05:55.000Z
#EXT-X-GAP
#EXTINF:2.000000,
s/v/0-53849999760.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-18T11:05:57.000Z
#EXT-X-PART:DURATION=0.333333,INDEPENDENT=YES,URI="s/v/0-53849999820.0.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="s/v/next.m4s"
#EXT-X-RENDITION-REPORT:URI="a.m3u8",LAST-MSN=9,LAST-PART=0
`,
  );
});

test("an ended playlist promises nothing, and has no delta", () => {
  const ended = playlist(20, { ended: true, preloadHint: null });
  const text = writeMediaPlaylist(ended);
  assert.match(text, /#EXT-X-ENDLIST\n$/);
  assert.doesNotMatch(text, /SERVER-CONTROL|PART|HINT|REPORT/);
  assert.equal(writeMediaPlaylist(ended, true), text);
});

test("parts are listed for segments within three target durations of the end, all of a segment's or none", () => {
  const text = writeMediaPlaylist(playlist(10));
  const listed = new Set([...text.matchAll(/EXT-X-PART:.*0-(\d+)\.\d\.m4s/g)].map((match) => Number(match[1])));
  assert.deepEqual(
    [...listed],
    [7, 8, 9].map((n) => START_FRAME + n * 60),
  );
  assert.equal([...text.matchAll(/EXT-X-PART:/g)].length, 18);
});

test("parts that keep another PART-TARGET are not listed, nor any before them", () => {
  const longer = [0, 1, 2, 3].map((n) => segment(n, n === 1 ? { partTargetMs: 2450 } : {}));
  const text = writeMediaPlaylist(playlist(0, { segments: longer }));
  assert.equal([...text.matchAll(/EXT-X-PART:/g)].length, 12);
  assert.doesNotMatch(text, new RegExp(`EXT-X-PART:.*0-(${START_FRAME}|${START_FRAME + 60})`));
});

/** What a player makes of a delta: the skipped run comes from its older copy. */
function merged(delta: string, full: string): string {
  const skipped = Number(/SKIPPED-SEGMENTS=(\d+)/.exec(delta)?.[1] ?? 0);
  if (skipped === 0) return delta;
  const lines = full.split("\n");
  const first = lines.findIndex((line) => line.startsWith("#EXT-X-DISCONTINUITY-SEQUENCE")) + 1;
  let end = first;
  for (let seen = 0; seen < skipped; end += 1) if (!lines[end]!.startsWith("#")) seen += 1;
  return delta.replace(/#EXT-X-SKIP:.*\n/, `${lines.slice(first, end).join("\n")}\n`);
}

test("a delta, merged, is the full playlist; it skips what is older than six target durations", () => {
  const shape = fc.record({ gap: fc.boolean(), discontinuity: fc.boolean(), map: fc.constantFrom(null, "a", "b") });
  fc.assert(
    fc.property(fc.array(shape, { maxLength: 40 }), fc.boolean(), (shapes, growing) => {
      const value = playlist(0, {
        segments: shapes.map((change, n) => segment(n, change)),
        growing: growing ? segment(shapes.length, { durationTicks: 60 }) : null,
      });
      const [full, delta] = [writeMediaPlaylist(value), writeMediaPlaylist(value, true)];
      assert.equal(merged(delta, full), full);
      assert.equal(skippableSegments(value), Math.max(0, shapes.length - 6));
    }),
    { numRuns: 300, seed: 3 },
  );
});

test("no part's printed duration exceeds the target, at any rate", () => {
  const sampleRates = [48_000, 44_100];
  const seconds = (text: string) => Number(text);
  const check = (rate: Rate, k: number, sampleRate: number) => {
    const target = partTargetMs(rate, k, sampleRate) / 1000;
    const first = Math.round((1_795_000_000 * rate.num) / rate.den);
    for (const start of partStarts(first, first + k * 40, k)) {
      const frames = audioFramesOf(rate, start, start + k, sampleRate);
      assert.ok(seconds(secondsText((frames.end - frames.start) * 1024, sampleRate)) <= target);
      assert.ok(seconds(secondsText(k * rate.den, rate.num)) <= target);
    }
  };
  for (const rate of STANDARD_RATES) for (const k of [3, 5, 10, 15]) for (const sr of sampleRates) check(rate, k, sr);
});

test("the multivariant playlist, in full", () => {
  const audio = { group: "audio", name: "a128", language: "eng", channels: 2, uri: "a128.m3u8", default: true };
  const video = { width: 1280, height: 720, framesPerSecond: 30_000 / 1001, range: "SDR" } as const;
  const variant = { uri: "v720.m3u8", bandwidth: 3_000_000, averageBandwidth: 2_000_000, video, audio: "audio" };
  assert.equal(
    writeMultivariant({ audio: [audio], variants: [{ ...variant, codecs: ["avc1.64001f", "mp4a.40.2"] }] }),
    `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="a128",LANGUAGE="eng",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="a128.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=3000000,AVERAGE-BANDWIDTH=2000000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO="audio",VIDEO-RANGE=SDR
v720.m3u8
`,
  );
});

test("directives: what is asked, and what is refused", () => {
  const parsed = (query: string) => Object.values(parseDirectives(query));
  assert.deepEqual(parsed(""), [null, null, false]);
  assert.deepEqual(parsed("_HLS_msn=12"), [12, null, false]);
  assert.deepEqual(parsed("a=b&_HLS_msn=12&_HLS_part=0&_HLS_skip=YES"), [12, 0, true]);
  assert.deepEqual(parsed("_HLS_skip=v2&_HLS_other=x"), [null, null, true]);
  const wrong = ["_HLS_part=1", "_HLS_msn=", "_HLS_msn", "_HLS_msn=-1", "_HLS_msn=1.5", "_HLS_msn=0x1", "_HLS_msn=1e3"];
  wrong.push("_HLS_msn=1&_HLS_msn=1", "_HLS_msn=9999999999999999", "_HLS_msn=1&_HLS_part=a", "_HLS_skip=NO");
  for (const query of wrong) assert.throws(() => parseDirectives(query), { code: "api.bad_request" }, query);
  assert.equal(advancePartLimit(334), 8);
  assert.equal(advancePartLimit(1500), 3);
});

test("fuzz: any query gives directives within bounds or a code", () => {
  const random = seededRandom(11);
  const pieces = [
    "_HLS_msn",
    "_HLS_part",
    "_HLS_skip",
    "=",
    "&",
    "1",
    "9",
    "YES",
    "-",
    "%00",
    "",
    "v2",
    "\u{1F600}",
    "x",
  ];
  let [taken, refused] = [0, 0];
  for (let round = 0; round < 20_000; round += 1) {
    const query = Array.from({ length: random.int(1, 12) }, () => pieces[random.int(0, pieces.length)]).join("");
    try {
      const { msn, part } = parseDirectives(query);
      for (const value of [msn, part]) assert.ok(value === null || (Number.isSafeInteger(value) && value >= 0), query);
      taken += 1;
    } catch (error) {
      assert.ok(error instanceof PlatformError && error.code === "api.bad_request", `${query}: ${error}`);
      refused += 1;
    }
  }
  assert.ok(taken > 1000 && refused > 1000, `${taken} taken, ${refused} refused`);
});
