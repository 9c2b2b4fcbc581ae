/** The flag at an answer: a form in which one says what is wrong with it. */

import type { Remark } from "./calling.ts";
import { announce, cloned, part } from "./dom.ts";

/** Sends it. Returns why it could not be sent; "": it was. */
type Send = (remark: Remark) => Promise<string>;

export class Flag {
  readonly #button: HTMLButtonElement;
  readonly #place: HTMLElement;
  readonly #said: HTMLElement;
  readonly #send: Send;

  constructor(answer: HTMLElement, send: Send) {
    this.#button = part<HTMLButtonElement>(answer, "flag");
    this.#place = part(answer, "flag-place");
    this.#said = part(answer, "flagged");
    this.#send = send;
    this.#button.addEventListener("click", () => this.#turn(this.#place.childElementCount === 0));
  }

  show(canFlag: boolean, isFlagged: boolean): void {
    this.#button.hidden = !canFlag || isFlagged;
    this.#said.hidden = !isFlagged;
  }

  #turn(isOpen: boolean): void {
    this.#button.setAttribute("aria-expanded", String(isOpen));
    this.#place.replaceChildren(...(isOpen ? [this.#form()] : []));
    this.#place.hidden = !isOpen;
    if (isOpen) part(this.#place, "category").focus();
    else this.#button.focus();
  }

  #form(): HTMLElement {
    const form = cloned("chat-flag") as HTMLFormElement;
    part(form, "cancel").addEventListener("click", () => this.#turn(false));
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.#turn(false);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#sent(form);
    });
    return form;
  }

  async #sent(form: HTMLFormElement): Promise<void> {
    const button = part<HTMLButtonElement>(form, "submit");
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    const problem = await this.#send({
      category: part<HTMLSelectElement>(form, "category").value,
      comment: part<HTMLTextAreaElement>(form, "comment").value.trim(),
    });
    button.removeAttribute("aria-disabled");
    part(form, "wrong").textContent = problem;
    part(form, "wrong").hidden = problem === "";
    if (problem !== "") return;
    this.#turn(false);
    this.show(true, true);
    this.#said.tabIndex = -1;
    this.#said.focus();
    announce("Feedback sent.");
  }
}
