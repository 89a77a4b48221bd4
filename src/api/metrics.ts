import type { Control } from "#control/control.ts";
import type { SessionView } from "#control/views.ts";
import type { Metric, Sample } from "#platform/telemetry/telemetry.ts";

const SESSION_STATES = ["starting", "live", "interrupted", "ending", "ended", "failed"] as const;
const WORKER_PHASES = ["starting", "warm", "running", "draining", "failed"] as const;

const COUNTERS: readonly [name: string, help: string, of: (session: SessionView) => number][] = [
  ["ingest_bytes_total", "Bytes received from the publisher.", (s) => s.counters.bytesIn],
  ["ingest_units_total", "Access units received.", (s) => s.counters.units],
  ["ingest_units_damaged_total", "Access units with bytes missing.", (s) => s.counters.damagedUnits],
  ["ingest_units_dropped_total", "Access units that came too late.", (s) => s.counters.droppedUnits],
  ["ingest_continuity_errors_total", "Gaps in the transport's own counters.", (s) => s.counters.continuityErrors],
  ["ingest_holes_total", "Spans without source.", (s) => s.counters.holes],
  ["ingest_returns_total", "Returns of the publisher within its grace.", (s) => s.counters.returns],
  ["ingest_drift_steps_total", "Times that media time was moved by a picture.", (s) => s.counters.driftSteps],
  ["log_readers_cut_total", "Readers of the session log that fell too far behind.", (s) => s.counters.readersCut],
  ["origin_copies_differ_total", "Parts of one name and unequal bytes.", (s) => s.copiesThatDiffer],
];

/** The state at this instant. Sessions that are over are counted by state and else left out: labels stay few. */
export function metricsOf(control: Pick<Control, "sessions" | "workers" | "status">): Metric[] {
  const sessions = control.sessions();
  const open = sessions.filter(({ state }) => state !== "ended" && state !== "failed");
  const workers = control.workers();
  const labelled = (of: (session: SessionView) => number) =>
    open.map((s): Sample => ({ labels: { channel: s.channel, session: s.id }, value: of(s) }));
  const counted = (label: string, words: readonly string[], found: readonly string[]) =>
    words.map((word): Sample => ({ labels: { [label]: word }, value: found.filter((one) => one === word).length }));
  const ages = open.flatMap((s) =>
    s.renditions.flatMap(({ name, partAgeMs }): Sample[] =>
      partAgeMs === null
        ? []
        : [{ labels: { channel: s.channel, session: s.id, rendition: name }, value: partAgeMs / 1000 }],
    ),
  );
  const gauge = (name: string, help: string, samples: Sample[]): Metric => ({
    name: `continuity_${name}`,
    help,
    kind: "gauge",
    samples,
  });
  return [
    gauge("ready", "1 when gateway and origins can be heard.", [{ labels: {}, value: control.status().ready ? 1 : 0 }]),
    gauge(
      "sessions",
      "Sessions by state.",
      counted(
        "state",
        SESSION_STATES,
        sessions.map(({ state }) => state),
      ),
    ),
    gauge(
      "workers",
      "Workers by phase.",
      counted(
        "phase",
        WORKER_PHASES,
        workers.map(({ phase }) => phase),
      ),
    ),
    gauge("part_age_seconds", "Age of the newest part's last frame when it was published.", ages),
    gauge(
      "ingest_drift_seconds",
      "How far media time is behind TAI; negative: ahead.",
      labelled((s) => s.counters.driftMs / 1000),
    ),
    gauge(
      "session_log_bytes",
      "Bytes of the session log held.",
      labelled((s) => s.log.bytes),
    ),
    gauge(
      "origin_waiters",
      "Requests that wait for media.",
      labelled((s) => s.waiters),
    ),
    ...COUNTERS.map(
      ([name, help, of]): Metric => ({
        name: `continuity_${name}`,
        help,
        kind: "counter",
        samples: labelled(of),
      }),
    ),
  ];
}
