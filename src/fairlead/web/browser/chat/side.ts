/** The list of conversations, the newest first. */

import { cloned, part, rewritten } from "./dom.ts";
import type { Head } from "./store.ts";
import { dayText } from "./words.ts";

interface SideWishes {
  open: (id: string) => void;
  forget: (id: string) => void;
}

export function showHeads(root: HTMLElement, heads: readonly Head[], current: string, wishes: SideWishes): void {
  part(root, "none").hidden = heads.length > 0;
  const nowMs = Date.now();
  rewritten(
    part(root, "heads"),
    [...heads]
      .sort((one, other) => other.changedMs - one.changedMs)
      .map((head) => {
        const item = cloned("chat-head");
        const link = part<HTMLAnchorElement>(item, "open");
        link.href = `#${head.id}`;
        if (head.id === current) link.setAttribute("aria-current", "true");
        link.addEventListener("click", (event) => {
          event.preventDefault();
          wishes.open(head.id);
        });
        const title = head.title || "Without a title";
        part(item, "title").textContent = title;
        part(item, "day").textContent = dayText(head.changedMs, nowMs);
        const forget = part(item, "forget");
        forget.setAttribute("aria-label", `Delete ${title}`);
        forget.title = "Delete";
        forget.addEventListener("click", () => wishes.forget(head.id));
        return item;
      }),
    part(root, "new"),
  );
}
