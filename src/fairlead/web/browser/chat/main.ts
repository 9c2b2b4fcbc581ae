/** `/chat`: what is clicked and typed, and what it does. */

import { list, parsed } from "./asking.ts";
import { attached, refusal } from "./attaching.ts";
import { Chat } from "./chat.ts";
import { dialog, part } from "./dom.ts";
import { FILE_BYTES_MAX, read as readFile, Unreadable, written } from "./exchange.ts";
import { newId } from "./ids.ts";
import { Picker } from "./picker.ts";
import { fill, read as readSettings } from "./settings.ts";
import { openStore } from "./store.ts";
import { showFiles } from "./turns.ts";
import { MODELS_MAX, type Attachment, type Conversation } from "./types.ts";

const root = document.querySelector<HTMLElement>("[data-chat]");
if (root !== null) void start(root);

async function start(root: HTMLElement): Promise<void> {
  const store = await openStore(root.dataset["owner"] ?? "");
  const chat = new Chat(root, store, firstModels(root));
  const picker = new Picker(
    root.dataset["models"] ?? "",
    () => chat.conversation.models,
    (id) => chat.toggleModel(id),
  );
  compose(root, chat);
  look(root, chat, picker);
  exchange(root, chat);
  await chat.start();
  if (!store.isKept) chat.problem("This browser keeps nothing for this page: conversations end with the tab.");
  root.dataset["ready"] = "";
}

/** That of the address, else those of the last time, else the one that answers without anybody's key. */
function firstModels(root: HTMLElement): string[] {
  const usual = root.dataset["default"] ?? "";
  const fromAddress = new URLSearchParams(location.search).has("model");
  let last: string[] = [];
  try {
    last = list(parsed(localStorage.getItem("chat-models") ?? ""))
      .filter((one) => typeof one === "string")
      .slice(0, MODELS_MAX);
  } catch {
    // Storage is forbidden.
  }
  if (!fromAddress && last.length > 0) return last;
  return usual === "" ? [] : [usual];
}

/** Writing, attaching, sending, stopping. */
function compose(root: HTMLElement, chat: Chat): void {
  const form = part<HTMLFormElement>(root, "composer");
  const field = part<HTMLTextAreaElement>(form, "text");
  const chosen = part<HTMLInputElement>(form, "attach-file");
  let files: Attachment[] = [];
  let reading = Promise.resolve(); // of files, one after the other; what is sent waits for it

  const show = () => {
    const remove = (index: number) => {
      files = files.filter((_one, at) => at !== index);
      show();
    };
    showFiles(part(form, "files"), files, remove, part(form, "attach"));
  };
  const readAll = async (added: readonly File[]) => {
    chat.problem("");
    for (const file of added) {
      const problem = refusal(file, files.length);
      if (problem !== null) {
        chat.problem(problem);
        continue;
      }
      try {
        const read = await attached(file);
        files = [...files, read];
      } catch (error) {
        chat.problem(String((error as Error).message));
      }
    }
    show();
  };
  /** added: copied at once, for the list of an event is empty afterwards. */
  const attach = (added: readonly File[]) => {
    reading = reading.then(() => readAll(added));
  };
  const sendNow = () => {
    const text = field.value.trim();
    if (chat.isBusy || (text === "" && files.length === 0)) return;
    if (chat.conversation.models.length === 0) {
      chat.problem("Choose a model first.");
      return;
    }
    chat.send(text, Object.fromEntries(files.map((file) => [newId(), file])));
    field.value = "";
    files = [];
    show();
  };

  const send = () => void reading.then(sendNow);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  field.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (pasted.length === 0) return;
    event.preventDefault();
    attach(pasted);
  });
  form.addEventListener("dragover", (event) => event.preventDefault());
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    attach([...(event.dataTransfer?.files ?? [])]);
  });
  part(form, "attach").addEventListener("click", () => chosen.click());
  chosen.addEventListener("change", () => {
    attach([...(chosen.files ?? [])]);
    chosen.value = "";
  });
  part(form, "stop").addEventListener("click", () => {
    chat.stop();
    field.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || document.querySelector("dialog[open]") !== null) return;
    if (root.dataset["sideOpen"] !== undefined) delete root.dataset["sideOpen"];
    else if (chat.isBusy) chat.stop();
  });
  for (const button of root.querySelectorAll<HTMLElement>("[data-suggestion]")) {
    button.addEventListener("click", () => {
      field.value = button.dataset["suggestion"] ?? "";
      field.focus();
    });
  }
}

/** Conversations, models, settings. */
function look(root: HTMLElement, chat: Chat, picker: Picker): void {
  const begin = () => {
    delete root.dataset["sideOpen"];
    chat.begin();
    part(root, "composer").querySelector("textarea")?.focus();
  };
  const side = part<HTMLButtonElement>(root, "side");
  part(root, "new").addEventListener("click", begin);
  side.addEventListener("click", () => {
    if (root.dataset["sideOpen"] === undefined) root.dataset["sideOpen"] = "";
    else delete root.dataset["sideOpen"];
  });
  // Where the side lies over the page, the focus goes into it, and back again.
  new MutationObserver(() => {
    const isOpen = root.dataset["sideOpen"] !== undefined;
    side.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) part(root, "new").focus();
    else if (document.getElementById("chat-side")?.contains(document.activeElement)) side.focus();
  }).observe(root, { attributeFilter: ["data-side-open"] });
  part(root, "log").addEventListener("click", () => delete root.dataset["sideOpen"]);
  part(root, "add").addEventListener("click", () => picker.open());
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
    event.preventDefault();
    picker.open();
  });

  const box = dialog("chat-settings");
  const form = part<HTMLFormElement>(box, "settings");
  part(root, "settings-count").parentElement?.addEventListener("click", () => {
    fill(form, chat.conversation);
    void picker
      .choices()
      .then((choices) => {
        const searches = choices.some((one) => one.searches && chat.conversation.models.includes(one.id));
        part(box, "web").hidden = !searches && !chat.conversation.parameters.web;
      })
      .catch(() => undefined);
  });
  box.addEventListener("close", () => chat.set(readSettings(form)));
}

/** To a file and back; deleting everything. */
function exchange(root: HTMLElement, chat: Chat): void {
  const chosen = part<HTMLInputElement>(root, "import-file");
  part(document, "clear").addEventListener("click", () => void chat.clear());
  part(root, "export").addEventListener("click", () => void save(chat));
  part(root, "import").addEventListener("click", () => chosen.click());
  chosen.addEventListener("change", () => {
    const file = chosen.files?.[0];
    chosen.value = "";
    if (file !== undefined) void load(chat, file);
  });
}

async function save(chat: Chat): Promise<void> {
  let conversations: Conversation[];
  try {
    conversations = await chat.all();
  } catch {
    chat.problem("This browser does not give all conversations out. Reload the page and try again.");
    return;
  }
  const nowMs = Date.now();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([written(conversations, nowMs)], { type: "application/json" }));
  link.download = `chat-${new Date(nowMs).toISOString().slice(0, 10)}.json`;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function load(chat: Chat, file: File): Promise<void> {
  let found: Conversation[];
  try {
    if (file.size > FILE_BYTES_MAX) throw new Unreadable("This file is too big.");
    found = readFile(await file.text());
  } catch (error) {
    chat.problem(error instanceof Unreadable ? error.message : "This file cannot be read.");
    return;
  }
  try {
    const count = await chat.add(found);
    const first = found[0];
    if (count === 0) chat.problem("All conversations of this file are here already.");
    else if (first !== undefined) await chat.open(first.id);
  } catch {
    chat.problem("This browser cannot keep all of them: there may be no room left.");
  }
}
