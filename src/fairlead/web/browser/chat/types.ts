/** What the chat keeps, all of it in the browser alone. */

export interface Usage {
  prompt: number;
  completion: number;
  reasoning: number;
  costUsd: number | null;
}

export type AnswerState = "waiting" | "streaming" | "done" | "stopped" | "failed";

/** One model's answer in a turn. generation: the record of the call; null until it is known. isFlagged: one has said
 * what is wrong with it. */
export interface Answer {
  model: string;
  state: AnswerState;
  text: string;
  reasoning: string;
  error: string | null;
  generation: string | null;
  provider: string | null;
  usage: Usage | null;
  finish: string | null;
  isFlagged: boolean;
}

/** What was said, and what each model answered. Turns with the same parent are branches. */
export interface Turn {
  id: string;
  parent: string | null;
  text: string;
  files: string[];
  answers: Answer[];
}

/** data: a data URL. */
export interface Attachment {
  name: string;
  type: string;
  data: string;
}

export interface Parameters {
  temperature: number | null;
  top_p: number | null;
  max_tokens: number | null;
  frequency_penalty: number | null;
  presence_penalty: number | null;
  seed: number | null;
  effort: string;
  web: boolean;
}

/** current: the last turn of the branch that is looked at. */
export interface Conversation {
  id: string;
  title: string;
  createdMs: number;
  changedMs: number;
  models: string[];
  system: string;
  parameters: Parameters;
  turns: Turn[];
  current: string | null;
  files: Record<string, Attachment>;
}

export const NO_PARAMETERS: Readonly<Parameters> = {
  temperature: null,
  top_p: null,
  max_tokens: null,
  frequency_penalty: null,
  presence_penalty: null,
  seed: null,
  effort: "",
  web: false,
};

export const EFFORTS = ["", "none", "minimal", "low", "medium", "high", "xhigh", "max"] as const;
export const MODELS_MAX = 5;
