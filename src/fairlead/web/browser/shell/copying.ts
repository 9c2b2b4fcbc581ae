/** `<button data-copy="text">` copies the text; `data-copy-from="id"` what an element says. */

import { say } from "./saying.ts";

const SHOWN_MS = 1600;

export function startCopying(): void {
  document.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLElement>("[data-copy], [data-copy-from]");
    if (button === null) return;
    const from = button.dataset["copyFrom"];
    const text = from === undefined ? button.dataset["copy"] : document.getElementById(from)?.innerText;
    if (text !== undefined) void copy(text, button).then((done) => tell(button, done));
  });
}

/** Where the page is not served by https, browsers have only the old way. */
async function copy(text: string, button: HTMLElement): Promise<boolean> {
  if (navigator.clipboard !== undefined) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Not permitted: perhaps the old way is.
    }
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  // Behind an open dialog nothing can be selected.
  (button.closest("dialog") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  button.focus();
  return done;
}

function tell(button: HTMLElement, done: boolean): void {
  button.dataset["copied"] = done ? "yes" : "no";
  say(done ? "Copied." : "Copying is not allowed here.");
  window.setTimeout(() => delete button.dataset["copied"], SHOWN_MS);
}
