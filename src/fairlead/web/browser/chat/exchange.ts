/** Conversations as a file, and back. Pure. A file may come from anybody: it is read field by field, within bounds,
 * and what does not fit is refused with a reason. */

import { list, record } from "./asking.ts";
import {
  EFFORTS,
  MODELS_MAX,
  NO_PARAMETERS,
  type Answer,
  type AnswerState,
  type Attachment,
  type Conversation,
  type Parameters,
  type Turn,
  type Usage,
} from "./types.ts";

const FORMAT = "fairlead-chat";
const VERSION = 1;
export const FILE_BYTES_MAX = 64 * 1024 * 1024;
const CONVERSATIONS_MAX = 1000;
const TURNS_MAX = 2000;
const ANSWERS_MAX = 2 * MODELS_MAX;
const TEXT_CHARACTERS_MAX = 2_000_000;
const NAME_CHARACTERS_MAX = 300;
const ATTACHMENTS_MAX = 500;
const ATTACHMENT_CHARACTERS_MAX = 16 * 1024 * 1024;
const ATTACHED = /^data:(image\/(?:png|jpeg|webp|gif)|application\/pdf);base64,[A-Za-z0-9+/]*={0,2}$/;
const ID = /^[A-Za-z0-9_-]{1,64}$/;
const STATES: readonly AnswerState[] = ["done", "stopped", "failed"];

export class Unreadable extends Error {}

export function written(conversations: readonly Conversation[], nowMs: number): string {
  const exported_at = new Date(nowMs).toISOString();
  return JSON.stringify({ format: FORMAT, version: VERSION, exported_at, conversations }, null, 1);
}

/** Raises Unreadable. */
export function read(text: string): Conversation[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Unreadable("This file is not JSON.");
  }
  const file = record(value);
  if (file?.["format"] !== FORMAT) throw new Unreadable("This file holds no conversations of this chat.");
  if (file["version"] !== VERSION) throw new Unreadable("This file is of another version.");
  return bounded(file["conversations"], CONVERSATIONS_MAX, "conversations").map((one, at) => conversation(one, at + 1));
}

function conversation(value: unknown, number: number): Conversation {
  const of = record(value);
  if (of === null) throw new Unreadable(`Conversation ${number} is none.`);
  const files = attachments(of["files"]);
  const turns = bounded(of["turns"], TURNS_MAX, "turns").map((one) => turn(one, files));
  const ids = new Set(turns.map((one) => one.id));
  if (ids.size !== turns.length) throw new Unreadable(`Conversation ${number} has a turn twice.`);
  const known = new Set<string>();
  for (const one of turns) {
    // A turn comes after the one that it follows, so there are no circles.
    if (one.parent !== null && !known.has(one.parent)) throw new Unreadable(`Conversation ${number} has a gap.`);
    known.add(one.id);
  }
  const current = typeof of["current"] === "string" && ids.has(of["current"]) ? of["current"] : null;
  return {
    id: id(of["id"]),
    title: string(of["title"], NAME_CHARACTERS_MAX),
    createdMs: time(of["createdMs"]),
    changedMs: time(of["changedMs"]),
    models: bounded(of["models"], MODELS_MAX, "models").map((one) => string(one, NAME_CHARACTERS_MAX)),
    system: string(of["system"], TEXT_CHARACTERS_MAX),
    parameters: parameters(of["parameters"]),
    turns,
    current: current ?? turns[turns.length - 1]?.id ?? null,
    files,
  };
}

function turn(value: unknown, files: Readonly<Record<string, Attachment>>): Turn {
  const of = record(value) ?? {};
  return {
    id: id(of["id"]),
    parent: of["parent"] === null ? null : id(of["parent"]),
    text: string(of["text"], TEXT_CHARACTERS_MAX),
    files: bounded(of["files"], ATTACHMENTS_MAX, "attachments")
      .map((one) => id(one))
      .filter((one) => Object.hasOwn(files, one)),
    answers: bounded(of["answers"], ANSWERS_MAX, "answers").map(answer),
  };
}

function answer(value: unknown): Answer {
  const of = record(value) ?? {};
  const state = STATES.find((one) => one === of["state"]) ?? "stopped";
  return {
    model: string(of["model"], NAME_CHARACTERS_MAX),
    state,
    text: string(of["text"], TEXT_CHARACTERS_MAX),
    reasoning: string(of["reasoning"], TEXT_CHARACTERS_MAX),
    error: maybe(of["error"], NAME_CHARACTERS_MAX * 10),
    generation: maybe(of["generation"], NAME_CHARACTERS_MAX),
    provider: maybe(of["provider"], NAME_CHARACTERS_MAX),
    usage: usage(of["usage"]),
    finish: maybe(of["finish"], NAME_CHARACTERS_MAX),
    isFlagged: of["isFlagged"] === true,
  };
}

function usage(value: unknown): Usage | null {
  const of = record(value);
  if (of === null) return null;
  return {
    prompt: amount(of["prompt"]) ?? 0,
    completion: amount(of["completion"]) ?? 0,
    reasoning: amount(of["reasoning"]) ?? 0,
    costUsd: amount(of["costUsd"]),
  };
}

function parameters(value: unknown): Parameters {
  const of = record(value) ?? {};
  return {
    temperature: amount(of["temperature"]),
    top_p: amount(of["top_p"]),
    max_tokens: amount(of["max_tokens"]),
    frequency_penalty: finite(of["frequency_penalty"]),
    presence_penalty: finite(of["presence_penalty"]),
    seed: finite(of["seed"]),
    effort: EFFORTS.find((one) => one === of["effort"]) ?? NO_PARAMETERS.effort,
    web: of["web"] === true,
  };
}

function attachments(value: unknown): Record<string, Attachment> {
  const entries = Object.entries(record(value) ?? {});
  if (entries.length > ATTACHMENTS_MAX) throw new Unreadable("There are too many attachments in one conversation.");
  const found: Record<string, Attachment> = {};
  for (const [key, one] of entries) {
    const of = record(one) ?? {};
    const data = string(of["data"], ATTACHMENT_CHARACTERS_MAX);
    const type = ATTACHED.exec(data)?.[1];
    if (type === undefined) throw new Unreadable("An attachment is neither an image nor a PDF.");
    found[id(key)] = { name: string(of["name"], NAME_CHARACTERS_MAX), type, data };
  }
  return found;
}

function bounded(value: unknown, most: number, what: string): unknown[] {
  const found = list(value);
  if (found.length > most) throw new Unreadable(`There are more than ${most} ${what}.`);
  return found;
}

function string(value: unknown, most: number): string {
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw new Unreadable("Something that should be text is none.");
  if (value.length > most) throw new Unreadable("A text is too long.");
  return value;
}

function maybe(value: unknown, most: number): string | null {
  return value === undefined || value === null ? null : string(value, most);
}

function id(value: unknown): string {
  if (typeof value !== "string" || !ID.test(value) || value === "__proto__") throw new Unreadable("An id is none.");
  return value;
}

function finite(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function amount(value: unknown): number | null {
  const found = finite(value);
  return found === null || found < 0 ? null : found;
}

/** Within what dates can be. */
function time(value: unknown): number {
  const found = amount(value) ?? 0;
  return found > 8.64e15 ? 0 : found;
}
