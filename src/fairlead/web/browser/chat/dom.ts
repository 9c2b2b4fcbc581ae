/** Pieces of the page, found or cloned from its templates. A piece that is not there is a fault of ours. */

import { withAddresses } from "./words.ts";

export function part<Kind extends HTMLElement = HTMLElement>(within: ParentNode, name: string): Kind {
  const found = within.querySelector<Kind>(`[data-${name}]`);
  if (found === null) throw new Error(`there is no ${name}`);
  return found;
}

export function cloned(template: string): HTMLElement {
  const found = document.querySelector<HTMLTemplateElement>(`#${template}`)?.content.firstElementChild?.cloneNode(true);
  if (!(found instanceof HTMLElement)) throw new Error(`there is no template ${template}`);
  return found;
}

export function dialog(id: string): HTMLDialogElement {
  const found = document.getElementById(id);
  if (!(found instanceof HTMLDialogElement)) throw new Error(`there is no dialog ${id}`);
  return found;
}

export function element(tag: string, className: string, text = ""): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** One comes into the place of the other, and the focus goes along. */
export function exchanged(gone: HTMLElement, come: HTMLElement): void {
  const held = gone.contains(document.activeElement);
  gone.hidden = true;
  come.hidden = false;
  if (held) come.focus();
}

/** A list is written anew, and the focus stays: on the same thing, else on the first of what is at its place now. */
export function rewritten(list: HTMLElement, items: readonly HTMLElement[], otherwise: HTMLElement): void {
  const held = document.activeElement;
  const at = [...list.children].findIndex((item) => item.contains(held));
  list.replaceChildren(...items);
  if (at < 0 || held === null) return;
  const same = controls(list).find((one) => nameOf(one) === nameOf(held));
  const next = items[Math.min(at, items.length - 1)];
  (same ?? (next === undefined ? undefined : controls(next)[0]) ?? otherwise).focus();
}

function controls(place: HTMLElement): HTMLElement[] {
  return [...place.querySelectorAll<HTMLElement>("a, button")];
}

function nameOf(control: Element): string | null {
  return control.getAttribute("href") ?? control.getAttribute("aria-label");
}

/** Writes why something failed; where to go for it becomes a link. */
export function writeProblem(place: HTMLElement, text: string): void {
  const pieces = withAddresses(text, location.origin).map((piece, at) => {
    if (at % 2 === 0) return piece;
    const link = document.createElement("a");
    link.href = link.textContent = piece;
    return link;
  });
  place.replaceChildren(...pieces);
}

/** Where a model's page is. Whatever is called a model, it is a path of ours. */
export function modelAddress(id: string): string {
  return `/${id.split("/").filter(Boolean).map(encodeURIComponent).join("/").replaceAll("%3A", ":").replaceAll("%7E", "~")}`;
}

/** Says it to screen readers, once. */
export function announce(text: string): void {
  const status = document.getElementById("status");
  if (status !== null) status.textContent = text;
}
