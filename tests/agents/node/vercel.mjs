// The Vercel AI SDK with three of its providers, unmodified but for base URL and key.
// Does the tasks of its argument at the same time and prints what each came to: {name: {text} | {failure}}.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const { url, key, tasks } = JSON.parse(process.argv[2]);
const STEPS_MAX = 5;
const settings = { apiKey: key, baseURL: `${url}/api/v1` };
const openrouter = createOpenRouter(settings);
const anthropic = createAnthropic(settings);
const openai = createOpenAI(settings);
const MODELS = {
  openrouter: (name) => openrouter.chat(name),
  anthropic: (name) => anthropic(name),
  responses: (name) => openai.responses(name),
};

const tools = (folder) => ({
  read_file: tool({
    description: "What a file says.",
    inputSchema: z.object({ path: z.string() }),
    execute: ({ path }) => readFile(join(folder, path), "utf8"),
  }),
  write_file: tool({
    description: "Write a text into a file.",
    inputSchema: z.object({ path: z.string(), content: z.string() }),
    execute: async ({ path, content }) => {
      await writeFile(join(folder, path), content);
      return "written";
    },
  }),
});

async function done({ kind, model, streamed, folder, prompt }) {
  const ask = {
    model: MODELS[kind](model),
    tools: tools(folder),
    stopWhen: stepCountIs(STEPS_MAX),
    prompt,
  };
  if (!streamed) return { text: (await generateText(ask)).text };
  let text = "";
  for await (const part of streamText(ask).fullStream) {
    if (part.type === "error") throw part.error;
    if (part.type === "text-delta") text += part.text;
  }
  return { text };
}

const outcomes = Object.entries(tasks).map(async ([name, task]) => {
  const failed = (error) => ({ failure: String(error.stack ?? error) });
  return [name, await done(task).catch(failed)];
});
process.stdout.write(JSON.stringify(Object.fromEntries(await Promise.all(outcomes))));
