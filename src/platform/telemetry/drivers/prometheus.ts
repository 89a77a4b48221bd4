// The Prometheus text format. prom-client's own collector of process metrics is left out: it samples the event loop all
// the time, which an idle machine pays for; what it would say of the process is read here, at the scrape.
import { Counter, Gauge, Registry } from "prom-client";
import type { Exposition, Metric } from "../telemetry.ts";

export function prometheusExposition(): Exposition {
  return {
    contentType: Registry.PROMETHEUS_CONTENT_TYPE,
    async render(metrics) {
      const registry = new Registry();
      for (const metric of [...metrics, ...processMetrics()]) register(registry, metric);
      return registry.metrics();
    },
  };
}

function register(registry: Registry, { name, help, kind, samples }: Metric): void {
  const labelNames = [...new Set(samples.flatMap(({ labels }) => Object.keys(labels)))];
  const options = { name, help, labelNames, registers: [registry] };
  if (kind === "counter") {
    const counter = new Counter(options);
    for (const { labels, value } of samples) counter.inc(labels, value);
  } else {
    const gauge = new Gauge(options);
    for (const { labels, value } of samples) gauge.set(labels, value);
  }
}

function processMetrics(): Metric[] {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed, external } = process.memoryUsage();
  const one = (value: number) => [{ labels: {}, value }];
  const startSeconds = Date.now() / 1000 - process.uptime();
  return [
    {
      name: "process_cpu_seconds_total",
      help: "CPU time of this process, user and system.",
      kind: "counter",
      samples: one((user + system) / 1e6),
    },
    {
      name: "process_resident_memory_bytes",
      help: "Resident memory of this process.",
      kind: "gauge",
      samples: one(rss),
    },
    { name: "process_heap_bytes", help: "JavaScript heap in use.", kind: "gauge", samples: one(heapUsed) },
    { name: "process_external_memory_bytes", help: "Buffers outside the heap.", kind: "gauge", samples: one(external) },
    {
      name: "process_start_time_seconds",
      help: "When this process started, Unix time.",
      kind: "gauge",
      samples: one(startSeconds),
    },
  ];
}
