/** Each series on top of those before it. What is not known counts as nothing. */

export function stacked(series: readonly (readonly (number | null)[])[]): number[][] {
  const sums: number[] = [];
  return series.map((values) =>
    values.map((value, index) => {
      const sum = (sums[index] ?? 0) + (value ?? 0);
      sums[index] = sum;
      return sum;
    }),
  );
}
