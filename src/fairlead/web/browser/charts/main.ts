/** Draws every `<figure data-chart>` from the table that is in it. The table stays: it is the chart in words.
 *
 *   data-chart    lines, bars (stacked) or areas (stacked)
 *   data-format   how values are written: count, usd, ms, share, rate
 *   table         first column: `<th data-value="unix seconds">`; then `<td data-value="number">`, empty where
 *                 nothing is known; the heads of its columns name the series
 */

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { alone } from "./alone.ts";
import { ends, spread, told } from "./labels.ts";
import { read, type Table } from "./table.ts";
import { stacked } from "./stacking.ts";
import { axisTexts, formatOf, momentText, tickText } from "./words.ts";

const HEIGHT_LOW = 160;
const HEIGHT = 240;
const LABEL_HEIGHT = 16;
const LABEL_WIDTH_MAX = 148;
const LABEL_ROOM = 1.12; // a font that comes later may be wider
const TICK_WIDTH = 60;
const TOLD_BARS_MAX = 62; // more than two months of days: round moments say more than every nth of them
const LABELLED_FROM = 520; // as wide as the figure is in components.css when it has no legend

interface Shown {
  again: () => void;
  stop: () => void;
}

/** Figures of the page that are drawn; those that htmx takes away are let go. */
const shown = new Map<EventTarget, Shown>();

const drawAll = (): void => shown.forEach((one) => one.again());
document.addEventListener("themechange", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
document.addEventListener("htmx:beforeCleanupElement", (event) => {
  if (event.target === null) return;
  shown.get(event.target)?.stop();
  shown.delete(event.target);
});
document.querySelectorAll<HTMLElement>("figure[data-chart]").forEach(start);
document.addEventListener("htmx:load", (event) => {
  const part = (event as CustomEvent<{ elt?: Element }>).detail.elt;
  part?.querySelectorAll<HTMLElement>("figure[data-chart]").forEach(start);
});

function start(figure: HTMLElement): void {
  const place = figure.querySelector<HTMLElement>(".chart-plot");
  const source = figure.querySelector<HTMLTableElement>("table[data-series]");
  if (place === null || source === null || place.childElementCount > 0) return;
  const table = read(source);
  if (table.times.length === 0) return;
  let plot = draw(figure, place, table);
  let wasWide = isWide(place);
  const again = (): void => {
    plot.destroy();
    place.replaceChildren();
    plot = draw(figure, place, table);
    wasWide = isWide(place);
  };
  const size = new ResizeObserver(() => {
    if (isWide(place) === wasWide) plot.setSize({ width: place.clientWidth, height: heightOf(place) });
    else again();
  });
  size.observe(place);
  shown.set(figure, {
    again,
    stop: () => {
      size.disconnect();
      plot.destroy();
    },
  });
}

function isWide(place: HTMLElement): boolean {
  return place.clientWidth >= LABELLED_FROM;
}

function heightOf(place: HTMLElement): number {
  return place.classList.contains("low") ? HEIGHT_LOW : HEIGHT;
}

function draw(figure: HTMLElement, place: HTMLElement, table: Table): uPlot {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string): string => style.getPropertyValue(name).trim();
  const colours = table.series.map((_, index) => token(`--series-${(index % 8) + 1}`));
  const kind = figure.dataset["chart"];
  const isStacked = kind === "bars" || kind === "areas";
  const values = isStacked ? stacked(table.values) : table.values;
  const write = formatOf(figure.dataset["format"]);
  const bars = uPlot.paths.bars?.({ size: [0.72, table.times.length > 12 ? 28 : 56], radius: 0 });
  const lines = uPlot.paths.linear?.();
  const axis = {
    stroke: token("--text-faint"),
    font: `11px ${token("--font-text")}`,
    grid: { stroke: token("--line"), width: 1 },
    ticks: { show: false },
  };
  // The highest of a stack is drawn first, so that those below it stay to be seen.
  const order = table.series.map((_, index) => index);
  if (isStacked) order.reverse();
  const isLabelled = table.series.length > 1 && isWide(place);
  const labels = document.createElement("div");
  labels.className = "chart-ends";
  labels.append(...(isLabelled ? table.series.map(label) : []));
  place.append(labels);
  const labelWidth = Math.min(LABEL_WIDTH_MAX, Math.ceil(labels.getBoundingClientRect().width * LABEL_ROOM));
  labels.style.width = `${labelWidth}px`;
  const endings = ends(table.values, isStacked);
  const isWhole = isStacked && figure.dataset["format"] === "share";
  const tip = document.createElement("div");
  tip.className = "chart-tip";
  tip.hidden = true;
  const options: uPlot.Options = {
    width: place.clientWidth,
    height: heightOf(place),
    // Half of the last date stands to the right of its moment.
    padding: [8, isLabelled ? labelWidth + 12 : 20, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: kind === "lines" }, drag: { x: false, y: false } },
    scales: { x: { time: true, range: (_plot, low, high) => room(low, high, table.times, kind === "bars") }, y: { range: (_plot, _low, high) => [0, isWhole || high <= 0 ? 1 : high * 1.08] } },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 30,
        gap: 9, // the lowest step of the other axis ends where this one begins
        space: 64,
        ...(kind === "bars" && table.times.length <= TOLD_BARS_MAX ? under(table.times) : {}),
        values: (_plot, ticks, _axis, _space, step) => ticks.map((tick) => tickText(tick, stepOf(ticks) ?? step)),
      },
      {
        ...axis,
        size: (_plot, texts) => 12 + Math.ceil(6.2 * Math.max(2, ...(texts ?? []).map((text) => text.length))),
        values: (_plot, ticks) => axisTexts(figure.dataset["format"], ticks),
      },
    ],
    series: [
      {},
      ...order.map((index): uPlot.Series => {
        const colour = colours[index] ?? token("--accent");
        return kind === "bars" && bars !== undefined
          ? { label: table.series[index] ?? "", paths: bars, fill: colour, stroke: colour, width: 0, points: { show: false } }
          : {
              label: table.series[index] ?? "",
              stroke: colour,
              width: kind === "areas" ? 1 : 2,
              points: { show: false, filter: () => alone(values[index] ?? []) },
              ...(lines === undefined ? {} : { paths: lines }),
              ...(kind === "areas" ? { fill: colour } : {}),
            };
      }),
    ],
    hooks: {
      draw: [
        (plot) => {
          const top = plot.over.offsetTop;
          const wanted = endings.map((value) => (value === null ? 0 : plot.valToPos(value, "y") + top));
          const places = spread(wanted, LABEL_HEIGHT, top + plot.over.clientHeight);
          [...labels.children].forEach((one, index) => {
            if (one instanceof HTMLElement) one.style.top = `${Math.round((places[index] ?? 0) - LABEL_HEIGHT / 2)}px`;
          });
        },
      ],
      setCursor: [
        (plot) => {
          const at = plot.cursor.idx;
          tip.hidden = at === null || at === undefined || plot.cursor.left === undefined || plot.cursor.left < 0;
          if (tip.hidden || at === null || at === undefined) return;
          fill(tip, table, at, write);
          const left = plot.valToPos(table.times[at] ?? 0, "x") + plot.over.offsetLeft;
          const isRight = left > place.clientWidth / 2;
          tip.style.left = isRight ? "" : `${left + 12}px`;
          tip.style.right = isRight ? `${place.clientWidth - left + 12}px` : "";
          tip.style.top = "12px";
        },
      ],
    },
  };
  const data = [table.times, ...order.map((index) => values[index] ?? [])] as unknown as uPlot.AlignedData;
  const plot = new uPlot(options, data, place);
  place.append(tip);
  return plot;
}

/** What a series is called, beside its end. */
function label(name: string, index: number): HTMLElement {
  const line = document.createElement("div");
  const swatch = document.createElement("span");
  swatch.className = `swatch swatch-${(index % 8) + 1}`;
  const said = document.createElement("span");
  said.className = "clipped";
  said.textContent = said.title = name;
  line.append(swatch, said);
  return line;
}

/** A moment below a bar, not between two. */
function under(times: readonly number[]): { splits: (plot: uPlot) => number[] } {
  return { splits: (plot) => told(times, plot.over.clientWidth || plot.width, TICK_WIDTH) };
}

function stepOf(ticks: readonly number[]): number | undefined {
  const [first, second] = ticks;
  return first === undefined || second === undefined ? undefined : second - first;
}

/** Bars stand around their moment: the first and the last need half a step more. */
function room(low: number, high: number, times: readonly number[], isBars: boolean): [number, number] {
  const [first = 0, second = first + 86_400] = times;
  const half = isBars || times.length === 1 ? (second - first) / 2 : 0;
  return [low - half, high + half];
}

function fill(tip: HTMLElement, table: Table, at: number, write: (value: number) => string): void {
  const when = document.createElement("div");
  when.className = "when";
  when.textContent = table.labels[at] ?? momentText(table.times[at] ?? 0);
  tip.replaceChildren(when);
  table.series.forEach((name, index) => {
    const value = table.values[index]?.[at];
    if (value === null || value === undefined) return;
    if (value === 0 && table.series.length > 4) return; // a long list of nothing says nothing
    const line = document.createElement("div");
    line.className = "line";
    const swatch = document.createElement("span");
    swatch.className = `swatch swatch-${(index % 8) + 1}`;
    const said = document.createElement("b");
    said.textContent = write(value);
    line.append(swatch, name, said);
    tip.append(line);
  });
}
