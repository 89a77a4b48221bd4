// Numbers for a scraper. What is counted lives in the states that control shows; a scrape reads them once, so nothing is
// counted twice and an idle installation does no work for its metrics.

export type Sample = Readonly<{ labels: Readonly<Record<string, string>>; value: number }>;

export type Metric = Readonly<{
  /** Lower case with underscores, unit last, counters end in _total. */
  name: string;
  help: string;
  kind: "counter" | "gauge";
  samples: readonly Sample[];
}>;

export interface Exposition {
  readonly contentType: string;
  /** The metrics, and those of this process, as text. */
  render(metrics: readonly Metric[]): Promise<string>;
}
