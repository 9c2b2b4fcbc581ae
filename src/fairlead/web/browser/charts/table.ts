/** What a chart's table says. */

export interface Table {
  times: number[];
  labels: string[];
  series: string[];
  values: (number | null)[][];
}

export function read(table: HTMLTableElement): Table {
  const heads = [...(table.tHead?.rows[0]?.cells ?? [])].map((cell) => cell.textContent?.trim() ?? "");
  const found: Table = { times: [], labels: [], series: heads.slice(1), values: heads.slice(1).map(() => []) };
  for (const row of table.tBodies[0]?.rows ?? []) {
    const [head, ...cells] = row.cells;
    if (head === undefined) continue;
    found.times.push(Number(head.dataset["value"]));
    found.labels.push(head.textContent?.trim() ?? "");
    cells.forEach((cell, index) => found.values[index]?.push(numberOf(cell.dataset["value"])));
  }
  return found;
}

function numberOf(text: string | undefined): number | null {
  if (text === undefined || text === "") return null;
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}
