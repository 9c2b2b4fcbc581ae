/** In which workspace calls are made, where one works in several. The browser remembers it. */

import { announce } from "./dom.ts";

/** The one of the last time, if it is offered still. Pure. */
export function remembered(kept: string | null, offered: readonly string[]): string {
  return (kept !== null && offered.includes(kept) ? kept : offered[0]) ?? "";
}

/** `current()` is the id of the chosen one; "": there is nothing to choose. switched: after another was chosen. */
export function workspaceSwitch(root: HTMLElement, switched: () => void): () => string {
  const select = root.querySelector<HTMLSelectElement>("[data-workspace] select");
  if (select === null) return () => "";
  const name = `chat-workspace ${root.dataset["owner"] ?? ""}`;
  let kept: string | null = null;
  try {
    kept = localStorage.getItem(name);
  } catch {
    // Storage is forbidden.
  }
  select.value = remembered(kept, [...select.options].map((option) => option.value));
  select.addEventListener("change", () => {
    try {
      localStorage.setItem(name, select.value);
    } catch {
      // The next visit begins with the default one.
    }
    switched();
    announce(`Calls are made in ${select.selectedOptions[0]?.text ?? "it"} now.`);
  });
  return () => select.value;
}
