/** Pieces of the page, found or cloned from its templates. A piece that is not there is a fault of ours. */

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

/** Where a model's page is. Whatever is called a model, it is a path of ours. */
export function modelAddress(id: string): string {
  return `/${id.split("/").filter(Boolean).map(encodeURIComponent).join("/").replaceAll("%3A", ":").replaceAll("%7E", "~")}`;
}

/** Says it to screen readers, once. */
export function announce(text: string): void {
  const status = document.getElementById("status");
  if (status !== null) status.textContent = text;
}
