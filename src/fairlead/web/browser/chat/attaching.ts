/** Images and PDFs as data URLs, within bounds. */

import type { Attachment } from "./types.ts";
import { bytesText } from "./words.ts";

const TYPES: readonly string[] = ["image/png", "image/jpeg", "image/webp", "image/gif", "application/pdf"];
export const FILES_MAX = 8;
export const FILE_BYTES_MAX = 8 * 1024 * 1024;

/** Why a file cannot be attached; null: it can. Pure. */
export function refusal(file: { name: string; type: string; size: number }, count: number): string | null {
  if (!TYPES.includes(file.type)) return `${file.name} is neither an image (PNG, JPEG, WebP, GIF) nor a PDF.`;
  if (file.size > FILE_BYTES_MAX) {
    return `${file.name} has ${bytesText(file.size)}; at most ${bytesText(FILE_BYTES_MAX)} can be sent.`;
  }
  if (count >= FILES_MAX) return `At most ${FILES_MAX} files can be sent with a message.`;
  return null;
}

export function attached(file: File): Promise<Attachment> {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done({ name: file.name.slice(0, 200), type: file.type, data: String(reader.result) });
    reader.onerror = () => failed(new Error(`${file.name} cannot be read.`));
    reader.readAsDataURL(file);
  });
}
