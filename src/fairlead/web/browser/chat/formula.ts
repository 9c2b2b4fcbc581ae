/** Where a formula begins and ends. Pure. */

export interface Formula {
  raw: string;
  tex: string;
  isDisplayed: boolean;
}

const CHARACTERS_MAX = 4000;
const WAYS: readonly (readonly [RegExp, boolean])[] = [
  [/^\$\$([\s\S]+?)\$\$/, true],
  [/^\\\[([\s\S]+?)\\\]/, true],
  [/^\\\(([\s\S]+?)\\\)/, false],
  // A dollar is mostly money: no space inside the dollars, no digit behind them.
  [/^\$(?![\s\d.,]+(?:\s|$))((?:\\.|[^\\$\n])*?[^\s\\$])\$(?!\d)/, false],
];

/** The formula at the very beginning of a text. */
export function mathAt(text: string): Formula | null {
  for (const [way, isDisplayed] of WAYS) {
    const found = way.exec(text);
    const tex = found?.[1]?.trim() ?? "";
    if (found === null || tex === "" || tex.length > CHARACTERS_MAX) continue;
    if (!isDisplayed && found[0].startsWith("$") && /^\s/.test(found[1] ?? "")) continue;
    return { raw: found[0], tex, isDisplayed };
  }
  return null;
}
