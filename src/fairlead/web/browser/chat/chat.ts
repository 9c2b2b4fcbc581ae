/** The chat as a whole: one conversation on the page, its calls under way, and what is kept of it. */

import { bodyOf, usageOf } from "./asking.ts";
import { recordOf, say, stream, type Remark } from "./calling.ts";
import {
  askedAgain,
  edited,
  isBusy,
  isUnderWay,
  newConversation,
  path,
  said,
  settled,
  switched,
} from "./conversation.ts";
import { announce, cloned, exchanged, modelAddress, part, rewritten } from "./dom.ts";
import { newId } from "./ids.ts";
import { Scrolling } from "./scrolling.ts";
import { countSet, type Settings } from "./settings.ts";
import { showHeads } from "./side.ts";
import { headOf, type Head, type Store } from "./store.ts";
import { TurnView, type Step } from "./turns.ts";
import { MODELS_MAX, type Attachment, type Conversation, type Turn } from "./types.ts";
import { workspaceSwitch } from "./workspaces.ts";

const KEEP_EVERY_MS = 1500; // of a conversation that grows
const APP = { path: "/chat", title: "Chat" };

export class Chat {
  conversation: Conversation;
  readonly #root: HTMLElement;
  readonly #store: Store;
  readonly #scrolling: Scrolling;
  readonly #workspace: () => string;
  #heads: Head[] = [];
  #views: TurnView[] = [];
  #stopping = new AbortController();
  #keeping: number | undefined;
  #asked = new Set<string>(); // turns of the conversation that were asked in this window

  constructor(root: HTMLElement, store: Store, models: readonly string[]) {
    this.#root = root;
    this.#store = store;
    this.#scrolling = new Scrolling(part(root, "log"), part(root, "latest"));
    this.#workspace = workspaceSwitch(root, () => this.stop());
    this.conversation = newConversation(newId(), Date.now(), models);
  }

  async start(): Promise<void> {
    // Whoever leaves in the middle finds what there was.
    window.addEventListener("pagehide", () => {
      if (this.#keeping !== undefined) void this.#keep();
    });
    // Another window may have added and deleted meanwhile.
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") void this.#readHeads().then(() => this.#showHeads());
    });
    await this.#readHeads();
    this.#show();
    const wanted = location.hash.slice(1);
    if (this.#heads.some((one) => one.id === wanted)) await this.open(wanted);
  }

  get isBusy(): boolean {
    return isBusy(this.conversation);
  }

  // --- conversations ---

  begin(): void {
    this.#leave();
    this.#beginAnew();
  }

  async open(id: string): Promise<void> {
    if (id === this.conversation.id) return;
    let found: Conversation | null;
    try {
      found = await this.#store.find(id);
    } catch {
      this.problem("This browser does not give the conversation out. Reload the page and try again.");
      return;
    }
    if (found === null) {
      this.problem("This conversation is not here any more.");
      this.#heads = this.#heads.filter((one) => one.id !== id);
      this.#showHeads();
      return;
    }
    this.problem("");
    this.#leave();
    this.conversation = found;
    history.replaceState(null, "", `${location.pathname}#${id}`);
    this.#show();
    this.#scrolling.toEnd();
  }

  async forget(id: string): Promise<void> {
    if (id === this.conversation.id) this.#abandon();
    await this.#deleted(this.#store.forget(id), (head) => head.id === id, "Deleted.");
  }

  async clear(): Promise<void> {
    this.#abandon();
    await this.#deleted(this.#store.clear(), () => true, "All conversations are deleted.");
  }

  /** With the one that is open as it is now: it may be the one that could not be kept. Rejects if storage does. */
  async all(): Promise<Conversation[]> {
    const others = this.#heads.filter((one) => one.id !== this.conversation.id);
    const found = await Promise.all(others.map((one) => this.#store.find(one.id)));
    const open = this.conversation.turns.length === 0 ? [] : [settled(this.conversation)];
    return [...open, ...found.filter((one) => one !== null)];
  }

  /** Those that are here already are not overwritten. Returns how many are new. Rejects if storage does. */
  async add(conversations: readonly Conversation[]): Promise<number> {
    const known = new Set([this.conversation.id, ...this.#heads.map((one) => one.id)]);
    const fresh = conversations.filter((one) => !known.has(one.id));
    try {
      for (const one of fresh) {
        await this.#store.keep(one, new Set());
        this.#heads.push(headOf(one));
      }
    } finally {
      this.#showHeads();
    }
    return fresh.length;
  }

  // --- what is said ---

  send(text: string, files: Readonly<Record<string, Attachment>>): void {
    this.#branch(said(this.conversation, newId(), text, files));
  }

  stop(): void {
    this.#stopping.abort();
    this.#stopping = new AbortController();
  }

  toggleModel(id: string): void {
    const { models } = this.conversation;
    const is = models.includes(id);
    if (!is && models.length >= MODELS_MAX) {
      this.problem(`At most ${MODELS_MAX} models answer side by side. Take one away first.`);
      return;
    }
    this.conversation = { ...this.conversation, models: is ? models.filter((one) => one !== id) : [...models, id] };
    try {
      localStorage.setItem("chat-models", JSON.stringify(this.conversation.models));
    } catch {
      // Storage is forbidden: the next visit begins with the usual one.
    }
    this.#showChips();
    this.#keepSoon();
  }

  set(settings: Settings): void {
    this.conversation = { ...this.conversation, ...settings };
    this.#showCount();
    this.#keepSoon();
  }

  problem(text: string): void {
    const place = part(this.#root, "problem");
    place.hidden = text === "";
    place.textContent = text;
  }

  // --- details ---

  /** Before another conversation comes into its place. */
  #leave(): void {
    if (this.#keeping !== undefined || this.isBusy) void this.#keep();
    this.stop();
    this.#asked = new Set();
  }

  /** The conversation is to be deleted: nothing more of it is kept. */
  #abandon(): void {
    window.clearTimeout(this.#keeping);
    this.#keeping = undefined;
    this.stop();
    this.#asked = new Set();
    this.#beginAnew();
  }

  #beginAnew(): void {
    this.conversation = newConversation(newId(), Date.now(), this.conversation.models);
    history.replaceState(null, "", location.pathname);
    this.#show();
  }

  async #deleted(deleting: Promise<void>, isGone: (head: Head) => boolean, said: string): Promise<void> {
    try {
      await deleting;
    } catch {
      this.problem("This browser does not let go of it. Reload the page and try again.");
      return;
    }
    this.#heads = this.#heads.filter((one) => !isGone(one));
    this.#showHeads();
    announce(said);
  }

  async #readHeads(): Promise<void> {
    try {
      this.#heads = await this.#store.heads();
    } catch {
      this.problem("This browser does not give out what it has kept for this page.");
    }
  }

  #branch(conversation: Conversation): void {
    if (this.conversation.models.length === 0) {
      this.problem("Choose a model first.");
      return;
    }
    this.problem("");
    this.conversation = { ...conversation, changedMs: Date.now() };
    history.replaceState(null, "", `${location.pathname}#${conversation.id}`);
    const turn = path(this.conversation).at(-1);
    if (turn === undefined) return;
    this.#asked.add(turn.id);
    this.#show();
    this.#scrolling.toEnd();
    this.#keepSoon();
    const signal = this.#stopping.signal;
    turn.answers.forEach((answer, index) => {
      if (isUnderWay(answer)) void this.#ask(this.conversation, turn, index, signal);
    });
    this.#showBusy();
  }

  async #ask(conversation: Conversation, turn: Turn, index: number, signal: AbortSignal): Promise<void> {
    const answer = turn.answers[index];
    if (answer === undefined) return;
    const view = () => this.#views.find((one) => one.turn === turn)?.answers[index];
    const app = { ...APP, csrf: this.#csrf, workspace: this.#workspace() };
    await stream(answer, bodyOf(conversation, turn, answer.model), app, signal, () => {
      view()?.changed();
      if (this.#asked.has(turn.id)) this.#keepSoon();
    });
    view()?.changed();
    this.#showBusy();
    if (answer.state === "stopped" && answer.generation !== null) {
      answer.usage = usageOf(await recordOf(`/api/v1/generation?id=${encodeURIComponent(answer.generation)}`));
      view()?.changed();
    }
    if (this.#asked.has(turn.id)) {
      await this.#keep();
      return;
    }
    // One has gone on to another conversation: what came till then belongs to this one, if it is still there.
    await this.#store.amend(conversation.id, [turn]).catch(() => undefined);
  }

  get #csrf(): string {
    return this.#root.dataset["csrf"] ?? "";
  }

  /** Returns why it could not be said; "": it was. */
  async #flag(conversation: string, turn: Turn, index: number, remark: Remark): Promise<string> {
    const answer = turn.answers[index];
    if (answer?.generation == null) return "This answer is of no call that is known.";
    const problem = await say(answer.generation, remark, this.#csrf);
    if (problem !== "") return problem;
    answer.isFlagged = true;
    if (conversation === this.conversation.id && this.#asked.has(turn.id)) await this.#keep();
    else await this.#store.amend(conversation, [turn]).catch(() => undefined);
    return "";
  }

  #keepSoon(): void {
    if (this.conversation.turns.length === 0) return;
    this.#keeping ??= window.setTimeout(() => void this.#keep(), KEEP_EVERY_MS);
  }

  async #keep(): Promise<void> {
    window.clearTimeout(this.#keeping);
    this.#keeping = undefined;
    const { conversation } = this;
    // Before it is written: whoever deletes it meanwhile has the last word.
    this.#heads = [...this.#heads.filter((one) => one.id !== conversation.id), headOf(conversation)];
    this.#showHeads();
    try {
      await this.#store.keep(conversation, this.#asked);
    } catch {
      this.problem("This browser cannot keep the conversation: there may be no room left. Export what matters.");
    }
  }

  #show(): void {
    const turns = path(this.conversation);
    const conversation = this.conversation.id;
    const wishes = {
      edit: (turn: Turn, text: string) => {
        this.#branch(edited(this.conversation, turn, newId(), text));
        focusOn(this.#views.at(-1)?.place);
      },
      again: (turn: Turn, index: number) => {
        this.#branch(askedAgain(this.conversation, turn, newId(), index));
        focusOn(this.#views.at(-1)?.answers[index]?.place);
      },
      switchTo: (turn: Turn, by: Step) => {
        this.conversation = switched(this.conversation, turn);
        this.#show();
        this.#views.find((one) => one.turn === turn)?.focusStep(by);
        this.#keepSoon();
      },
      flag: (turn: Turn, index: number, remark: Remark) => this.#flag(conversation, turn, index, remark),
      grown: () => this.#scrolling.grown(),
    };
    const known = new Map(this.#views.map((view) => [view.turn, view]));
    this.#views = turns.map((turn) => known.get(turn) ?? new TurnView(turn, this.conversation, wishes));
    part(this.#root, "turns").replaceChildren(...this.#views.map((view) => view.place));
    part(this.#root, "empty").hidden = turns.length > 0;
    this.#showChips();
    this.#showCount();
    this.#showHeads();
    this.#showBusy();
  }

  #showBusy(): void {
    const [stop, send] = [part(this.#root, "stop"), part(this.#root, "send")];
    if (this.isBusy) exchanged(send, stop);
    else exchanged(stop, send);
    for (const view of this.#views) view.refresh(this.conversation);
  }

  #showHeads(): void {
    showHeads(this.#root, this.#heads, this.conversation.id, {
      open: (id) => {
        delete this.#root.dataset["sideOpen"];
        void this.open(id);
      },
      forget: (id) => void this.forget(id),
    });
  }

  #showCount(): void {
    const count = countSet(this.conversation);
    const place = part(this.#root, "settings-count");
    place.hidden = count === 0;
    place.textContent = String(count);
  }

  #showChips(): void {
    rewritten(
      part(this.#root, "chips"),
      this.conversation.models.map((id) => {
        const chip = cloned("chat-chip");
        const name = part<HTMLAnchorElement>(chip, "name");
        name.textContent = id;
        name.href = modelAddress(id);
        const remove = part(chip, "remove");
        remove.setAttribute("aria-label", `Remove ${id}`);
        remove.addEventListener("click", () => this.toggleModel(id));
        return chip;
      }),
      part(this.#root, "add"),
    );
  }
}

/** What was pressed is gone: one reads on, and tabs on, from what came in its place. */
function focusOn(place: HTMLElement | undefined): void {
  if (place === undefined) return;
  place.tabIndex = -1;
  place.focus({ preventScroll: true });
}
