/** Why an answer came from where it came. */

import { list, record } from "./asking.ts";
import { element } from "./dom.ts";

interface Line {
  who: string;
  why: string;
  isChosen: boolean;
}

/** The plan and what was left out, from `GET /generation/{id}/routing`. Pure. */
export function lines(routing: Record<string, unknown>): { plan: Line[]; removed: Line[] } {
  return { plan: list(routing["candidates"]).map(line), removed: list(routing["removed"]).map(line) };
}

function line(value: unknown): Line {
  const of = record(value) ?? {};
  const detail = text(of["detail"]);
  const why = text(of["explanation"]) || text(of["why"]) || text(of["reason"]);
  return {
    who: text(of["provider_name"]) || text(of["provider"]) || text(of["endpoint"]),
    why: detail === "" ? why : `${why} (${detail})`,
    isChosen: of["selected"] === true,
  };
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

export function explain(routing: Record<string, unknown>): HTMLElement[] {
  const { plan, removed } = lines(routing);
  const shown = [section("In the order in which they would be asked", plan, "ol")];
  if (removed.length > 0) {
    const fold = document.createElement("details");
    const summary = document.createElement("summary");
    summary.textContent = `Left out (${removed.length})`;
    fold.append(summary, section("", removed, "ul"));
    shown.push(fold);
  }
  return shown;
}

function section(title: string, of: readonly Line[], tag: "ol" | "ul"): HTMLElement {
  const place = element("div", "chat-plan");
  if (title !== "") place.append(element("p", "tiny soft", title));
  const items = document.createElement(tag);
  for (const { who, why, isChosen } of of) {
    const item = document.createElement("li");
    item.append(element("strong", "", who));
    if (isChosen) item.append(" ", element("span", "badge success", "answered"));
    item.append(element("span", "soft", why));
    items.append(item);
  }
  place.append(items);
  return place;
}
