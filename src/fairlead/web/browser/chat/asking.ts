/** What is sent for an answer, and what its stream says. Pure. */

import { path, remembered } from "./conversation.ts";
import type { Answer, Attachment, Conversation, Turn, Usage } from "./types.ts";

interface Part {
  type: string;
  text?: string;
  image_url?: { url: string };
  file?: { filename: string; file_data: string };
}

interface Message {
  role: "system" | "user" | "assistant";
  content: string | Part[];
}

export type Body = Record<string, unknown> & { model: string; messages: Message[]; stream: true };

/** The body of the call for one model's answer in a turn, with everything that was said before it. */
export function bodyOf(conversation: Conversation, turn: Turn, model: string): Body {
  const messages: Message[] = [];
  if (conversation.system.trim() !== "") messages.push({ role: "system", content: conversation.system });
  for (const before of path({ ...conversation, current: turn.parent })) {
    messages.push(userMessage(before, conversation.files));
    const answer = remembered(before, model);
    if (answer !== "") messages.push({ role: "assistant", content: answer });
  }
  messages.push(userMessage(turn, conversation.files));
  const { effort, web, ...numbers } = conversation.parameters;
  const body: Body = { model, messages, stream: true };
  for (const [name, value] of Object.entries(numbers)) if (value !== null) body[name] = value;
  if (effort !== "") body["reasoning"] = { effort };
  if (web) body["web_search_options"] = { search_context_size: "medium" };
  return body;
}

function userMessage(turn: Turn, files: Readonly<Record<string, Attachment>>): Message {
  const parts = turn.files.flatMap((id) => {
    const file = files[id];
    return file === undefined ? [] : [partOf(file)];
  });
  if (parts.length === 0) return { role: "user", content: turn.text };
  return { role: "user", content: turn.text === "" ? parts : [{ type: "text", text: turn.text }, ...parts] };
}

function partOf(file: Attachment): Part {
  return file.type.startsWith("image/")
    ? { type: "image_url", image_url: { url: file.data } }
    : { type: "file", file: { filename: file.name, file_data: file.data } };
}

/** Cuts a stream of server-sent events into the data of each, however its bytes arrive. */
export class Events {
  #rest = "";

  feed(text: string): string[] {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    return lines.flatMap((line) => (line.startsWith("data:") ? [line.slice(5).trim()] : []));
  }
}

/** Take one event of the stream into the answer. Returns whether the stream is at its end. */
export function take(answer: Answer, data: string): boolean {
  if (data === "[DONE]") return true;
  const chunk = record(parsed(data));
  if (chunk === null) return false;
  if (typeof chunk["id"] === "string" && chunk["id"] !== "") answer.generation = chunk["id"];
  if (typeof chunk["provider"] === "string") answer.provider = chunk["provider"];
  for (const one of list(chunk["choices"])) {
    const choice = record(one);
    const delta = record(choice?.["delta"]);
    if (typeof delta?.["content"] === "string") answer.text += delta["content"];
    if (typeof delta?.["refusal"] === "string") answer.text += delta["refusal"];
    if (typeof delta?.["reasoning"] === "string") answer.reasoning += delta["reasoning"];
    if (typeof choice?.["finish_reason"] === "string") answer.finish = choice["finish_reason"];
  }
  if (answer.state === "waiting" && (answer.text !== "" || answer.reasoning !== "")) answer.state = "streaming";
  const usage = record(chunk["usage"]);
  if (usage !== null) {
    answer.usage = {
      prompt: number(usage["prompt_tokens"]),
      completion: number(usage["completion_tokens"]),
      reasoning: number(record(usage["completion_tokens_details"])?.["reasoning_tokens"]),
      costUsd: typeof usage["cost"] === "number" ? usage["cost"] : null,
    };
  }
  if (chunk["error"] !== undefined && chunk["error"] !== null) {
    answer.state = "failed";
    answer.error = messageOf(chunk) ?? "The answer broke off.";
  }
  return false;
}

/** Of the record of a call, where its stream did not say. */
export function usageOf(generation: Record<string, unknown> | null): Usage | null {
  if (generation === null) return null;
  return {
    prompt: number(generation["tokens_prompt"]),
    completion: number(generation["tokens_completion"]),
    reasoning: number(generation["native_tokens_reasoning"]),
    costUsd: typeof generation["total_cost"] === "number" ? generation["total_cost"] : null,
  };
}

/** What an error's body says; null: nothing that can be read. */
export function messageOf(body: unknown): string | null {
  const message = record(record(body)?.["error"])?.["message"];
  return typeof message === "string" && message !== "" ? message : null;
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

export function record(value: unknown): Record<string, unknown> | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
}

export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function number(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}
