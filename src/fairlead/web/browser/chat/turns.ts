/** One turn on the page: what was said, its branches, and the answers beside each other. */

import { AnswerView } from "./answers.ts";
import type { Remark } from "./calling.ts";
import { branches, isBusy } from "./conversation.ts";
import { cloned, part, rewritten } from "./dom.ts";
import type { Attachment, Conversation, Turn } from "./types.ts";

interface TurnWishes {
  edit: (turn: Turn, text: string) => void;
  again: (turn: Turn, index: number) => void;
  flag: (turn: Turn, index: number, remark: Remark) => Promise<string>;
  switchTo: (turn: Turn, by: Step) => void;
  grown: () => void;
}

/** Of the buttons that lead from branch to branch. */
export type Step = "before" | "after";

export class TurnView {
  readonly place: HTMLElement;
  readonly turn: Turn;
  readonly answers: readonly AnswerView[];
  readonly #wishes: TurnWishes;

  constructor(turn: Turn, conversation: Conversation, wishes: TurnWishes) {
    this.turn = turn;
    this.#wishes = wishes;
    const place = (this.place = cloned("chat-turn"));
    part(place, "text").textContent = turn.text;
    part(place, "text").hidden = turn.text === "";
    part(place, "copy").dataset["copy"] = turn.text;
    showFiles(part(place, "files"), filesOf(turn, conversation));
    part(place, "edit").addEventListener("click", () => this.#edit());
    this.answers = turn.answers.map(
      (answer, index) =>
        new AnswerView(answer, {
          again: () => wishes.again(turn, index),
          flag: (remark) => wishes.flag(turn, index, remark),
          grown: wishes.grown,
        }),
    );
    const among = part(place, "answers");
    among.classList.toggle("several", turn.answers.length > 1);
    if (turn.answers.length > 1) {
      among.tabIndex = 0;
      among.setAttribute("role", "region");
      among.setAttribute("aria-label", "Answers, side by side");
    }
    among.append(...this.answers.map((one) => one.place));
    this.refresh(conversation);
  }

  /** What depends on the rest of the conversation. */
  refresh(conversation: Conversation): void {
    const among = branches(conversation, this.turn);
    const at = among.indexOf(this.turn);
    const [before, after] = [among[at - 1], among[at + 1]];
    const place = part(this.place, "branches");
    place.hidden = among.length < 2;
    part(place, "place").textContent = `${at + 1} / ${among.length}`;
    for (const [name, to] of [["before", before], ["after", after]] as const) {
      const button = part<HTMLButtonElement>(place, name);
      button.disabled = to === undefined;
      button.onclick = to === undefined ? null : () => this.#wishes.switchTo(to, name);
    }
    const busy = isBusy(conversation);
    for (const button of this.place.querySelectorAll<HTMLButtonElement>("[data-edit], [data-again], [data-retry]")) {
      button.disabled = busy;
    }
  }

  /** To the button that led here, or to the other, where there is no further branch. */
  focusStep(by: Step): void {
    const button = part<HTMLButtonElement>(this.place, by);
    (button.disabled ? part(this.place, by === "before" ? "after" : "before") : button).focus();
  }

  #edit(): void {
    const body = part(this.place, "text").parentElement;
    if (body === null || body.querySelector("form") !== null) return;
    const form = cloned("chat-editor") as HTMLFormElement;
    const field = part<HTMLTextAreaElement>(form, "text");
    const close = () => {
      form.remove();
      part(this.place, "text").hidden = this.turn.text === "";
      part(this.place, "edit").focus();
    };
    field.value = this.turn.text;
    part(form, "cancel").addEventListener("click", close);
    form.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        close();
      } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (field.value.trim() !== "" || this.turn.files.length > 0) this.#wishes.edit(this.turn, field.value.trim());
    });
    part(this.place, "text").hidden = true;
    body.append(form);
    field.focus();
  }
}

function filesOf(turn: Turn, conversation: Conversation): Attachment[] {
  return turn.files.flatMap((id) => conversation.files[id] ?? []);
}

/** remove: with a button that takes one away again. otherwise: where the focus goes after the last. */
export function showFiles(
  place: HTMLElement,
  files: readonly Attachment[],
  remove?: (index: number) => void,
  otherwise = place,
): void {
  rewritten(
    place,
    files.map((file, index) => {
      const item = cloned("chat-file");
      const image = item.querySelector("img");
      if (image !== null && file.type.startsWith("image/")) {
        image.src = file.data;
        image.alt = file.name;
        image.hidden = false;
      }
      part(item, "name").textContent = file.name;
      const button = part<HTMLButtonElement>(item, "remove");
      button.hidden = remove === undefined;
      button.setAttribute("aria-label", `Remove ${file.name}`);
      if (remove !== undefined) button.addEventListener("click", () => remove(index));
      return item;
    }),
    otherwise,
  );
  place.hidden = files.length === 0;
}
