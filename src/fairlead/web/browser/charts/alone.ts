/** Where a value stands between unknown ones: a line through it has no length, so it is drawn as a point. */

export function alone(values: readonly (number | null)[]): number[] {
  const isKnown = (at: number): boolean => values[at] !== null && values[at] !== undefined;
  return values.flatMap((_, at) => (isKnown(at) && !isKnown(at - 1) && !isKnown(at + 1) ? [at] : []));
}
