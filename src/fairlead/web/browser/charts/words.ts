/** Numbers on axes, as short as they can be; the table has them in full. */

const STEPS: readonly (readonly [number, string])[] = [
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
  [1e3, "K"],
];

export function countText(value: number): string {
  for (const [step, letter] of STEPS) if (Math.abs(value) >= step) return `${digits(value / step)}${letter}`;
  return digits(value);
}

export function usdText(value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 1000) return `$${countText(value)}`;
  // Steps of an axis have up to three figures, as 0.0125, and cents have two places.
  const places = Math.max(2, 2 - Math.floor(Math.log10(Math.abs(value))));
  return `$${value.toFixed(Math.min(places, 12)).replace(/(\.\d\d\d*?)0+$/, "$1")}`;
}

export function millisecondsText(value: number): string {
  return value >= 1000 ? `${digits(value / 1000)} s` : `${digits(value)} ms`;
}

/** value: 0 to 1. */
export function shareText(value: number): string {
  return `${digits(value * 100)}%`;
}

function rateText(value: number): string {
  return `${countText(value)}/s`;
}

export function formatOf(name: string | undefined): (value: number) => string {
  switch (name) {
    case "usd":
      return usdText;
    case "ms":
      return millisecondsText;
    case "share":
      return shareText;
    case "rate":
      return rateText;
    default:
      return countText;
  }
}

/** Of an axis: where one step needs cents, all have as many places. */
export function axisTexts(name: string | undefined, ticks: readonly number[]): string[] {
  const texts = ticks.map(formatOf(name));
  if (name !== "usd") return texts;
  const places = Math.max(...texts.map((text) => text.split(".")[1]?.length ?? 0));
  return places === 0 || ticks.some((tick) => Math.abs(tick) >= 1000)
    ? texts
    : ticks.map((tick) => (tick === 0 ? "$0" : `$${tick.toFixed(places)}`));
}

export function momentText(unixSeconds: number): string {
  return new Date(unixSeconds * 1000).toISOString().slice(0, 16).replace("T", " ");
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;
const DAY_S = 86_400;

/** Under an axis, in UTC. stepSeconds: from one to the next. */
export function tickText(unixSeconds: number, stepSeconds: number): string {
  const moment = new Date(unixSeconds * 1000);
  const month = MONTHS[moment.getUTCMonth()] ?? "";
  if (stepSeconds >= 28 * DAY_S) return moment.getUTCMonth() === 0 ? String(moment.getUTCFullYear()) : month;
  const isMidnight = unixSeconds % DAY_S === 0;
  return stepSeconds >= DAY_S || isMidnight ? `${month} ${moment.getUTCDate()}` : moment.toISOString().slice(11, 16);
}

function digits(value: number): string {
  const size = Math.abs(value);
  return String(Number(value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)));
}
