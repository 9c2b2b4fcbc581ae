/** Conversations in this browser: IndexedDB, one database for each person and account. */

import { settled } from "./conversation.ts";
import type { Conversation } from "./types.ts";

/** Enough to list it. */
export interface Head {
  id: string;
  title: string;
  changedMs: number;
}

export interface Store {
  readonly isKept: boolean;
  heads(): Promise<Head[]>;
  find(id: string): Promise<Conversation | null>;
  keep(conversation: Conversation): Promise<void>;
  forget(id: string): Promise<void>;
  clear(): Promise<void>;
}

const HEADS = "heads";
const WHOLE = "conversations";

export function headOf({ id, title, changedMs }: Conversation): Head {
  return { id, title, changedMs };
}

/** Where the browser keeps nothing, what is said is there until the page is left. */
export async function openStore(owner: string): Promise<Store> {
  try {
    const opening = indexedDB.open(`fairlead-chat ${owner}`, 1);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore(HEADS, { keyPath: "id" });
      opening.result.createObjectStore(WHOLE, { keyPath: "id" });
    };
    return new Kept(await answer(opening));
  } catch {
    return new Forgetful();
  }
}

class Kept implements Store {
  readonly isKept = true;
  readonly #database: IDBDatabase;

  constructor(database: IDBDatabase) {
    this.#database = database;
  }

  async heads(): Promise<Head[]> {
    return (await answer(this.#database.transaction(HEADS).objectStore(HEADS).getAll())) as Head[];
  }

  async find(id: string): Promise<Conversation | null> {
    const found = (await answer(this.#database.transaction(WHOLE).objectStore(WHOLE).get(id))) as
      | Conversation
      | undefined;
    return found === undefined ? null : settled(found);
  }

  async keep(conversation: Conversation): Promise<void> {
    await this.#change((heads, whole) => {
      heads.put(headOf(conversation));
      whole.put(conversation);
    });
  }

  async forget(id: string): Promise<void> {
    await this.#change((heads, whole) => {
      heads.delete(id);
      whole.delete(id);
    });
  }

  async clear(): Promise<void> {
    await this.#change((heads, whole) => {
      heads.clear();
      whole.clear();
    });
  }

  #change(change: (heads: IDBObjectStore, whole: IDBObjectStore) => void): Promise<void> {
    const transaction = this.#database.transaction([HEADS, WHOLE], "readwrite");
    change(transaction.objectStore(HEADS), transaction.objectStore(WHOLE));
    return new Promise((done, failed) => {
      transaction.oncomplete = () => done();
      transaction.onabort = transaction.onerror = () => failed(transaction.error ?? new Error("not kept"));
    });
  }
}

class Forgetful implements Store {
  readonly isKept = false;
  readonly #held = new Map<string, Conversation>();

  heads(): Promise<Head[]> {
    return Promise.resolve([...this.#held.values()].map(headOf));
  }

  find(id: string): Promise<Conversation | null> {
    return Promise.resolve(this.#held.get(id) ?? null);
  }

  keep(conversation: Conversation): Promise<void> {
    this.#held.set(conversation.id, conversation);
    return Promise.resolve();
  }

  forget(id: string): Promise<void> {
    this.#held.delete(id);
    return Promise.resolve();
  }

  clear(): Promise<void> {
    this.#held.clear();
    return Promise.resolve();
  }
}

function answer<Value>(request: IDBRequest<Value>): Promise<Value> {
  return new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error ?? new Error("not kept"));
  });
}
