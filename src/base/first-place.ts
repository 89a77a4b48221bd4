/** The first of `length` places that a condition holds at, by halving; `length` when there is none.
 *  @param holds from some place on true, before it false */
export function firstPlace(length: number, holds: (place: number) => boolean): number {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
