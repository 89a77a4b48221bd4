// How numbers and times look in a playlist.
// Source: draft-pantos-hls-rfc8216bis-22, 4.2

/** Seconds with six decimals, rounded to nearest: within half a microsecond of the media.
 *  Never above a bound that was itself rounded up to whole milliseconds (PART-TARGET). */
export function secondsText(ticks: number, timescale: number): string {
  return (ticks / timescale).toFixed(6);
}

/** Milliseconds as seconds: "0.341". */
export function millisecondsText(ms: number): string {
  return (ms / 1000).toFixed(3);
}

/** A quoted string. What cannot stand in one (quotes, line ends) is left out. */
export function quoted(text: string): string {
  return `"${text.replace(/["\r\n]/g, "")}"`;
}

/** "A=1,B=2", without the attributes that are null. */
export function attributes(list: Readonly<Record<string, string | number | null>>): string {
  return Object.entries(list)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
}
