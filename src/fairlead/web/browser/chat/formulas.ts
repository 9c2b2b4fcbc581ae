/** Formulas as MathML, which browsers draw themselves. Loaded with the first formula. */

import DOMPurify from "dompurify";
import katex from "katex";

const purify = DOMPurify();

/** null: it is none. */
export function drawn(tex: string, isDisplayed: boolean): DocumentFragment | null {
  let html: string;
  try {
    html = katex.renderToString(tex, {
      output: "mathml",
      displayMode: isDisplayed,
      throwOnError: true,
      trust: false,
      strict: "ignore",
      maxSize: 20,
      maxExpand: 200,
    });
  } catch {
    return null;
  }
  // The source once more, which would be shown beside the formula; and what our policy refuses.
  html = html.replace(/<annotation[^>]*>[\s\S]*?<\/annotation>/g, "").replace(/ style="[^"]*"/g, "");
  return purify.sanitize(html, {
    USE_PROFILES: { html: true, mathMl: true },
    FORBID_ATTR: ["style"],
    RETURN_DOM_FRAGMENT: true,
  });
}
