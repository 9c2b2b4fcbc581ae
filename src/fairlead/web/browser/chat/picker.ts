/** The dialog in which models are chosen. */

import { cloned, dialog, part } from "./dom.ts";
import { loadChoices, matching, type Choice } from "./models.ts";
import { MODELS_MAX } from "./types.ts";

const SHOWN_MAX = 60;

export class Picker {
  readonly #dialog = dialog("chat-picker");
  readonly #address: string;
  readonly #chosen: () => readonly string[];
  readonly #toggle: (id: string) => void;
  #choices: Promise<Choice[]> | null = null;

  constructor(address: string, chosen: () => readonly string[], toggle: (id: string) => void) {
    this.#address = address;
    this.#chosen = chosen;
    this.#toggle = toggle;
    part(this.#dialog, "picker-search").addEventListener("input", () => void this.#show());
    part(this.#dialog, "picker-search").addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        // By itself it would only empty the field.
        event.preventDefault();
        this.#dialog.close();
      }
      if (event.key !== "Enter") return;
      event.preventDefault();
      // The list may still be on its way.
      void this.#show().then(() => part(this.#dialog, "choices").querySelector<HTMLButtonElement>("button")?.click());
    });
  }

  open(): void {
    const search = part<HTMLInputElement>(this.#dialog, "picker-search");
    search.value = "";
    if (!this.#dialog.open) this.#dialog.showModal();
    search.focus();
    void this.#show();
  }

  /** Once for a page. Raises Error if it cannot be had; the next to ask tries again. */
  async choices(): Promise<Choice[]> {
    this.#choices ??= loadChoices(this.#address);
    try {
      return await this.#choices;
    } catch (error) {
      this.#choices = null;
      throw error;
    }
  }

  async #show(): Promise<void> {
    const said = part(this.#dialog, "picker-said");
    const place = part(this.#dialog, "choices");
    let choices: Choice[];
    try {
      choices = await this.choices();
    } catch {
      said.textContent = "The list of models cannot be loaded. Close this and try again.";
      return;
    }
    const found = matching(choices, part<HTMLInputElement>(this.#dialog, "picker-search").value);
    const chosen = this.#chosen();
    const cut = found.length > SHOWN_MAX ? ` The first ${SHOWN_MAX} of ${found.length} are listed: search for the others.` : "";
    said.textContent =
      found.length === 0 ? "No model is like that." : `${chosen.length} chosen. Up to ${MODELS_MAX} answer side by side.${cut}`;
    place.replaceChildren(...found.slice(0, SHOWN_MAX).map((one) => this.#item(one, chosen.includes(one.id))));
  }

  #item(one: Choice, isChosen: boolean): HTMLElement {
    const item = cloned("chat-choice");
    const button = item.querySelector("button");
    part(item, "name").textContent = one.name;
    part(item, "id").textContent = one.id;
    part(item, "price").textContent = one.ready ? one.price : "No key here";
    button?.setAttribute("aria-pressed", String(isChosen));
    button?.classList.toggle("unready", !one.ready);
    button?.addEventListener("click", () => {
      this.#toggle(one.id);
      // What is typed next is the next one's name.
      void this.#show().then(() => part<HTMLInputElement>(this.#dialog, "picker-search").select());
    });
    return item;
  }
}
