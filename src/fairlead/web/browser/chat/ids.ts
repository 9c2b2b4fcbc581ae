/** Names for what is new. `crypto.randomUUID` is not there on pages that are not served by https. */

export function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
