// The official Anthropic client for TypeScript, unmodified but for base URL and key.
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import { CLAUDE, FAULTY, MODEL, STRANGER, UNPROVIDED, WEATHER, refusal, run } from "./cases.mjs";

const connect = ({ url, key }) => new Anthropic({ baseURL: `${url}/api`, apiKey: key, maxRetries: 0 });
const LIMIT = { max_tokens: 4000 };
const create = (context, body) => connect(context).messages.create({ model: MODEL, ...LIMIT, ...body });
const stream = (context, body) => connect(context).messages.stream({ model: MODEL, ...LIMIT, ...body });
const said = (error) => ({ status: error.status, kind: error.error?.error?.type, message: error.message });

const TOOL = { name: WEATHER.function.name, input_schema: WEATHER.function.parameters };
const Verdict = z.object({ mood: z.enum(["good", "bad"]), score: z.number().int() });

// The same case with a provider that speaks Messages, and with one that does not.
const both = async (work) => ({ claude: await work(CLAUDE), gpt: await work(MODEL) });

await run({
  create: (context) =>
    both(async (model) => {
      const answer = await create(context, { model, messages: context.messages() });
      const { id, content, stop_reason: reason, usage } = answer;
      return { id, model: answer.model, text: content[0].text, reason, cost: usage.cost };
    }),

  stream: (context) =>
    both(async (model) => {
      const streamed = stream(context, { model, messages: context.messages() });
      let text = "";
      streamed.on("text", (delta) => (text += delta));
      const final = await streamed.finalMessage();
      return { text, final: final.content[0].text, reason: final.stop_reason };
    }),

  tools: (context) =>
    both(async (model) => {
      const messages = context.messages();
      const first = await create(context, { model, messages, tools: [TOOL] });
      const call = first.content.find((block) => block.type === "tool_use");
      const result = { type: "tool_result", tool_use_id: call.id, content: "sunny, 21 degrees" };
      const history = [...messages, { role: "assistant", content: first.content }, { role: "user", content: [result] }];
      const second = await create(context, { model, messages: history, tools: [TOOL] });
      return { reason: first.stop_reason, name: call.name, city: call.input.city, text: second.content[0].text };
    }),

  streamed_tools: (context) =>
    both(async (model) => {
      const final = await stream(context, { model, messages: context.messages(), tools: [TOOL] }).finalMessage();
      const call = final.content.find((block) => block.type === "tool_use");
      return { reason: final.stop_reason, name: call.name, city: call.input.city };
    }),

  parse: (context) =>
    both(async (model) => {
      const answer = await connect(context).messages.parse({
        model,
        ...LIMIT,
        messages: context.messages(),
        output_config: { format: zodOutputFormat(Verdict) },
      });
      return answer.parsed_output;
    }),

  async thinking(context) {
    const messages = context.messages({ reasoning_tokens: 8, tokens: 3 });
    const body = { model: CLAUDE, messages, thinking: { type: "enabled", budget_tokens: 1024 } };
    const whole = await create(context, body);
    const streamed = await stream(context, body).finalMessage();
    const turn = { role: "assistant", content: streamed.content };
    const again = await create(context, { ...body, messages: [...messages, turn, ...context.messages()] });
    const [thinking] = whole.content;
    return {
      signed: Boolean(thinking.signature),
      same: JSON.stringify(streamed.content[0]) === JSON.stringify(thinking),
      tokens: whole.usage.output_tokens_details.thinking_tokens,
      again: again.content.at(-1).type,
    };
  },

  async count_tokens(context) {
    const count = (model) => connect(context).messages.countTokens({ model, messages: context.messages() });
    return both(async (model) => (await count(model)).input_tokens);
  },

  bad_request: (context) => refusal(() => create(context, { messages: context.messages(), stop_sequences: "x" }), said),

  unknown_model: (context) =>
    refusal(() => create(context, { model: "openai/no-such-model", messages: context.messages() }), said),

  unknown_key: (context) =>
    refusal(() => create({ ...context, key: STRANGER }, { messages: context.messages(), stream: true }), said),

  unprovided: (context) => refusal(() => create(context, { model: UNPROVIDED, messages: context.messages() }), said),

  unknown_path: (context) => refusal(() => connect(context).get("/v1/no/such/path"), said),

  rate_limit: (context) =>
    refusal(() => create(context, { model: FAULTY, messages: context.messages({ status: 429 }) }), said),

  async broken_stream(context) {
    const messages = context.messages({ tokens: 20, cut_after_events: 5 });
    let texts = 0;
    const broken = await refusal(async () => {
      for await (const event of await create(context, { model: FAULTY, messages, stream: true })) {
        texts += event.type === "content_block_delta" ? 1 : 0;
      }
    }, said);
    return { texts, type: broken.type };
  },

  async cancel(context) {
    const messages = context.messages({ tokens: 2000, delay_between_ms: 20 });
    let seen = 0;
    for await (const _ of await create(context, { messages, stream: true })) {
      seen += 1;
      if (seen === 4) break; // leaving the loop aborts the call
    }
    return seen;
  },
});
