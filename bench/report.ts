// One measured figure: ours, the peer's from the same run, the goal, and where the time went when it was missed.

export type Figure = Readonly<{
  name: string;
  ours: number;
  unit: string;
  /** The same thing measured on a peer in this run; null when none is installed. */
  peer: Readonly<{ name: string; value: number }> | null;
  /** Ours must not exceed it. Null: reported only. */
  goal: number | null;
  /** What a reader needs to judge it: spread, conditions, where the time goes. */
  note: string;
}>;

const round = (value: number) =>
  Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(3);

export function table(figures: readonly Figure[]): string {
  const rows = figures.map(({ name, ours, unit, peer, goal, note }) => [
    name,
    `${round(ours)} ${unit}`,
    peer === null ? "-" : `${round(peer.value)} (${peer.name})`,
    peer === null ? "-" : `${(ours / peer.value).toFixed(2)} x`,
    goal === null ? "-" : `<= ${round(goal)}`,
    goal === null ? "" : ours <= goal ? "met" : `missed by ${round(ours - goal)} ${unit}`,
    note,
  ]);
  const head = ["figure", "ours", "peer", "ratio", "goal", "", "note"];
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
