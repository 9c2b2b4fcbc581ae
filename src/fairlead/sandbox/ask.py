"""What the simulated models understand of a request, whatever format it came in.

Each format file (`openai.py`, `anthropic.py`, `gemini.py`) reads its own bodies into an `Ask` and writes
an `Answer` back; `behaviour.py` stands between them and knows neither.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from fairlead.sandbox.begun import Begun
from fairlead.sandbox.faults import NO_FAULT, Fault
from fairlead.sandbox.script import Cue

__all__ = [
    "Answer",
    "Ask",
    "AskInvalid",
    "Call",
    "Choice",
    "Counts",
    "Dialect",
    "Finish",
    "Pace",
    "ToolOffer",
    "ToolRule",
]


class Dialect(StrEnum):
    """The formats that the sandbox speaks; also the words of the twin's bill."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"


class AskInvalid(Exception):
    """The request cannot be understood. message: says what was wrong; safe to show."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class ToolRule(StrEnum):
    """Whether the model may or must call a tool."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A function that the caller offers. schema: JSON schema of its arguments."""

    name: str
    schema: object = None


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, as far as a simulated model cares.

    model: the name without its fault suffix.
    text: what the user said last, where fault and length directives are looked for.
    prompt_tokens: all messages, tools and images together, counted by the sandbox's own tokenizer.
    results: what the tools answered, if the conversation ends with their answers.
    tool_forced: the one function that must be called.
    begun: the beginning of its own answer, if the conversation shows one; the rest is as if it did not.
    cue: where the conversation stands in a script of calls; None: it follows none.
    schema: the answer must be JSON that satisfies it; True: any object.
    reasoning_tokens_max: a budget for reasoning; None: by effort.
    logprobs: None: not asked; otherwise how many alternatives per token.
    """

    model: str
    text: str
    prompt_tokens: int
    fault: Fault = NO_FAULT
    streamed: bool = False
    usage_streamed: bool = True
    tools: tuple[ToolOffer, ...] = ()
    tool_rule: ToolRule = ToolRule.AUTO
    tool_forced: str | None = None
    tools_parallel: bool = True
    results: tuple[str, ...] = ()
    cue: Cue | None = None
    begun: Begun | None = None
    schema: object = None
    stop: tuple[str, ...] = ()
    tokens_max: int | None = None
    choices: int = 1
    seed: int | None = None
    effort: str | None = None
    reasoning_tokens_max: int | None = None
    logprobs: int | None = None
    tag: str | None = None


class Finish(StrEnum):
    """Why a choice ended; each format has its own word for it."""

    STOP = "stop"
    STOP_SEQUENCE = "stop_sequence"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. arguments: JSON text in pieces, one per token."""

    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer; texts are in pieces, one per token."""

    text: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    finish: Finish = Finish.STOP
    stopped_by: str | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens. cached: part of prompt. reasoning: part of completion."""

    prompt: int = 0
    completion: int = 0
    reasoning: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """first_s: until the first token. between_s: from each token to the next."""

    first_s: float = 0.0
    between_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says, before any format and any fault."""

    choices: tuple[Choice, ...]
    counts: Counts
    pace: Pace = field(default_factory=Pace)
