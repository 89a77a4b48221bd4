/** A frame of an era, on that era's grid: up to where a session is stored, and from where on it is made. */
export type EraFrame = Readonly<{ era: number; frame: number }>;

/** @returns below 0 when `a` comes before `b`, 0 when they are the same */
export function compareEraFrames(a: EraFrame, b: EraFrame): number {
  return a.era - b.era || a.frame - b.frame;
}

/** The first of them. Null is the very beginning, and before all others; so it is of none. */
export function earliest(frames: readonly (EraFrame | null)[]): EraFrame | null {
  const known = frames.filter((frame) => frame !== null);
  return known.length < frames.length ? null : (known.toSorted(compareEraFrames)[0] ?? null);
}
