/** The request builder's "Run": the call of the code beside it, by the session of who is signed in. */

import { parsed, record } from "../chat/asking.ts";
import { stream } from "../chat/calling.ts";
import { isUnderWay, newAnswer } from "../chat/conversation.ts";
import { exchanged, part, writeProblem } from "../chat/dom.ts";
import type { Prose } from "../chat/prose.ts";
import type { Answer } from "../chat/types.ts";
import { costText, usageText } from "../chat/words.ts";

const APP = { path: "/request-builder", title: "Request builder" };

const place = document.querySelector<HTMLElement>("[data-run]");
const button = document.querySelector<HTMLButtonElement>("#builder-run");
const stopper = document.querySelector<HTMLButtonElement>("#builder-stop");
if (place !== null && button !== null && stopper !== null) listen(place, button, stopper);

// On a phone the row of languages scrolls: the chosen one is in sight.
const chosen = document.querySelector<HTMLElement>(".builder-languages label:has(:checked)");
const row = chosen?.parentElement;
if (chosen && row) row.scrollLeft = chosen.offsetLeft - row.offsetLeft;

function listen(place: HTMLElement, button: HTMLButtonElement, stopper: HTMLButtonElement): void {
  let stopping = new AbortController();
  const stop = () => stopping.abort();
  button.addEventListener("click", () => {
    const body = record(parsed(document.getElementById("result")?.dataset["body"] ?? ""));
    if (body === null) return;
    stopping = new AbortController();
    exchanged(button, stopper);
    void run(place, body, stopping.signal).finally(() => {
      exchanged(stopper, button);
    });
  });
  stopper.addEventListener("click", stop);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") stop();
  });
}

async function run(place: HTMLElement, body: Record<string, unknown>, signal: AbortSignal): Promise<void> {
  const answer = newAnswer(String(body["model"]));
  const written = part(place, "prose");
  written.replaceChildren();
  let prose: Prose | null = null;
  const loading = import("../chat/prose.ts").then(
    ({ Prose }) => (prose = new Prose(written)),
    () => null,
  );
  void loading.then(() => show(place, answer, prose));
  show(place, answer, prose);
  await stream(answer, body, { ...APP, csrf: place.dataset["csrf"] ?? "" }, signal, () => show(place, answer, prose));
  if ((await loading) === null) written.textContent = answer.text; // plain, if its part cannot be loaded
  show(place, answer, prose);
}

function show(place: HTMLElement, answer: Answer, prose: Prose | null): void {
  part(place, "hint").hidden = true;
  part(place, "prose").setAttribute("aria-busy", String(isUnderWay(answer)));
  prose?.show(answer.text);
  part(place, "reasoning").hidden = answer.reasoning === "";
  part(place, "reasoning-text").textContent = answer.reasoning;
  part(place, "failed").hidden = answer.state !== "failed";
  writeProblem(part(place, "error"), answer.error ?? "");
  part(place, "facts").textContent = factsOf(answer);
}

function factsOf(answer: Answer): string {
  if (answer.state === "waiting") return "Waiting for an answer…";
  if (answer.state === "stopped") return "Stopped.";
  if (answer.usage === null) return "";
  const cost = answer.usage.costUsd === null ? [] : [costText(answer.usage.costUsd)];
  const by = answer.provider === null ? [] : [`by ${answer.provider}`];
  return [usageText(answer.usage), ...cost, ...by].join(" · ");
}
