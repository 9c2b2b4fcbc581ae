import assert from "node:assert/strict";
import { test } from "node:test";
import { bodyOf, Events, messageOf, take, usageOf } from "../../../src/fairlead/web/browser/chat/asking.ts";
import { FILE_BYTES_MAX, FILES_MAX, refusal } from "../../../src/fairlead/web/browser/chat/attaching.ts";
import * as conversation from "../../../src/fairlead/web/browser/chat/conversation.ts";
import * as dom from "../../../src/fairlead/web/browser/chat/dom.ts";
import { read, Unreadable, written } from "../../../src/fairlead/web/browser/chat/exchange.ts";
import { mathAt } from "../../../src/fairlead/web/browser/chat/formula.ts";
import { matching, type Choice } from "../../../src/fairlead/web/browser/chat/models.ts";
import { countSet, settingsOf } from "../../../src/fairlead/web/browser/chat/settings.ts";
import { NO_PARAMETERS, type Conversation, type Turn } from "../../../src/fairlead/web/browser/chat/types.ts";
import { lines } from "../../../src/fairlead/web/browser/chat/why.ts";
import { leftOut, remembered } from "../../../src/fairlead/web/browser/chat/workspaces.ts";
import { costText, dayText, usageText, withAddresses } from "../../../src/fairlead/web/browser/chat/words.ts";

const PNG = { name: "dot.png", type: "image/png", data: "data:image/png;base64,AAAA" };
const PDF = { name: "page.pdf", type: "application/pdf", data: "data:application/pdf;base64,AAAA" };

/** Two models, two turns, all answered. */
function talk(): Conversation {
  let made = conversation.newConversation("c", 0, ["a/one", "b/two"]);
  for (const text of ["first", "second"]) {
    made = conversation.said(made, text, text);
    for (const answer of last(made).answers) Object.assign(answer, { state: "done", text: `${answer.model} on ${text}` });
  }
  return made;
}

function last(of: Conversation): Turn {
  const turn = conversation.path(of).at(-1);
  assert.ok(turn);
  return turn;
}

const ids = (of: Conversation) => conversation.path(of).map((turn) => turn.id);

test("each model is told what was said before, with its own answers", () => {
  const made = conversation.said({ ...talk(), system: "Be brief." }, "third", "third");
  assert.deepEqual(bodyOf(made, last(made), "b/two"), {
    model: "b/two",
    stream: true,
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", content: "first" },
      { role: "assistant", content: "b/two on first" },
      { role: "user", content: "second" },
      { role: "assistant", content: "b/two on second" },
      { role: "user", content: "third" },
    ],
  });
});

test("a model that joins later is told another's answers", () => {
  const made = conversation.said({ ...talk(), models: ["c/new"] }, "third", "third");
  assert.equal(bodyOf(made, last(made), "c/new").messages[1]?.content, "a/one on first");
});

test("only parameters that were set are sent", () => {
  const parameters = { ...NO_PARAMETERS, temperature: 0, max_tokens: 10, effort: "low", web: true };
  const made = { ...talk(), parameters };
  const { model: _model, messages: _messages, ...rest } = bodyOf(made, last(made), "a/one");
  assert.deepEqual(rest, {
    stream: true,
    temperature: 0,
    max_tokens: 10,
    reasoning: { effort: "low" },
    web_search_options: { search_context_size: "medium" },
  });
});

test("images and documents go along with the words", () => {
  const made = conversation.said(conversation.newConversation("c", 0, ["a/one"]), "t", "Look", { p: PNG, d: PDF });
  assert.deepEqual(bodyOf(made, last(made), "a/one").messages, [
    {
      role: "user",
      content: [
        { type: "text", text: "Look" },
        { type: "image_url", image_url: { url: PNG.data } },
        { type: "file", file: { filename: "page.pdf", file_data: PDF.data } },
      ],
    },
  ]);
});

test("editing makes a branch and the old one stays", () => {
  const before = talk();
  const first = before.turns[0];
  assert.ok(first);
  const after = conversation.edited(before, first, "first again", "In other words");
  assert.deepEqual(ids(after), ["first again"]);
  assert.deepEqual(conversation.branches(after, last(after)).map((turn) => turn.id), ["first", "first again"]);
  assert.deepEqual(ids(conversation.switched(after, first)), ["first", "second"]);
  assert.deepEqual(ids(before), ["first", "second"]);
});

test("another answer leaves those of the other models", () => {
  const before = talk();
  const after = conversation.askedAgain(before, last(before), "again", 1);
  assert.deepEqual(last(after).answers.map((one) => [one.model, one.state]), [["a/one", "done"], ["b/two", "waiting"]]);
  assert.equal(last(before).answers[1]?.state, "done");
  assert.ok(conversation.isBusy(after));
  assert.ok(!conversation.isBusy(conversation.settled(after)));
});

test("a title is the first thing said, shortened between characters", () => {
  const made = conversation.said(conversation.newConversation("c", 0, []), "t", `  ${"😀".repeat(80)}\n`);
  assert.equal(made.title, `${"😀".repeat(59)}…`);
});

test("a stream says the same wherever it is cut", () => {
  const text = [
    ": wait", 'data: {"id":"gen-1","provider":"Acme","choices":[{"delta":{"reasoning":"hm"}}]}',
    'data: {"choices":[{"delta":{"content":"Hel"}}]}', 'data: {"choices":[{"delta":{"content":"lo ü"},"finish_reason":"stop"}]}',
    'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5,"cost":0.002925,"completion_tokens_details":{"reasoning_tokens":2}}}',
    "data: [DONE]", "",
  ].join("\r\n\r\n");
  for (let cut = 0; cut <= text.length; cut += 1) {
    const events = new Events();
    const answer = conversation.newAnswer("a/one");
    const ends = [text.slice(0, cut), text.slice(cut)].flatMap((part) => events.feed(part)).map((data) => take(answer, data));
    assert.deepEqual(
      [answer.text, answer.reasoning, answer.generation, answer.provider, answer.finish, answer.state, ends.at(-1)],
      ["Hello ü", "hm", "gen-1", "Acme", "stop", "streaming", true],
    );
    assert.deepEqual(answer.usage, { prompt: 3, completion: 5, reasoning: 2, costUsd: 0.002925 });
  }
});

test("an error in a stream is told in place, and nonsense is passed over", () => {
  const answer = conversation.newAnswer("a/one");
  for (const data of ["nonsense", "null", "[]", '{"choices":{"a":1}}', '{"choices":[null,{"delta":"x"}]}']) take(answer, data);
  assert.equal(answer.state, "waiting");
  take(answer, '{"error":{"message":"It broke."},"choices":[]}');
  assert.deepEqual([answer.state, answer.error], ["failed", "It broke."]);
  assert.equal(messageOf({ error: { message: 7 } }), null);
});

test("what was exported comes back as it was", () => {
  const made = conversation.said(talk(), "third", "third", { p: PNG });
  const flagged = made.turns[0]?.answers[0];
  assert.ok(flagged);
  flagged.isFlagged = true;
  const kept = conversation.settled(made);
  assert.deepEqual(read(written([kept], 0)), [kept]);
});

test("files of others are refused, or read without what does not belong in them", () => {
  const good = JSON.parse(written([conversation.settled(talk())], 0));
  const broken: [string, (file: any) => void][] = [
    ["format", (file) => (file.format = "other")],
    ["version", (file) => (file.version = 2)],
    ["a circle", (file) => (file.conversations[0].turns[0].parent = "second")],
    ["a turn twice", (file) => (file.conversations[0].turns[1].id = "first")],
    ["a gap", (file) => (file.conversations[0].turns[1].parent = "nowhere")],
    ["a script for an image", (file) => (file.conversations[0].files = { x: { name: "x", data: "data:text/html;base64,AAAA" } })],
    ["a drawing with scripts", (file) => (file.conversations[0].files = { x: { name: "x", data: "data:image/svg+xml;base64,AAAA" } })],
    ["an address for an image", (file) => (file.conversations[0].files = { x: { name: "x", data: "https://evil.example/x.png" } })],
    ["a number for text", (file) => (file.conversations[0].turns[0].text = 7)],
    ["too many models", (file) => (file.conversations[0].models = Array(9).fill("a/b"))],
    ["an id with markup", (file) => (file.conversations[0].id = "<img src=x>")],
    ["none", (file) => (file.conversations = [null])],
  ];
  for (const [what, spoil] of broken) {
    const file = structuredClone(good);
    spoil(file);
    assert.throws(() => read(JSON.stringify(file)), Unreadable, what);
  }
  assert.throws(() => read("{"), Unreadable);
  assert.throws(() => read("null"), Unreadable);
  const polluted = JSON.stringify(good).replace('"title"', '"__proto__":{"isAdmin":true},"onclick":"x","title"');
  const [found] = read(polluted);
  assert.ok(found !== undefined && !("onclick" in found) && !("isAdmin" in found));
});

test("attachments are images and documents within bounds", () => {
  assert.equal(refusal({ name: "a.png", type: "image/png", size: 10 }, 0), null);
  assert.match(refusal({ name: "a.svg", type: "image/svg+xml", size: 10 }, 0) ?? "", /neither/);
  assert.match(refusal({ name: "a.pdf", type: "application/pdf", size: FILE_BYTES_MAX + 1 }, 0) ?? "", /8\.0 MB/);
  assert.match(refusal({ name: "a.png", type: "image/png", size: 10 }, FILES_MAX) ?? "", /At most 8/);
});

test("the workspace of the last time is chosen while it is offered, else the first", () => {
  assert.deepEqual(["b", "gone", null].map((kept) => remembered(kept, ["a", "b"])), ["b", "a", "a"]);
  assert.equal(remembered("a", []), "");
});

test("the workspace of the last time is asked for if it may be one that is not offered", () => {
  assert.equal(leftOut("c", ["a", "b"], true), "c");
  assert.deepEqual(["b", null].map((kept) => leftOut(kept, ["a", "b"], true)), [null, null]);
  assert.equal(leftOut("gone", ["a", "b"], false), null);
});

test("formulas are told from money", () => {
  assert.deepEqual(mathAt("$x^2$ and more"), { raw: "$x^2$", tex: "x^2", isDisplayed: false });
  assert.deepEqual(mathAt("$$\n\\frac12\n$$"), { raw: "$$\n\\frac12\n$$", tex: "\\frac12", isDisplayed: true });
  assert.equal(mathAt("\\(a\\)")?.tex, "a");
  assert.equal(mathAt("\\[a\\]")?.isDisplayed, true);
  for (const text of ["$5 and $6", "$ 5$", "$5", "$1,000 to $2,000", "a $x$", "$x$5"]) assert.equal(mathAt(text), null, text);
});

test("models are found by words of their name, those that can be called first", () => {
  const choice = (id: string, ready: boolean): Choice => ({
    id, name: `Name of ${id}`, price: "", context: "", reads: [], reasons: false, searches: false, ready,
  });
  const all = [choice("openai/o1", false), choice("openai/o3-mini", true), choice("acme/o1", true)];
  assert.deepEqual(matching(all, "O1 ").map((one) => one.id), ["acme/o1", "openai/o1"]);
  const several = [choice("openai/o1-pro", true), choice("openai/o1", true), choice("acme/o1", false)];
  assert.deepEqual(matching(several, "o1").map((one) => one.id), ["openai/o1", "openai/o1-pro", "acme/o1"]);
  assert.deepEqual(matching(all, "mini openai").map((one) => one.id), ["openai/o3-mini"]);
  const written = [choice("openai/gpt-4o-mini", true), choice("openai/gpt-4o", true), choice("openai/gpt-4-turbo-1106", true)];
  assert.deepEqual(matching(written, "GPT4o").map((one) => one.id), ["openai/gpt-4o", "openai/gpt-4o-mini"]);
  assert.deepEqual(matching(written, "o1"), []);
  assert.equal(matching(all, "").length, 3);
});

test("settings that are no numbers are not there", () => {
  const fields: Record<string, string> = { system: "Hi", temperature: "0", top_p: "x", max_tokens: "10.7", effort: "huge", web: "true" };
  const found = settingsOf((name) => fields[name] ?? "");
  assert.deepEqual(found, { system: "Hi", parameters: { ...NO_PARAMETERS, temperature: 0, max_tokens: 10, web: true } });
  assert.equal(countSet(found), 4);
  assert.equal(countSet({ system: " ", parameters: NO_PARAMETERS }), 0);
});

test("why a provider was asked is read from what is told, whatever is missing", () => {
  const told = { candidates: [{ provider: "acme", explanation: "Its turn.", selected: true }, null], removed: [{ provider: "b", reason: "zdr", detail: "keeps" }] };
  assert.deepEqual(lines(told), {
    plan: [{ who: "acme", why: "Its turn.", isChosen: true }, { who: "", why: "", isChosen: false }],
    removed: [{ who: "b", why: "zdr (keeps)", isChosen: false }],
  });
  assert.deepEqual(lines({}), { plan: [], removed: [] });
});

test("a model's page is a path of ours, whatever is called a model", () => {
  const { modelAddress } = dom;
  assert.equal(modelAddress("openai/o1:nitro"), "/openai/o1:nitro");
  for (const name of ["//evil.example/x", "/\\evil.example", "javascript:x", "https://evil.example"])
    assert.match(new URL(modelAddress(name), "https://gate.example").href, /^https:\/\/gate\.example\//, name);
});

test("what was stopped costs what its record says", () => {
  assert.equal(usageOf(null), null);
  const told = { tokens_prompt: 3, tokens_completion: 5, native_tokens_reasoning: null, total_cost: 0.5 };
  assert.deepEqual(usageOf(told), { prompt: 3, completion: 5, reasoning: 0, costUsd: 0.5 });
});

test("costs are exact, and days are those of the calendar", () => {
  assert.deepEqual([0, 0.002925, 1.2, 1234.5, 1e-9].map(costText), ["$0.00", "$0.002925", "$1.20", "$1,234.50", "$0.000000001"]);
  assert.equal(usageText({ prompt: 12, completion: 1340, reasoning: 200, costUsd: null }), "12 in · 1,340 out (200 reasoning)");
  const now = new Date(2026, 10, 22, 9).getTime();
  const days = [now, now - 10 * 3_600_000, new Date(2026, 10, 1).getTime(), new Date(2025, 0, 5).getTime()];
  assert.deepEqual(days.map((ms) => dayText(ms, now)), ["Today", "Yesterday", "Nov 1", "Jan 5, 2025"]);
});

test("where to go for what failed is a link, to this site alone", () => {
  const pieces = withAddresses("Add credits: https://a.test/credits. Not https://a.test.evil/x", "https://a.test");
  assert.deepEqual(pieces, ["Add credits: ", "https://a.test/credits", ". Not https://a.test.evil/x"]);
  assert.deepEqual(withAddresses("https://axtest/credits", "https://a.test"), ["https://axtest/credits"]);
});

test("what two windows said in one conversation is both kept", () => {
  const before = talk();
  const here = conversation.said(before, "here", "here");
  const there = conversation.said(structuredClone(before), "there", "there");
  const both = conversation.together(there, { ...here, title: "Named here" }, new Set(["here"]));
  assert.deepEqual(both.turns.map((turn) => turn.id), ["first", "second", "there", "here"]);
  assert.deepEqual([both.title, both.current], ["Named here", "here"]);
  // Of a turn that the other window asked, what it has counts; of ours, what we have.
  const [first, second] = structuredClone(both).turns;
  assert.ok(first?.answers[0] && second?.answers[0]);
  first.answers[0].text = second.answers[0].text = "more of it";
  const again = conversation.together({ ...both, turns: [first, second] }, both, new Set(["second", "here"]));
  assert.deepEqual(again.turns.map((turn) => turn.answers[0]?.text), ["more of it", "a/one on second", "", ""]);
});

test("a turn that went on elsewhere is amended in its place alone", () => {
  const made = talk();
  const stopped = { ...last(made), text: "second, as it became" };
  const amended = conversation.withTurns(made, [stopped, { ...stopped, id: "of another" }]);
  assert.deepEqual(amended.turns.map((turn) => turn.text), ["first", "second, as it became"]);
});
