/** Models to choose from. The list is loaded when it is first looked at; searching it is pure. */

import { list, record } from "./asking.ts";

/** ready: this installation can call it. reads: what it takes besides text. */
export interface Choice {
  id: string;
  name: string;
  price: string;
  context: string;
  reads: string[];
  reasons: boolean;
  searches: boolean;
  ready: boolean;
}

/** Those with all the words in their name or id, the ones that can be called first. */
export function matching(choices: readonly Choice[], query: string): Choice[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = choices.filter((one) => {
    const text = `${one.id} ${one.name}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  return [...found.filter((one) => one.ready), ...found.filter((one) => !one.ready)];
}

export async function loadChoices(address: string): Promise<Choice[]> {
  const response = await fetch(address, { headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(`The list of models cannot be loaded (${response.status}).`);
  return list(record(await response.json())?.["data"]) as Choice[];
}
