// The official OpenAI client for Node, unmodified but for base URL and key.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { COMPLETER, FAULTY, MODEL, REASONER, STRANGER, UNPROVIDED, WEATHER, refusal, run } from "./cases.mjs";

const connect = ({ url, key }, options = {}) => new OpenAI({ baseURL: `${url}/v1`, apiKey: key, ...options });
const create = (context, body, options) => connect(context).chat.completions.create({ model: MODEL, ...body }, options);
const said = (error) => ({ status: error.status, code: error.error?.code, message: error.message });

async function gathered(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const Verdict = z.object({ mood: z.enum(["good", "bad"]), score: z.number().int() });

await run({
  async chat(context) {
    const answer = await create(context, { messages: context.messages() });
    const [choice] = answer.choices;
    return { id: answer.id, model: answer.model, text: choice.message.content, reason: choice.finish_reason };
  },

  async usage(context) {
    const { usage } = await create(context, { messages: context.messages({ tokens: 7, cached_tokens: 4 }) });
    return {
      completion: usage.completion_tokens,
      cached: usage.prompt_tokens_details.cached_tokens,
      cost: usage.cost,
    };
  },

  async stream(context) {
    const chunks = await gathered(await create(context, { messages: context.messages(), stream: true }));
    return {
      text: chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join(""),
      reasons: chunks.map((chunk) => chunk.choices[0].finish_reason).filter(Boolean),
      usages: chunks.map((chunk) => Boolean(chunk.usage)),
      cost: chunks.at(-1).usage.cost,
    };
  },

  async tools(context) {
    const messages = context.messages();
    const first = await create(context, { messages, tools: [WEATHER] });
    const { message, finish_reason: reason } = first.choices[0];
    const [call] = message.tool_calls;
    const result = { role: "tool", tool_call_id: call.id, content: "sunny, 21 degrees" };
    const second = await create(context, { messages: [...messages, message, result], tools: [WEATHER] });
    return {
      reason,
      name: call.function.name,
      arguments: JSON.parse(call.function.arguments),
      text: second.choices[0].message.content,
    };
  },

  async streamed_tools(context) {
    const stream = connect(context).chat.completions.stream({
      model: MODEL,
      messages: context.messages(),
      tools: [WEATHER],
    });
    const { message, finish_reason: reason } = (await stream.finalChatCompletion()).choices[0];
    const [call] = message.tool_calls;
    return { reason, name: call.function.name, arguments: JSON.parse(call.function.arguments) };
  },

  async parse(context) {
    const answer = await connect(context).chat.completions.parse({
      model: MODEL,
      messages: context.messages(),
      response_format: zodResponseFormat(Verdict, "verdict"),
    });
    return answer.choices[0].message.parsed;
  },

  async reasoning(context) {
    const messages = context.messages({ reasoning_tokens: 8, tokens: 3 });
    const { choices, usage } = await create(context, { model: REASONER, messages });
    const chunks = await gathered(await create(context, { model: REASONER, messages, stream: true }));
    return {
      text: choices[0].message.reasoning,
      details: choices[0].message.reasoning_details.map((detail) => detail.text).join(""),
      streamed: chunks.map((chunk) => chunk.choices[0].delta.reasoning ?? "").join(""),
      tokens: usage.completion_tokens_details.reasoning_tokens,
    };
  },

  async models(context) {
    const client = connect(context);
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    return { count: ids.length, has_o1: ids.includes("openai/o1"), one: (await client.models.retrieve("openai/o1")).id };
  },

  async completions(context) {
    const client = connect(context);
    const [{ content: prompt }] = context.messages();
    const body = { model: COMPLETER, prompt, max_tokens: 100 };
    const whole = await client.completions.create(body);
    const chunks = await gathered(await client.completions.create({ ...body, stream: true }));
    return {
      prompt,
      text: whole.choices[0].text,
      streamed: chunks.map((chunk) => chunk.choices[0].text).join(""),
      cost: whole.usage.cost,
    };
  },

  bad_request: (context) =>
    refusal(() => create(context, { messages: context.messages(), temperature: 3.5 }), said),

  unknown_model: (context) =>
    refusal(() => create(context, { model: "openai/no-such-model", messages: context.messages() }), said),

  unknown_key: (context) =>
    refusal(() => create({ ...context, key: STRANGER }, { messages: context.messages(), stream: true }), said),

  unprovided: (context) => refusal(() => create(context, { model: UNPROVIDED, messages: context.messages() }), said),

  unknown_path: (context) => refusal(() => connect(context).get("/no/such/path"), said),

  rate_limit: (context) =>
    refusal(
      () => create(context, { model: FAULTY, messages: context.messages({ status: 429 }) }, { maxRetries: 0 }),
      said,
    ),

  async broken_stream(context) {
    const messages = context.messages({ tokens: 20, cut_after_events: 5 });
    const stream = await create(context, { model: FAULTY, messages, stream: true });
    const texts = [];
    const broken = await refusal(async () => {
      for await (const chunk of stream) texts.push(chunk.choices[0].delta.content);
    }, said);
    return { texts: texts.filter(Boolean).length, failed: broken.type === "APIError" };
  },

  async cancel(context) {
    const messages = context.messages({ tokens: 2000, delay_between_ms: 20 });
    let seen = 0;
    for await (const _ of await create(context, { messages, stream: true })) {
      seen += 1;
      if (seen === 3) break; // leaving the loop aborts the call
    }
    return seen;
  },
});
