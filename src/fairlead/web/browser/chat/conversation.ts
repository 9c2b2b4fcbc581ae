/** A conversation is a tree of turns. All of this is pure: what changes comes back as a new conversation.
 *
 * Editing a message or asking for another answer never overwrites: it makes a turn beside the old one, a branch.
 */

import { NO_PARAMETERS, type Answer, type Attachment, type Conversation, type Turn } from "./types.ts";

const TITLE_CHARACTERS_MAX = 60;

export function newConversation(id: string, nowMs: number, models: readonly string[]): Conversation {
  return {
    id,
    title: "",
    createdMs: nowMs,
    changedMs: nowMs,
    models: [...models],
    system: "",
    parameters: { ...NO_PARAMETERS },
    turns: [],
    current: null,
    files: {},
  };
}

export function newAnswer(model: string): Answer {
  return {
    model,
    state: "waiting",
    text: "",
    reasoning: "",
    error: null,
    generation: null,
    provider: null,
    usage: null,
    finish: null,
    isFlagged: false,
  };
}

/** From the first turn to the one that is looked at. */
export function path(conversation: Conversation): Turn[] {
  const byId = new Map(conversation.turns.map((turn) => [turn.id, turn]));
  const found: Turn[] = [];
  let next = conversation.current;
  while (next !== null) {
    const turn = byId.get(next);
    if (turn === undefined || found.includes(turn)) break;
    found.unshift(turn);
    next = turn.parent;
  }
  return found;
}

/** The turn itself and those that branch off at the same place, in the order in which they were made. */
export function branches(conversation: Conversation, turn: Turn): Turn[] {
  return conversation.turns.filter((one) => one.parent === turn.parent);
}

/** What is said next, to all models of the conversation. */
export function said(
  conversation: Conversation,
  id: string,
  text: string,
  files: Readonly<Record<string, Attachment>> = {},
): Conversation {
  const turn: Turn = {
    id,
    parent: conversation.current,
    text,
    files: Object.keys(files),
    answers: conversation.models.map(newAnswer),
  };
  return {
    ...conversation,
    title: conversation.title || titleOf(text, files),
    turns: [...conversation.turns, turn],
    files: { ...conversation.files, ...files },
    current: id,
  };
}

/** The same message in other words, on a branch of its own. */
export function edited(conversation: Conversation, of: Turn, id: string, text: string): Conversation {
  return beside(conversation, { ...of, id, text, answers: conversation.models.map(newAnswer) });
}

/** Another answer of one model; those of the others stay. */
export function askedAgain(conversation: Conversation, of: Turn, id: string, index: number): Conversation {
  const answers = of.answers.map((one, at) => (at === index ? newAnswer(one.model) : { ...one }));
  return beside(conversation, { ...of, id, answers });
}

function beside(conversation: Conversation, turn: Turn): Conversation {
  return { ...conversation, turns: [...conversation.turns, turn], current: turn.id };
}

/** Look at a branch: at its newest end. */
export function switched(conversation: Conversation, to: Turn): Conversation {
  let current = to.id;
  for (;;) {
    const children = conversation.turns.filter((turn) => turn.parent === current);
    const newest = children[children.length - 1];
    if (newest === undefined) return { ...conversation, current };
    current = newest.id;
  }
}

/** The answer of a model in a turn, as it is remembered: its own, else another's, so that it can follow. */
export function remembered(turn: Turn, model: string): string {
  const own = turn.answers.find((one) => one.model === model && one.text !== "");
  return (own ?? turn.answers.find((one) => one.text !== ""))?.text ?? "";
}

export function isBusy(conversation: Conversation): boolean {
  return conversation.turns.some((turn) => turn.answers.some(isUnderWay));
}

export function isUnderWay(answer: Answer): boolean {
  return answer.state === "waiting" || answer.state === "streaming";
}

/** As it is after a reload: nothing is under way any more. */
export function settled(conversation: Conversation): Conversation {
  return {
    ...conversation,
    turns: conversation.turns.map((turn) => ({
      ...turn,
      answers: turn.answers.map((one) => (isUnderWay(one) ? { ...one, state: "stopped" as const } : one)),
    })),
  };
}

/** One conversation as two windows have it: of turns in `asked` our own counts, of all others what is kept. */
export function together(kept: Conversation, own: Conversation, asked: ReadonlySet<string>): Conversation {
  const known = new Set(kept.turns.map((turn) => turn.id));
  const turns = [...kept.turns, ...own.turns.filter((turn) => !known.has(turn.id))];
  const ours = own.turns.filter((turn) => asked.has(turn.id));
  return withTurns({ ...own, turns, files: { ...kept.files, ...own.files } }, ours);
}

/** With these turns in the places of those of the same id. */
export function withTurns(conversation: Conversation, changed: readonly Turn[]): Conversation {
  const byId = new Map(changed.map((turn) => [turn.id, turn]));
  return { ...conversation, turns: conversation.turns.map((turn) => byId.get(turn.id) ?? turn) };
}

function titleOf(text: string, files: Readonly<Record<string, Attachment>>): string {
  const line = text.trim().replace(/\s+/g, " ") || Object.values(files)[0]?.name || "";
  const characters = [...line];
  return characters.length <= TITLE_CHARACTERS_MAX
    ? line
    : `${characters.slice(0, TITLE_CHARACTERS_MAX - 1).join("").trimEnd()}…`;
}
