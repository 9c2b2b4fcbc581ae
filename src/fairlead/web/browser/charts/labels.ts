/** Where the names of series stand: at the right, where each of them ends. */

/** Values at which series end, in the unit of the axis; null: it has none. Of a stack: the middle of its part of
 * the last bar that there is. */
export function ends(values: readonly (readonly (number | null)[])[], isStacked: boolean): (number | null)[] {
  if (!isStacked) return values.map((one) => one.findLast((value) => value !== null) ?? null);
  const length = values[0]?.length ?? 0;
  let last = length - 1;
  while (last > 0 && !values.some((one) => (one[last] ?? 0) > 0)) last -= 1;
  let below = 0;
  return values.map((one) => {
    const own = one[last] ?? 0;
    below += own;
    return below - own / 2;
  });
}

/** Places for labels of one height, each as near to where it wants to be as the others let it, within 0 and
 * `height`. Their order is that of the wanted places. */
export function spread(wanted: readonly number[], size: number, height: number): number[] {
  const gap = Math.min(size, height / Math.max(1, wanted.length));
  const order = wanted.map((_, index) => index).sort((one, other) => (wanted[one] ?? 0) - (wanted[other] ?? 0));
  const places = wanted.map(() => 0);
  let free = 0;
  for (const index of order) {
    const place = Math.max(free, (wanted[index] ?? 0) - gap / 2);
    places[index] = place;
    free = place + gap;
  }
  let end = height;
  for (const index of order.reverse()) {
    places[index] = Math.min(places[index] ?? 0, end - gap);
    end = places[index] ?? 0;
  }
  return places.map((place) => place + gap / 2);
}

/** Which bars have their moment written below: the last one, and as many before it as have room. */
export function told(times: readonly number[], width: number, labelWidth: number): number[] {
  const stride = Math.max(1, Math.ceil((times.length * labelWidth) / Math.max(1, width)));
  return times.filter((_, index) => (times.length - 1 - index) % stride === 0);
}
