// What the checker can find. A code is stable; the clause says where the rule stands. "HLS" is the second edition
// (draft-pantos-hls-rfc8216bis), "CMAF" ISO/IEC 23000-19, "practice" what caches and players need though no text says so.

export const RULES = {
  "fetch.failed": "HLS 6.2.1: what a playlist lists can be fetched",
  "playlist.grammar": "HLS 4.1-4.2: tags and attributes as defined, none twice",
  "playlist.version": "HLS 7: EXT-X-VERSION covers what is used",
  "playlist.mime": "HLS 10: application/vnd.apple.mpegurl",
  "playlist.not_compressed": "practice: gzip when the client takes it",
  "playlist.cache": "practice: cacheable as long as the key's answer cannot change, never longer",
  "playlist.cors": "practice: players run on other hosts' pages",
  "playlist.stalled": "HLS 6.2.2: updated in time",
  "multivariant.codecs": "HLS 4.4.6.2: CODECS name what the media is",
  "multivariant.resolution": "HLS 4.4.6.2: RESOLUTION is what the media is",
  "multivariant.frame_rate": "HLS 4.4.6.2: FRAME-RATE is what the media is, 3 decimals",
  "multivariant.bandwidth": "HLS 4.4.6.2: no run of segments exceeds BANDWIDTH",
  "multivariant.average": "HLS 4.4.6.2: AVERAGE-BANDWIDTH is the average",
  "multivariant.attribute_missing":
    "HLS 4.4.6.2: BANDWIDTH, CODECS, RESOLUTION, FRAME-RATE, AVERAGE-BANDWIDTH are there",
  "multivariant.video_range": "HLS 4.4.6.2: VIDEO-RANGE is what the media is; absent, it is SDR",
  "multivariant.media":
    "HLS 4.4.6.1: members of a group have names of their own, one default at most, which is selectable",
  "multivariant.captions": "HLS 4.4.6.2: CLOSED-CAPTIONS=NONE only where no media holds captions",
  "multivariant.group": "HLS 4.4.6.2.1: a group that is named exists",
  "multivariant.independent": "HLS 4.4.2.1: EXT-X-INDEPENDENT-SEGMENTS, since every segment starts with an IDR",
  "target.changed": "HLS 4.4.3.1: the target duration never changes",
  "segment.too_long": "HLS 4.4.3.1: rounded EXTINF does not exceed the target duration",
  "segment.changed": "HLS 6.2.1: what was listed does not change",
  "segment.duration": "HLS 4.4.4.1: EXTINF is the media's duration",
  "segment.map_missing": "HLS 4.4.4.5: an EXT-X-MAP applies to every fMP4 segment",
  "segment.pdt_missing": "practice: EXT-X-PROGRAM-DATE-TIME on every segment",
  "segment.pdt_not_linear": "HLS 4.4.4.6: dates follow media time",
  "segment.removed_early": "HLS 6.2.2: at least 3 target durations stay listed",
  "segment.removed_unfetchable": "HLS 6.2.2: a removed segment stays fetchable",
  "msn.went_back": "HLS 6.2.1: EXT-X-MEDIA-SEQUENCE never falls",
  "msn.wrong": "HLS 6.2.2: it grows by exactly the number of removed segments",
  "discontinuity.sequence": "HLS 6.2.2: EXT-X-DISCONTINUITY-SEQUENCE counts removed discontinuities",
  "gap.fetchable_listed": "HLS 4.4.4.7: parts of a GAP segment carry GAP=YES",
  "gap.not_everywhere": "practice: a span nobody has is a gap in every rendition",
  "control.blocking": "HLS 4.4.3.8: CAN-BLOCK-RELOAD=YES",
  "control.part_hold_back": "HLS 4.4.3.8: PART-HOLD-BACK is at least 3 part targets",
  "control.hold_back": "HLS 4.4.3.8: HOLD-BACK is at least 3 target durations",
  "control.skip_until": "HLS 4.4.3.8: CAN-SKIP-UNTIL is at least 6 target durations",
  "part.too_long": "HLS 4.4.4.9: DURATION does not exceed PART-TARGET",
  "part.too_short": "HLS 4.4.4.9: at least 85 % of PART-TARGET but for the last of a segment",
  "part.duration": "HLS 4.4.4.9: DURATION is the media's duration",
  "part.independent": "HLS 4.4.4.9: INDEPENDENT=YES exactly where the first sample is a sync sample",
  "part.late": "HLS 6.2.2: the next part is listed within a part target",
  "part.kept_too_long": "HLS 6.2.2: PART tags go 3 target durations from the end",
  "part.removed_early": "HLS 6.2.2: PART tags stay for 3 target durations",
  "part.unfetchable": "HLS 6.2.2: a part stays fetchable after its tag went",
  "parent.not_sum_of_parts": "HLS 4.4.4.9: all parts together are the segment",
  "hint.missing": "HLS 4.4.5.3: the next part is hinted",
  "hint.duplicate": "HLS 4.4.5.3: at most one hint of a type",
  "hint.never_appeared": "HLS 4.4.5.3: the hinted URI is the one that comes",
  "hint.dribbled": "HLS B.1: a part is sent whole, at link speed",
  "report.missing": "HLS 4.4.5.4: a report for every other playlist",
  "report.stale": "HLS 4.4.5.4: as fresh as the playlist it sits in",
  "blocking.early": "HLS 6.2.5.2: not answered before the part is listed",
  "blocking.late": "HLS 6.2.5.2: answered when the part is listed",
  "blocking.far_future": "HLS 6.2.5.2: 400 when too far ahead",
  "blocking.part_without_msn": "HLS 6.2.5.2: 400 for _HLS_part without _HLS_msn",
  "blocking.garbage": "HLS 6.2.5.2: 400 for a directive that is no number",
  "blocking.past": "HLS 6.2.5.2: what is there already is answered at once",
  "delta.differs": "HLS 6.2.5.1: a delta update merges to the full playlist",
  "delta.not_offered": "HLS 6.2.5.1: _HLS_skip=YES gives a delta update",
  "media.no_sync": "CMAF 7.3: a segment starts with a sync sample",
  "media.tfdt_gap": "CMAF 7.3: decode times are contiguous",
  "media.boxes": "CMAF 7: one track fragment, default-base-is-moof, tfdt",
  "media.cache": "practice: media is immutable for long",
  "media.mime": "HLS 10: video/mp4, audio/mp4, video/iso.segment",
  "media.range": "practice: byte ranges and HEAD work on finished objects",
  "cross.msn_at_date": "practice: equal numbers at equal dates in all renditions",
  "cross.discontinuity": "HLS 6.2.4: discontinuities at the same place in all renditions",
  "cross.start": "CMAF 7.3.4: segments of all renditions start together, audio within a frame",
  "end.not_final": "HLS 4.4.3.4: after ENDLIST there are no hints and nothing is added",
  "missing.not_404": "practice: what is unknown is a quick 404 that caches keep for a second at most",
} as const;

export type Code = keyof typeof RULES;

export type Finding = Readonly<{ code: Code; url: string; detail: string; atMs: number }>;

/** Gathers findings; the same code at the same place counts up. */
export class Findings {
  readonly first = new Map<string, Finding & { count: number }>();
  readonly #onFinding: (finding: Finding) => void;

  constructor(onFinding: (finding: Finding) => void = () => {}) {
    this.#onFinding = onFinding;
  }

  add(code: Code, url: string, detail: string): void {
    const key = `${code} ${url.split("?", 1)[0]}`;
    const known = this.first.get(key);
    if (known) this.first.set(key, { ...known, count: known.count + 1 });
    else {
      const finding = { code, url, detail, atMs: performance.now() };
      this.first.set(key, { ...finding, count: 1 });
      this.#onFinding(finding);
    }
  }

  list(): (Finding & { count: number })[] {
    return [...this.first.values()].sort((a, b) => a.atMs - b.atMs);
  }
}
