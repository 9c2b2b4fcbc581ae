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

// Of shorter ones there is something in every other name: "o1" in "turbo-1106".
const RUN_TOGETHER_MIN = 4;

/** Those with all the words in their name or id: the ones that can be called first, of these who is called just so. */
export function matching(choices: readonly Choice[], query: string): Choice[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = choices.filter((one) => words.every((word) => isCalled(one, word)));
  const wanted = bare(query);
  const isOther = (one: Choice) => bare(one.id) !== wanted && bare(slug(one)) !== wanted;
  return found.sort((one, other) => Number(other.ready) - Number(one.ready) || Number(isOther(one)) - Number(isOther(other)));
}

/** Whether a word, in lower case, is in what a model is called; as in the list of models, "gpt4o" is in GPT-4o. */
function isCalled(one: Choice, word: string): boolean {
  if (`${one.id} ${one.name}`.toLowerCase().includes(word)) return true;
  const isRunTogether = word.length >= RUN_TOGETHER_MIN && /^\p{L}/u.test(word) && /\P{L}/u.test(word);
  return isRunTogether && bare(slug(one)).includes(bare(word));
}

function slug(one: Choice): string {
  return one.id.slice(one.id.indexOf("/") + 1);
}

function bare(text: string): string {
  return text.toLowerCase().replace(/[\s\-_.:/]/g, "");
}

export async function loadChoices(address: string): Promise<Choice[]> {
  const response = await fetch(address, { headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(`The list of models cannot be loaded (${response.status}).`);
  return list(record(await response.json())?.["data"]) as Choice[];
}
