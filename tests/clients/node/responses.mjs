// The Responses side of the official OpenAI client for Node, unmodified but for base URL and key.
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { CLAUDE, FAULTY, MODEL, REASONER, STRANGER, UNPROVIDED, WEATHER, refusal, run } from "./cases.mjs";

const connect = ({ url, key }) => new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
const create = (context, body) =>
  connect(context).responses.create({ model: MODEL, input: context.messages(), ...body });
const stream = (context, body) =>
  connect(context).responses.stream({ model: MODEL, input: context.messages(), ...body });
const said = (error) => ({ status: error.status, kind: error.error?.code, message: error.message });

const TOOL = { type: "function", ...WEATHER.function };
const Verdict = z.object({ mood: z.enum(["good", "bad"]), score: z.number().int() });

// The same case with a provider that speaks OpenAI's chat format, and with one that speaks Anthropic's.
const both = async (work) => ({ claude: await work(CLAUDE), gpt: await work(MODEL) });

await run({
  create: (context) =>
    both(async (model) => {
      const answer = await create(context, { model });
      const { id, output_text: text, status: reason, usage } = answer;
      return { id, model: answer.model, text, reason, cost: usage.cost };
    }),

  stream: (context) =>
    both(async (model) => {
      const streamed = stream(context, { model });
      let text = "";
      streamed.on("response.output_text.delta", ({ delta }) => (text += delta));
      const final = await streamed.finalResponse();
      return { text, final: final.output_text, reason: final.status };
    }),

  tools: (context) =>
    both(async (model) => {
      const input = context.messages();
      const first = await create(context, { model, input, tools: [TOOL] });
      const call = first.output.find((item) => item.type === "function_call");
      const result = { type: "function_call_output", call_id: call.call_id, output: "sunny, 21 degrees" };
      const second = await create(context, { model, input: [...input, ...first.output, result], tools: [TOOL] });
      return { reason: first.status, name: call.name, city: JSON.parse(call.arguments).city, text: second.output_text };
    }),

  streamed_tools: (context) =>
    both(async (model) => {
      const final = await stream(context, { model, tools: [TOOL] }).finalResponse();
      const call = final.output.find((item) => item.type === "function_call");
      return { reason: final.status, name: call.name, city: JSON.parse(call.arguments).city };
    }),

  parse: (context) =>
    both(async (model) => {
      const text = { format: zodTextFormat(Verdict, "verdict") };
      return (await connect(context).responses.parse({ model, input: context.messages(), text })).output_parsed;
    }),

  async reasoning(context) {
    const input = context.messages({ reasoning_tokens: 8, tokens: 3 });
    const whole = await create(context, { model: REASONER, input });
    const streamed = await stream(context, { model: REASONER, input }).finalResponse();
    const again = await create(context, { model: REASONER, input: [...input, ...whole.output, ...context.messages()] });
    const told = ({ output }) => JSON.stringify([output[0].summary, output[0].content]);
    return {
      types: whole.output.map((item) => item.type),
      same: told(streamed) === told(whole),
      tokens: whole.usage.output_tokens_details.reasoning_tokens,
      again: again.status,
    };
  },

  bad_request: (context) => refusal(() => create(context, { temperature: 3.5 }), said),

  unknown_model: (context) => refusal(() => create(context, { model: "openai/no-such-model" }), said),

  unknown_key: (context) => refusal(() => create({ ...context, key: STRANGER }, { stream: true }), said),

  unprovided: (context) => refusal(() => create(context, { model: UNPROVIDED }), said),

  unknown_path: (context) => refusal(() => connect(context).responses.retrieve("gen-1"), said),

  rate_limit: (context) =>
    refusal(() => create(context, { model: FAULTY, input: context.messages({ status: 429 }) }), said),

  async broken_stream(context) {
    const input = context.messages({ tokens: 20, cut_after_events: 5 });
    let texts = 0;
    const broken = await refusal(async () => {
      for await (const event of await create(context, { model: FAULTY, input, stream: true })) {
        texts += event.type === "response.output_text.delta" ? 1 : 0;
      }
    }, said);
    return { texts, type: broken.type };
  },

  async cancel(context) {
    const input = context.messages({ tokens: 2000, delay_between_ms: 20 });
    let seen = 0;
    for await (const _ of await create(context, { input, stream: true })) {
      seen += 1;
      if (seen === 6) break; // leaving the loop aborts the call
    }
    return seen;
  },
});
