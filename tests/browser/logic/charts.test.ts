import assert from "node:assert/strict";
import { test } from "node:test";
import { alone } from "../../../src/fairlead/web/browser/charts/alone.ts";
import { ends, spread, told } from "../../../src/fairlead/web/browser/charts/labels.ts";
import { stacked } from "../../../src/fairlead/web/browser/charts/stacking.ts";
import { axisTexts, countText, formatOf, millisecondsText, shareText, tickText, usdText } from "../../../src/fairlead/web/browser/charts/words.ts";

test("series stand on those before them, and what is unknown is nothing", () => {
  assert.deepEqual(stacked([[1, 2, null], [10, null, 30]]), [[1, 2, 0], [11, 2, 30]]);
  assert.deepEqual(stacked([]), []);
});

test("axes are written shortly", () => {
  assert.deepEqual([0, 999, 1500, 5_600_000, 8.35e9].map(countText), ["0", "999", "1.5K", "5.6M", "8.35B"]);
  assert.deepEqual([0, 0.5, 2.5, 12, 15_300].map(usdText), ["$0", "$0.50", "$2.50", "$12", "$15.3K"]);
  // No two steps of an axis read the same.
  const steps = [0.00008, 0.0001, 0.00012, 0.0125, 0.025, 0.0000005];
  assert.deepEqual(steps.map(usdText), ["$0.00008", "$0.0001", "$0.00012", "$0.0125", "$0.025", "$0.0000005"]);
  // And none has fewer places than another.
  assert.deepEqual(axisTexts("usd", [0, 0.25, 0.5, 0.75, 1]), ["$0", "$0.25", "$0.50", "$0.75", "$1.00"]);
  assert.deepEqual(axisTexts("usd", [0, 0.0125, 0.025]), ["$0", "$0.0125", "$0.0250"]);
  assert.deepEqual(axisTexts("usd", [0, 2, 4]), ["$0", "$2", "$4"]);
  assert.deepEqual(axisTexts("count", [0, 500, 1000]), ["0", "500", "1K"]);
  assert.deepEqual([340, 1200].map(millisecondsText), ["340 ms", "1.2 s"]);
  assert.equal(shareText(0.1234), "12.3%");
  assert.equal(formatOf("nobody knows")(7), "7");
});

test("ticks say what changes from one to the next, in UTC", () => {
  const start = Date.UTC(2026, 0, 1) / 1000;
  assert.equal(tickText(start, 28 * 86_400), "2026");
  assert.equal(tickText(start + 40 * 86_400, 31 * 86_400), "Feb");
  assert.equal(tickText(start + 86_400, 86_400), "Jan 2");
  assert.deepEqual([0, 3600].map((more) => tickText(start + more, 3600)), ["Jan 1", "01:00"]);
});

test("a value between unknown ones is drawn by itself", () => {
  assert.deepEqual(alone([null, 1, null, 2, 3, null, 4]), [1, 6]);
  assert.deepEqual(alone([5]), [0]);
  assert.deepEqual(alone([]), []);
});

test("a series ends at its last known value, and in a stack in the middle of its part", () => {
  assert.deepEqual(ends([[1, 4, null], [null, null, null]], false), [4, null]);
  assert.deepEqual(ends([[9, 2, 0], [9, 6, 0]], true), [1, 5]);
  assert.deepEqual(ends([], true), []);
});

test("labels keep apart, in their order, inside the plot", () => {
  assert.deepEqual(spread([10, 50], 16, 100), [10, 50]);
  assert.deepEqual(spread([50, 50, 50], 16, 100), [50, 66, 82]);
  assert.deepEqual(spread([99, 98], 16, 100), [92, 76]);
  const tight = spread([5, 5, 5, 5], 16, 32);
  assert.deepEqual(tight, [4, 12, 20, 28]);
});

test("the last bar is always told, and others as far as there is room", () => {
  assert.deepEqual(told([1, 2, 3, 4, 5], 500, 60), [1, 2, 3, 4, 5]);
  assert.deepEqual(told([1, 2, 3, 4, 5], 150, 60), [1, 3, 5]);
});
