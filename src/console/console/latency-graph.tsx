// Part age over the last two minutes: how old the newest frame was when its part could be fetched, the slowest rendition
// of each session. The samples are taken here, from the live state; the server keeps no history for it.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Session } from "./api.ts";

const KEEP_SECONDS = 120;
const SAMPLE_MS = 500;
const HEIGHT = 120;

/** Ring of [unix seconds, part age ms]. */
export type Samples = { times: number[]; ages: (number | null)[] };

export function partAge(session: Session): number | null {
  const ages = (session.renditions ?? []).flatMap((rendition) =>
    rendition.partAgeMs === null || rendition.partAgeMs === undefined ? [] : [rendition.partAgeMs],
  );
  return ages.length === 0 ? null : Math.max(...ages);
}

export function LatencyGraph({ session }: { session: Session }) {
  const place = useRef<HTMLDivElement>(null);
  const newest = useRef(session);
  newest.current = session;

  useEffect(() => {
    const element = place.current!;
    const samples: Samples = { times: [], ages: [] };
    const plot = new uPlot(options(element.clientWidth), [[], []], element);
    const timer = setInterval(() => {
      const now = Date.now() / 1000;
      samples.times.push(now);
      samples.ages.push(partAge(newest.current));
      while (samples.times[0]! < now - KEEP_SECONDS) {
        samples.times.shift();
        samples.ages.shift();
      }
      plot.setData([samples.times, samples.ages], false);
      plot.setScale("x", { min: now - KEEP_SECONDS, max: now });
    }, SAMPLE_MS);
    const resize = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }));
    resize.observe(element);
    return () => {
      clearInterval(timer);
      resize.disconnect();
      plot.destroy();
    };
  }, []);

  return <div class="graph" ref={place} role="img" aria-label={`Part age of ${session.channel} over two minutes`} />;
}

function options(width: number): uPlot.Options {
  const axis = {
    stroke: "#646d7a",
    font: "11px system-ui, sans-serif",
    grid: { stroke: "#1f242c", width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 8, 0, 0],
    scales: { x: { time: true, auto: false }, y: { range: (_, __, max) => [0, Math.max(200, (max ?? 0) * 1.2)] } },
    axes: [
      {
        ...axis,
        size: 22,
        space: 90,
        values: (_, ticks) => ticks.map((at) => new Date(at * 1000).toTimeString().slice(0, 8)),
      },
      { ...axis, size: 56, values: (_, ticks) => ticks.map((age) => `${age} ms`) },
    ],
    series: [{}, { stroke: "#7fb4ff", width: 1.5, fill: "rgba(127,180,255,0.08)", points: { show: false } }],
  };
}
