/** How the chat writes numbers. Pure; the same ways as the pages of the server. */

import type { Usage } from "./types.ts";

/** Dollars to the last digit that says something: "$0.002925", "$1.20", "$0.00". */
export function costText(usd: number): string {
  const text = usd.toFixed(9).replace(/0+$/, "");
  const [whole = "0", fraction = ""] = text.split(".");
  return `$${Number(whole).toLocaleString("en-US")}.${fraction.padEnd(2, "0")}`;
}

/** "12 in · 340 out (200 reasoning)". */
export function usageText(usage: Usage): string {
  const reasoning = usage.reasoning > 0 ? ` (${usage.reasoning.toLocaleString("en-US")} reasoning)` : "";
  return `${usage.prompt.toLocaleString("en-US")} in · ${usage.completion.toLocaleString("en-US")} out${reasoning}`;
}

export function bytesText(bytes: number): string {
  return bytes >= 1024 * 1024 ? `${(bytes / 1024 / 1024).toFixed(1)} MB` : `${Math.max(1, Math.round(bytes / 1024))} KB`;
}

/** "Today", "Yesterday", "Nov 12", "Nov 12, 2025". */
export function dayText(ms: number, nowMs: number): string {
  const day = new Date(ms);
  const now = new Date(nowMs);
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  if (ms >= midnight) return "Today";
  if (ms >= midnight - 86_400_000) return "Yesterday";
  const year = day.getFullYear() === now.getFullYear() ? {} : { year: "numeric" as const };
  return day.toLocaleDateString("en-US", { month: "short", day: "numeric", ...year });
}

/** Why a call was not answered, where the server did not say. */
export function refusalText(status: number): string {
  if (status === 401) return "You are not signed in any more. Sign in again, then retry.";
  if (status === 413) return "This is too much to send at once. Leave an attachment out.";
  return `The call failed (${status}).`;
}

/** A text in pieces: those at odd places are addresses of this site, of which the others are free. */
export function withAddresses(text: string, origin: string): string[] {
  const quoted = origin.replace(/[^\w]/g, "\\$&");
  return text.split(new RegExp(`(${quoted}/[\\w/#?=&%-]*)`));
}
