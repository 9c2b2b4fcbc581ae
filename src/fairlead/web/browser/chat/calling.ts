/** The call for one answer, as it streams in. */

import { Events, messageOf, parsed, record, take, type Body } from "./asking.ts";
import type { Answer } from "./types.ts";
import { refusalText } from "./words.ts";

const TRY_AFTER_MS = 150;

/** workspace: the id of the one to call in; "": the default one. */
interface App {
  path: string;
  title: string;
  csrf: string;
  workspace?: string;
}

/** What one says of an answer. */
export interface Remark {
  category: string;
  comment: string;
}

/** Fill the answer until it is over, however it ends; `changed` is told of each piece. Raises nothing. */
export async function stream(
  answer: Answer,
  body: Body | Record<string, unknown>,
  app: App,
  signal: AbortSignal,
  changed: () => void,
): Promise<void> {
  try {
    const response = await fetch("/chat/completions", {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "x-csrf-token": app.csrf,
        "http-referer": location.origin + app.path,
        "x-title": app.title,
        ...(app.workspace ? { "x-workspace": app.workspace } : {}),
      },
      body: JSON.stringify(body),
      signal,
    });
    if (!response.ok || response.body === null) {
      answer.state = "failed";
      answer.error = messageOf(parsed(await response.text())) ?? refusalText(response.status);
      if (response.status === 401) answer.error = refusalText(401);
      return;
    }
    await follow(answer, response.body, changed);
  } catch (error) {
    if (answer.state === "failed") return; // the stream said why before it broke off
    answer.state = signal.aborted ? "stopped" : "failed";
    if (!signal.aborted) {
      answer.error = "The connection broke off. Check the network, then retry.";
      if (!(error instanceof TypeError)) console.warn(error);
    }
  }
}

async function follow(answer: Answer, body: ReadableStream<Uint8Array>, changed: () => void): Promise<void> {
  const events = new Events();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let isOver = false;
  while (!isOver) {
    const { done, value } = await reader.read();
    if (done) break;
    for (const data of events.feed(decoder.decode(value, { stream: true }))) isOver = take(answer, data) || isOver;
    changed();
  }
  if (isOver) void reader.cancel();
  if (answer.state === "failed") return;
  answer.state = isOver ? "done" : "failed";
  if (!isOver) answer.error = "The answer broke off.";
}

/** The record of a call, which is there a moment after its end. null: it is not, or cannot be had now. */
export async function recordOf(path: string, triesMax = 6): Promise<Record<string, unknown> | null> {
  for (let attempt = 1; attempt <= triesMax; attempt += 1) {
    await new Promise((wake) => setTimeout(wake, TRY_AFTER_MS * attempt));
    try {
      const response = await fetch(path, { headers: { accept: "application/json" } });
      if (response.ok) return record(record(await response.json())?.["data"]);
      if (response.status !== 404) return null;
    } catch {
      return null;
    }
  }
  return null;
}

/** Say what is wrong with an answer. Returns why it could not be said; "": it was. Raises nothing. */
export async function say(generation: string, remark: Remark, csrf: string): Promise<string> {
  const id = encodeURIComponent(generation);
  const send = () =>
    fetch(`/activity/${id}/feedback`, {
      method: "POST",
      headers: { accept: "application/json" },
      body: new URLSearchParams({ ...remark, csrf }),
    });
  try {
    let response = await send();
    // The record of a call is there a moment after its end.
    if (response.status === 404 && (await recordOf(`/api/v1/generation?id=${id}`)) !== null) response = await send();
    return response.ok ? "" : (messageOf(parsed(await response.text())) ?? refusalText(response.status));
  } catch {
    return "The connection broke off. Check the network, then send it again.";
  }
}
