// What commands print: tables for people, the API's own answers for programs.

export function print(value: unknown): void {
  console.log(JSON.stringify(value, null, 2));
}

/** @param empty said when there are no rows */
export function table(head: string[], rows: string[][], empty: string): void {
  if (rows.length === 0) {
    console.log(empty);
    return;
  }
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  for (const row of [head, ...rows])
    console.log(
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join("  ")
        .trimEnd(),
    );
}

type RungItem = { height?: number; bitrateKbps?: number; copy?: true };

/** "720p 360p", "copy 360p", "auto". */
export function ladderText(ladder: unknown): string {
  if (!Array.isArray(ladder)) return String(ladder);
  return ladder.map((rung: RungItem) => (rung.copy ? "copy" : `${rung.height}p`)).join(" ");
}
