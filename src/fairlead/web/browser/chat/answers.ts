/** One answer on the page, and how it follows what is known of it. */

import { recordOf, type Remark } from "./calling.ts";
import { isUnderWay } from "./conversation.ts";
import { cloned, modelAddress, part, writeProblem } from "./dom.ts";
import { Flag } from "./flagging.ts";
import type { Prose } from "./prose.ts";
import type { Answer } from "./types.ts";
import { explain } from "./why.ts";
import { costText, usageText } from "./words.ts";

const SHOW_EVERY_MS = 80; // of a growing answer: often enough to seem steady

interface AnswerWishes {
  again: () => void;
  /** Says what is wrong with it; returns why it could not be said, or "". */
  flag: (remark: Remark) => Promise<string>;
  /** After something on the page has become longer. */
  grown: () => void;
}

function detailsLink(id: string): HTMLElement {
  const link = document.createElement("a");
  link.href = `/activity/${id}`;
  link.textContent = "The whole call in activity";
  const line = document.createElement("p");
  line.append(link);
  return line;
}

export class AnswerView {
  readonly place: HTMLElement;
  readonly #answer: Answer;
  readonly #wishes: AnswerWishes;
  readonly #flag: Flag;
  #prose: Promise<Prose> | null = null;
  #timer: number | undefined;

  constructor(answer: Answer, wishes: AnswerWishes) {
    this.#answer = answer;
    this.#wishes = wishes;
    const place = (this.place = cloned("chat-answer"));
    place.setAttribute("aria-label", `Answer of ${answer.model}`);
    const name = part<HTMLAnchorElement>(place, "name");
    name.textContent = answer.model;
    name.href = modelAddress(answer.model);
    part(place, "again").addEventListener("click", wishes.again);
    part(place, "retry").addEventListener("click", wishes.again);
    part(place, "why").addEventListener("click", () => void this.#explain());
    part<HTMLDetailsElement>(place, "reasoning").addEventListener("toggle", wishes.grown);
    this.#flag = new Flag(place, wishes.flag);
    this.#show();
  }

  /** Soon: many pieces are shown at once. */
  changed(): void {
    if (!isUnderWay(this.#answer)) {
      window.clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#show();
      return;
    }
    this.#timer ??= window.setTimeout(() => {
      this.#timer = undefined;
      this.#show();
    }, SHOW_EVERY_MS);
  }

  #show(): void {
    const { place } = this;
    const answer = this.#answer;
    const busy = isUnderWay(answer);
    part(place, "prose").setAttribute("aria-busy", String(busy));
    part(place, "waiting").hidden = answer.state !== "waiting";
    part(place, "provider").textContent = answer.provider ?? "";
    part(place, "reasoning").hidden = answer.reasoning === "";
    part(place, "reasoning-text").textContent = answer.reasoning;
    part(place, "failed").hidden = answer.state !== "failed";
    part(place, "failed").toggleAttribute("role", false);
    if (answer.state === "failed") part(place, "failed").setAttribute("role", "alert");
    writeProblem(part(place, "error"), answer.error ?? "The answer broke off.");
    part(place, "stopped").hidden = answer.state !== "stopped";
    part(place, "facts").hidden = busy || answer.state === "failed";
    part(place, "usage").textContent = answer.usage === null ? "" : usageText(answer.usage);
    const cost = answer.usage?.costUsd ?? null;
    part(place, "cost").textContent = cost === null ? "" : costText(cost);
    part(place, "why").hidden = answer.generation === null;
    this.#flag.show(answer.generation !== null, answer.isFlagged);
    part(place, "copy").dataset["copy"] = answer.text;
    if (answer.text !== "" || this.#prose !== null) void this.#write();
    this.#wishes.grown();
  }

  async #write(): Promise<void> {
    this.#prose ??= import("./prose.ts").then(({ Prose }) => new Prose(part(this.place, "prose")));
    try {
      (await this.#prose).show(this.#answer.text);
    } catch {
      part(this.place, "prose").textContent = this.#answer.text; // plain, if its part cannot be loaded
    }
    this.#wishes.grown();
  }

  async #explain(): Promise<void> {
    const place = part(this.place, "why-place");
    const button = part(this.place, "why");
    place.hidden = !place.hidden;
    button.setAttribute("aria-expanded", String(!place.hidden));
    if (place.hidden || place.childElementCount > 0 || this.#answer.generation === null) return;
    place.textContent = "Loading…";
    const id = encodeURIComponent(this.#answer.generation);
    const found = await recordOf(`/api/v1/generation/${id}/routing`);
    if (found === null) place.textContent = "How this was routed is not known here.";
    else place.replaceChildren(...explain(found), detailsLink(id));
    this.#wishes.grown();
  }
}
