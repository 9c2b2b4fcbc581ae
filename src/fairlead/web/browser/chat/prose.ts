/** Text of a model as paragraphs, lists, tables, code and formulas. Loaded when the first answer is shown.
 *
 * What a model writes is anybody's text. Its HTML is shown as text; what we make of its Markdown passes through
 * DOMPurify with a short list of elements; pictures from elsewhere are links; links lead to other sites or nowhere.
 * Code and formulas are drawn afterwards, by parts that are loaded when there are any.
 */

import DOMPurify from "dompurify";
import { Marked, type Token, type Tokens } from "marked";
import { cloned, part } from "./dom.ts";
import { mathAt, type Formula } from "./formula.ts";

const ELEMENTS = [
  "p", "br", "hr", "h3", "h4", "h5", "h6", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a",
  "table", "thead", "tbody", "tr", "th", "td", "span", "div",
];
const ATTRIBUTES = ["href", "title", "class", "start", "align", "data-formula", "data-language"];
const ELSEWHERE = /^(?:https?:\/\/|mailto:)/i;

const purify = DOMPurify();
purify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName !== "A") return;
  node.setAttribute("target", "_blank");
  node.setAttribute("rel", "noopener noreferrer nofollow ugc");
});

type FormulaToken = Tokens.Generic & Formula;

function isFormula(token: Tokens.Generic): token is FormulaToken {
  return token.type === "formula";
}

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => escaped(text),
    image: ({ href, text }) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
    // The page has a title of its own, and the turn has one.
    heading({ tokens, depth }) {
      const level = Math.min(6, depth + 2);
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
    code: ({ text, lang }) => {
      const language = /^[\w+#.-]{1,30}/.exec(lang ?? "")?.[0] ?? "";
      return `<pre data-language="${escaped(language)}"><code>${escaped(text)}</code></pre>`;
    },
  },
  extensions: [
    {
      name: "formula",
      level: "inline",
      start: (text) => {
        const at = text.search(/\$|\\\(|\\\[/);
        return at < 0 ? undefined : at;
      },
      tokenizer: (text) => {
        const found = mathAt(text);
        return found === null ? undefined : { type: "formula", ...found };
      },
      renderer: (token) =>
        isFormula(token)
          ? `<span data-formula="${token.isDisplayed ? "displayed" : "inline"}">${escaped(token.tex)}</span>`
          : "",
    },
  ],
});

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`);
}

function clean(html: string): DocumentFragment {
  return purify.sanitize(html, {
    ALLOWED_TAGS: ELEMENTS,
    ALLOWED_ATTR: ATTRIBUTES,
    ALLOW_DATA_ATTR: false,
    ALLOWED_URI_REGEXP: ELSEWHERE,
    ADD_URI_SAFE_ATTR: ["start", "align", "data-formula", "data-language"], // words, no addresses
    RETURN_DOM_FRAGMENT: true,
  });
}

/** Shows a text that grows: only its last parts are made anew, so that what is read or selected stays. */
export class Prose {
  readonly #place: HTMLElement;
  #shown: string[] = [];

  constructor(place: HTMLElement) {
    this.#place = place;
  }

  show(text: string): void {
    const tokens: Token[] = marked.lexer(text).filter((token) => token.type !== "space");
    const raws = tokens.map((token) => token.raw);
    let same = 0;
    while (same < raws.length && raws[same] === this.#shown[same]) same += 1;
    while (this.#place.children.length > same) this.#place.lastElementChild?.remove();
    for (const token of tokens.slice(same)) {
      const block = document.createElement("div");
      block.append(clean(marked.parser([token])));
      this.#place.append(block);
      void enrich(block);
    }
    this.#shown = raws;
  }
}

/** Colours in code, formulas as MathML. What cannot be drawn stays as it was written. */
async function enrich(block: HTMLElement): Promise<void> {
  for (const pre of block.querySelectorAll<HTMLElement>("pre[data-language]")) frame(pre);
  const codes = [...block.querySelectorAll<HTMLElement>("pre[data-language] > code")];
  const formulas = [...block.querySelectorAll<HTMLElement>("[data-formula]")];
  try {
    if (codes.some((code) => languageOf(code) !== "")) {
      const { coloured } = await import("./colours.ts");
      for (const code of codes) {
        const html = coloured(code.textContent, languageOf(code));
        if (html !== null) code.replaceChildren(clean(html));
      }
    }
    if (formulas.length > 0) {
      const { drawn } = await import("./formulas.ts");
      for (const place of formulas) {
        const math = drawn(place.textContent, place.dataset["formula"] === "displayed");
        if (math !== null) place.replaceChildren(math);
      }
    }
  } catch {
    // A part could not be loaded: the text is there.
  }
}

function languageOf(code: HTMLElement): string {
  return code.parentElement?.dataset["language"] ?? "";
}

/** A head with the language, and a button that copies. */
function frame(pre: HTMLElement): void {
  const made = cloned("chat-code");
  part(made, "said").textContent = pre.dataset["language"] ?? "";
  part(made, "copy").dataset["copy"] = pre.textContent;
  pre.tabIndex = 0;
  pre.replaceWith(made);
  made.append(pre);
}
