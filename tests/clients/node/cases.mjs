// Runs the cases of one client and prints what each came to, as one JSON object, for pytest to judge.

export const MODEL = "openai/gpt-4o-mini";
export const CLAUDE = "anthropic/claude-sonnet-4.5";
export const FAULTY = "openai/gpt-4.1-nano";
export const REASONER = "deepseek/deepseek-r1";
export const UNPROVIDED = "x-ai/grok-4.20";
export const COMPLETER = "openai/gpt-3.5-turbo-instruct";
export const STRANGER = "sk-fl-v1-" + "0".repeat(64);

export const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    },
    strict: true,
  },
};

// A user message with directives for the twin; its calls are found by the tag.
function prompter(tag) {
  return (directives = {}) => {
    const words = Object.entries({ tag, ...directives }).map(([name, value]) => `${name}=${value}`);
    return [{ role: "user", content: `Hello twin:${words.join(";")}` }];
  };
}

async function outcome(name, work, context) {
  try {
    return { value: await work({ ...context, messages: prompter(`${context.tag}-${name}`) }) };
  } catch (error) {
    return { failure: String(error.stack ?? error) };
  }
}

// cases: name -> async function of {url, key, messages}. They run at the same time.
export async function run(cases) {
  const context = JSON.parse(process.argv[2]);
  const done = Object.entries(cases).map(async ([name, work]) => [name, await outcome(name, work, context)]);
  process.stdout.write(JSON.stringify(Object.fromEntries(await Promise.all(done))));
}

// What a case that must fail failed with: the class's name and what can be read from it.
export async function refusal(work, read) {
  try {
    await work();
  } catch (error) {
    return { type: error.constructor.name, ...read(error) };
  }
  throw new Error("nothing was refused");
}
