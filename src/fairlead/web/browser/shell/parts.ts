/** Where a part of the page is replaced: the focus stays, and what it says is read out. */

import { say } from "./saying.ts";

export function startParts(): void {
  // Where the focus was: a link is found again by its address. null: not in the part that went away.
  let left: { href: string | null } | null = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target } = (event as CustomEvent<{ target: Element }>).detail;
    const focused = document.activeElement;
    left = focused !== null && target.contains(focused) ? { href: focused.getAttribute("href") } : null;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const part = event.target as HTMLElement;
    // Reading aloud follows only what was there before, and this part is new.
    const status = part.matches("[role=status]") ? part : part.querySelector<HTMLElement>("[role=status]");
    if (status !== null) say(status.innerText);
    if (left === null) return;
    // What has an id, htmx has found again by itself.
    if (document.activeElement === document.body) focusWithin(part, left.href);
    left = null;
  });
}

function focusWithin(part: HTMLElement, href: string | null): void {
  const same = href === null ? null : part.querySelector<HTMLElement>(`a[href="${CSS.escape(href)}"]`);
  if (same === null) part.tabIndex = -1;
  (same ?? part).focus({ preventScroll: true });
}
