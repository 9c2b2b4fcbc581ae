/** System prompt and parameters of a conversation, as its dialog has them. */

import { EFFORTS, NO_PARAMETERS, type Conversation, type Parameters } from "./types.ts";

const NUMBERS = ["temperature", "top_p", "max_tokens", "seed", "frequency_penalty", "presence_penalty"] as const;
const WHOLE: readonly string[] = ["max_tokens", "seed"];

export interface Settings {
  system: string;
  parameters: Parameters;
}

/** What the fields say. What is no number is as if it were not there. Pure. */
export function settingsOf(field: (name: string) => string): Settings {
  const parameters: Parameters = { ...NO_PARAMETERS };
  for (const name of NUMBERS) {
    const text = field(name).trim();
    const value = Number(text);
    if (text !== "" && Number.isFinite(value)) parameters[name] = WHOLE.includes(name) ? Math.trunc(value) : value;
  }
  parameters.effort = EFFORTS.find((one) => one === field("effort")) ?? "";
  parameters.web = field("web") === "true";
  return { system: field("system"), parameters };
}

/** How many are not as they are by themselves. Pure. */
export function countSet({ system, parameters }: Settings): number {
  const set = Object.entries(parameters).filter(([, value]) => value !== null && value !== "" && value !== false);
  return set.length + (system.trim() === "" ? 0 : 1);
}

export function fill(form: HTMLFormElement, conversation: Conversation): void {
  const { system, parameters } = conversation;
  for (const [name, value] of Object.entries({ system, ...parameters })) {
    const field = form.elements.namedItem(name);
    if (field instanceof HTMLInputElement && field.type === "checkbox") field.checked = value === true;
    else if (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement || field instanceof HTMLSelectElement)
      field.value = value === null ? "" : String(value);
  }
}

export function read(form: HTMLFormElement): Settings {
  const data = new FormData(form);
  return settingsOf((name) => String(data.get(name) ?? ""));
}
