/** A span of the media timeline, half-open: start is in, end is out; null = unbounded. Unit: TAI nanoseconds. */
export type Timerange = Readonly<{ start: bigint | null; end: bigint | null }>;

/** All empty ranges are this one value. */
export const NEVER: Timerange = Object.freeze({ start: 0n, end: 0n });
export const ALWAYS: Timerange = Object.freeze({ start: null, end: null });

export function timerange(start: bigint | null, end: bigint | null): Timerange {
  if (start !== null && end !== null && start >= end) return NEVER;
  return Object.freeze({ start, end });
}

export function isNever(range: Timerange): boolean {
  return range.start !== null && range.end !== null && range.start >= range.end;
}

export function intersect(a: Timerange, b: Timerange): Timerange {
  if (isNever(a) || isNever(b)) return NEVER;
  const start = a.start === null || (b.start !== null && b.start > a.start) ? b.start : a.start;
  const end = a.end === null || (b.end !== null && b.end < a.end) ? b.end : a.end;
  return timerange(start, end);
}

export function overlaps(a: Timerange, b: Timerange): boolean {
  return !isNever(intersect(a, b));
}

export function contains(range: Timerange, tNs: bigint): boolean {
  return (range.start === null || tNs >= range.start) && (range.end === null || tNs < range.end);
}

/** Nanoseconds between start and end; null when unbounded. */
export function lengthNs(range: Timerange): bigint | null {
  return range.start === null || range.end === null ? null : range.end - range.start;
}
