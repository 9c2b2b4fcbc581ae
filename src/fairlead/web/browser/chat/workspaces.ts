/** In which workspace calls are made, where one works in several. The browser remembers it. */

import { announce } from "./dom.ts";

/** The one of the last time, if it is offered still. Pure. */
export function remembered(kept: string | null, offered: readonly string[]): string {
  return (kept !== null && offered.includes(kept) ? kept : offered[0]) ?? "";
}

/** The one of the last time, if it is not offered but may be one of those that are left out. Pure. */
export function leftOut(kept: string | null, offered: readonly string[], hasOthers: boolean): string | null {
  return hasOthers && kept !== null && !offered.includes(kept) ? kept : null;
}

/** `current()` is the id of the chosen one; "": there is nothing to choose. switched: after another was chosen. */
export function workspaceSwitch(root: HTMLElement, switched: () => void): () => string {
  const box = root.querySelector<HTMLElement>("[data-workspace]");
  const select = box?.querySelector("select");
  if (box === null || !select) return () => "";
  const name = `chat-workspace ${root.dataset["owner"] ?? ""}`;
  let kept: string | null = null;
  try {
    kept = localStorage.getItem(name);
  } catch {
    // Storage is forbidden.
  }
  const keep = () => {
    try {
      localStorage.setItem(name, select.value);
    } catch {
      // The next visit begins with the default one.
    }
  };
  const offered = [...select.options].map((option) => option.value);
  const named = box.dataset["workspace"] ?? "";
  const address = new URL(location.href);
  const other = leftOut(kept, offered, "hasOthers" in box.dataset);
  select.value = remembered(named === "" ? kept : named, offered);
  if (address.searchParams.has("workspace")) {
    keep();
  } else if (other !== null) {
    address.searchParams.set("workspace", other); // the page offers it, if they still work there
    location.replace(address);
  }
  select.addEventListener("change", () => {
    keep();
    const here = new URL(location.href);
    here.searchParams.delete("workspace"); // or loading the page again chooses that one again
    history.replaceState(null, "", here);
    switched();
    announce(`Calls are made in ${select.selectedOptions[0]?.text ?? "it"} now.`);
  });
  return () => select.value;
}
