// The official OpenRouter client for Node, unmodified but for base URL and key. It validates strictly.
import { OpenRouter } from "@openrouter/sdk";
import { z } from "zod";
import { FAULTY, MODEL, REASONER, STRANGER, UNPROVIDED, WEATHER, refusal, run } from "./cases.mjs";

const connect = ({ url, key }) => new OpenRouter({ serverURL: `${url}/api/v1`, apiKey: key });
const send = (context, body, options) =>
  connect(context).chat.send({ chatRequest: { model: MODEL, ...body } }, options);
const said = (error) => ({ status: error.statusCode, code: error.error?.code, message: error.message });

async function gathered(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const Verdict = z.object({ mood: z.enum(["good", "bad"]), score: z.number().int() });

await run({
  async chat(context) {
    const answer = await send(context, { messages: context.messages() });
    const [choice] = answer.choices;
    return { id: answer.id, model: answer.model, text: choice.message.content, reason: choice.finishReason };
  },

  async usage(context) {
    const { usage } = await send(context, { messages: context.messages({ tokens: 7, cached_tokens: 4 }) });
    return { completion: usage.completionTokens, cached: usage.promptTokensDetails.cachedTokens, cost: usage.cost };
  },

  async stream(context) {
    const chunks = await gathered(await send(context, { messages: context.messages(), stream: true }));
    return {
      text: chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join(""),
      reasons: chunks.map((chunk) => chunk.choices[0].finishReason).filter(Boolean),
      usages: chunks.map((chunk) => Boolean(chunk.usage)),
      cost: chunks.at(-1).usage.cost,
    };
  },

  async tools(context) {
    const messages = context.messages();
    const first = await send(context, { messages, tools: [WEATHER] });
    const { message, finishReason: reason } = first.choices[0];
    const [call] = message.toolCalls;
    const result = { role: "tool", toolCallId: call.id, content: "sunny, 21 degrees" };
    const second = await send(context, { messages: [...messages, message, result], tools: [WEATHER] });
    return {
      reason,
      name: call.function.name,
      arguments: JSON.parse(call.function.arguments),
      text: second.choices[0].message.content,
    };
  },

  async streamed_tools(context) {
    const body = { messages: context.messages(), tools: [WEATHER], stream: true };
    const choices = (await gathered(await send(context, body))).map((chunk) => chunk.choices[0]);
    const calls = choices.flatMap((choice) => choice.delta.toolCalls ?? []);
    return {
      reason: choices.map((choice) => choice.finishReason).find(Boolean),
      name: calls.map((call) => call.function?.name ?? "").join(""),
      arguments: JSON.parse(calls.map((call) => call.function?.arguments ?? "").join("")),
    };
  },

  async parse(context) {
    const jsonSchema = { name: "verdict", strict: true, schema: z.toJSONSchema(Verdict) };
    const answer = await send(context, {
      messages: context.messages(),
      responseFormat: { type: "json_schema", jsonSchema },
    });
    return Verdict.parse(JSON.parse(answer.choices[0].message.content));
  },

  async reasoning(context) {
    const messages = context.messages({ reasoning_tokens: 8, tokens: 3 });
    const { choices, usage } = await send(context, { model: REASONER, messages });
    const chunks = await gathered(await send(context, { model: REASONER, messages, stream: true }));
    return {
      text: choices[0].message.reasoning,
      details: choices[0].message.reasoningDetails.map((detail) => detail.text).join(""),
      streamed: chunks.map((chunk) => chunk.choices[0].delta.reasoning ?? "").join(""),
      tokens: usage.completionTokensDetails.reasoningTokens,
    };
  },

  async models(context) {
    const client = connect(context);
    const ids = (await client.models.list({ limit: 1000 })).result.data.map((model) => model.id);
    const one = (await client.models.get({ author: "openai", slug: "o1" })).data;
    return { count: ids.length, has_o1: ids.includes("openai/o1"), one: one.id };
  },

  async generation(context) {
    const client = connect(context);
    const chunks = await gathered(await send(context, { messages: context.messages(), stream: true }));
    const { data } = await client.generations.getGeneration({ id: chunks[0].id });
    return { same_id: data.id === chunks[0].id, same_cost: data.totalCost === chunks.at(-1).usage.cost };
  },

  bad_request: (context) => refusal(() => send(context, { messages: context.messages(), temperature: 3.5 }), said),

  unknown_model: (context) =>
    refusal(() => send(context, { model: "openai/no-such-model", messages: context.messages() }), said),

  unknown_key: (context) =>
    refusal(() => send({ ...context, key: STRANGER }, { messages: context.messages(), stream: true }), said),

  unprovided: (context) => refusal(() => send(context, { model: UNPROVIDED, messages: context.messages() }), said),

  unknown_path: (context) => refusal(() => connect(context).workspaces.get({ id: "no/such/workspace" }), said),

  rate_limit: (context) =>
    refusal(
      () =>
        send(context, { model: FAULTY, messages: context.messages({ status: 429 }) }, { retries: { strategy: "none" } }),
      said,
    ),

  async broken_stream(context) {
    const messages = context.messages({ tokens: 20, cut_after_events: 5 });
    const chunks = await gathered(await send(context, { model: FAULTY, messages, stream: true }));
    return {
      texts: chunks.filter((chunk) => chunk.choices[0].delta.content).length,
      failed: chunks.at(-1).error.code === 502 && chunks.at(-1).choices[0].finishReason === "error",
    };
  },

  async cancel(context) {
    const messages = context.messages({ tokens: 2000, delay_between_ms: 20 });
    let seen = 0;
    for await (const _ of await send(context, { messages, stream: true })) {
      seen += 1;
      if (seen === 3) break; // leaving the loop cancels the body
    }
    return seen;
  },
});
