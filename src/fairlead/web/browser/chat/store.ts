/** Conversations in this browser: IndexedDB, one database for each person and account.
 *
 * Several windows may have it open, even with the same conversation. So what is written is put together with what is
 * there, in one transaction: nobody's turns are lost.
 */

import { settled, together, withTurns } from "./conversation.ts";
import type { Conversation, Turn } from "./types.ts";

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
  /** asked: ids of the turns that were asked in this window; of every other one, what is there already counts. */
  keep(conversation: Conversation, asked: ReadonlySet<string>): Promise<void>;
  /** Turns as they became, in a conversation that may have gone on since; nothing, if it is not there any more. */
  amend(id: string, turns: readonly Turn[]): Promise<void>;
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

  async keep(conversation: Conversation, asked: ReadonlySet<string>): Promise<void> {
    await this.#change((heads, whole) => {
      found(whole, conversation.id, (there) => {
        heads.put(headOf(conversation));
        whole.put(there === undefined ? conversation : together(there, conversation, asked));
      });
    });
  }

  async amend(id: string, turns: readonly Turn[]): Promise<void> {
    await this.#change((_heads, whole) => {
      found(whole, id, (there) => {
        if (there !== undefined) whole.put(withTurns(there, turns));
      });
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

  amend(id: string, turns: readonly Turn[]): Promise<void> {
    const there = this.#held.get(id);
    if (there !== undefined) this.#held.set(id, withTurns(there, turns));
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

/** `then` runs in the transaction of `whole`. */
function found(whole: IDBObjectStore, id: string, then: (there: Conversation | undefined) => void): void {
  const reading = whole.get(id);
  reading.onsuccess = () => then(reading.result as Conversation | undefined);
}

function answer<Value>(request: IDBRequest<Value>): Promise<Value> {
  return new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error ?? new Error("not kept"));
  });
}
