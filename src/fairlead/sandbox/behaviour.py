"""What each simulated model answers. Pure: the same request gets the same answer, on every machine.

    echo       repeats the last user text
    story      a story of our own; goes on until it is told to stop
    reasoner   thinks first, by effort or budget, then answers
    tools      calls the tools it is offered, then reports what they said
    embed      vectors only, see `embedding`
    flaky      like echo, but every other call may fail, see `flaky_fault`
    slow       like story, at the pace of a large model under load

All of them obey `max_tokens`, stop sequences, forced tools and JSON schemas, as real models do, and
make the calls that a script in the conversation asks for, see `script.py`, and go on with an answer that was
begun, see `begun.py`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Final

import msgspec

from fairlead.sandbox.ask import (
    Answer,
    Ask,
    AskInvalid,
    Call,
    Choice,
    Counts,
    Finish,
    Pace,
    ToolOffer,
    ToolRule,
)
from fairlead.sandbox.faults import NO_FAULT, Fault
from fairlead.sandbox.schema import Unsatisfiable, instance
from fairlead.sandbox.words import count, mark, pieces, speak

__all__ = [
    "CHAT_MODELS",
    "DIMENSIONS",
    "EMBEDDING_MODEL",
    "MODELS",
    "answer",
    "behaviour_of",
    "count_prompt",
    "embedding",
    "flaky_fault",
]

CHAT_MODELS: Final = ("echo", "story", "reasoner", "tools", "flaky", "slow")
EMBEDDING_MODEL: Final = "embed"
MODELS: Final = (*CHAT_MODELS, EMBEDDING_MODEL)
DIMENSIONS: Final = 256
DIMENSIONS_MAX: Final = 4096

_STORY_TOKENS: Final = 240
_CHOICES_MAX: Final = 128
_EFFORT_TOKENS: Final = {
    "none": 0,
    "minimal": 16,
    "low": 32,
    "medium": 64,
    "high": 128,
    "xhigh": 256,
    "max": 512,
}
_PACES: Final = {
    "story": Pace(first_s=0.05, between_s=0.01),
    "reasoner": Pace(first_s=0.05, between_s=0.01),
    "slow": Pace(first_s=1.5, between_s=0.12),
}
_AT_ONCE: Final = Pace()


def behaviour_of(model: str) -> str | None:
    """`sandbox/story` and `story` are the same; None: not one of ours."""
    name = model.rpartition("/")[2]
    return name if name in MODELS else None


def answer(ask: Ask) -> Answer:
    """Raises AskInvalid for what a chat model cannot do.

    A model name that is not ours, as tests against real names use them, gets the behaviour that fits the
    request: tools if it brings tools, reasoning if it asks for some, otherwise an echo.
    """
    if not 1 <= ask.choices <= _CHOICES_MAX:
        raise AskInvalid(f"between 1 and {_CHOICES_MAX} choices can be had, not {ask.choices}")
    if ask.tool_forced is not None and ask.tool_forced not in (tool.name for tool in ask.tools):
        raise AskInvalid(f"the tool choice names {ask.tool_forced!r}, which is not among the tools")
    behaviour = behaviour_of(ask.model) or _fitting(ask)
    if behaviour == EMBEDDING_MODEL:
        raise AskInvalid(f"{ask.model} makes embeddings; it does not chat")
    choices = tuple(_choice(ask, behaviour, index) for index in range(ask.choices))
    reasoning = sum(len(choice.reasoning) for choice in choices)
    return Answer(
        choices=choices,
        counts=Counts(
            prompt=ask.prompt_tokens,
            completion=reasoning + sum(map(_visible_tokens, choices)),
            reasoning=reasoning,
            cached=min(ask.fault.cached_tokens or 0, ask.prompt_tokens),
        ),
        pace=_pace(ask.fault, _PACES.get(behaviour, _AT_ONCE)),
    )


def _fitting(ask: Ask) -> str:
    if ask.tools and ask.tool_rule is not ToolRule.NONE:
        return "tools"
    if ask.effort not in (None, "none") or ask.reasoning_tokens_max is not None:
        return "reasoner"
    return "echo"


def _pace(fault: Fault, usual: Pace) -> Pace:
    first, between = fault.delay_first_ms, fault.delay_between_ms
    if first is None and between is None:
        return usual
    return Pace(
        first_s=usual.first_s if first is None else first / 1000,
        between_s=usual.between_s if between is None else between / 1000,
    )


def _choice(ask: Ask, behaviour: str, index: int) -> Choice:
    if ask.fault.empty:
        return Choice()
    is_prefill = ask.begun is not None and ask.begun.is_prefill
    reasoning = () if is_prefill else _reasoning(ask, behaviour, index)
    calls = _calls(ask, behaviour)
    spoken: tuple[str, ...] = () if calls else _speech(ask, behaviour, index)
    finish = Finish.TOOL_CALLS if calls else Finish.STOP
    choice = Choice(text=spoken, reasoning=reasoning, calls=calls, finish=finish)
    if ask.stop and spoken:
        choice = _stopped(choice, ask.stop)
    if ask.begun is not None:
        choice = replace(choice, text=ask.begun.rest(choice.text, ask.fault.repeat))
    return choice if ask.tokens_max is None else _limited(choice, ask.tokens_max)


def _reasoning(ask: Ask, behaviour: str, index: int) -> tuple[str, ...]:
    tokens = ask.fault.reasoning_tokens
    if tokens is None:
        if behaviour != "reasoner":
            return ()
        tokens = _EFFORT_TOKENS.get(ask.effort or "medium", _EFFORT_TOKENS["medium"])
        if ask.reasoning_tokens_max is not None:
            tokens = ask.reasoning_tokens_max if ask.effort is None else tokens
            tokens = min(tokens, ask.reasoning_tokens_max, _EFFORT_TOKENS["max"])
    return speak(start=_start(ask, index), tokens=tokens, thinking=True)


def _start(ask: Ask, index: int) -> int:
    return (mark(ask.text) if ask.seed is None else abs(ask.seed)) + index


def _speech(ask: Ask, behaviour: str, index: int) -> tuple[str, ...]:
    if ask.fault.tokens is not None:
        return speak(start=_start(ask, index), tokens=ask.fault.tokens)
    if ask.schema is not None:
        return pieces(_json_for(ask.schema))
    if ask.results:
        return pieces("The tools say: " + " ".join(ask.results))
    match behaviour:
        case "story" | "slow":
            return speak(start=_start(ask, index), tokens=_STORY_TOKENS)
        case "reasoner":
            conclusion = mark(ask.text) % 100
            return pieces(f"I thought about it, and the answer is {conclusion}.")
        case "tools":
            return pieces("There was no tool for me to call, so I answer in words.")
    return pieces(ask.text)


def _calls(ask: Ask, behaviour: str) -> tuple[Call, ...]:
    if not ask.tools or ask.tool_rule is ToolRule.NONE:
        return ()
    if ask.tool_forced is not None:
        return tuple(_call(tool) for tool in ask.tools if tool.name == ask.tool_forced)[:1]
    if ask.cue is not None:
        arguments = pieces(ask.cue.arguments)
        return tuple(Call(t.name, arguments) for t in ask.tools if t.name == ask.cue.tool)[:1]
    if ask.tool_rule is ToolRule.AUTO and (
        behaviour != "tools" or ask.results or ask.schema is not None
    ):
        return ()
    named = [tool for tool in ask.tools if tool.name in ask.text]
    chosen = named or [ask.tools[0]]
    return tuple(map(_call, chosen if ask.tools_parallel else chosen[:1]))


def _call(tool: ToolOffer) -> Call:
    return Call(tool.name, pieces(_json_for(tool.schema) if tool.schema is not None else "{}"))


def _json_for(schema: object) -> str:
    """JSON text that satisfies the schema; `{}` where we find none, as a weak model would answer."""
    try:
        value = instance({"type": "object"} if schema is True else schema)
    except Unsatisfiable:
        value = {}
    return msgspec.json.encode(value).decode()


def _limited(choice: Choice, tokens_max: int) -> Choice:
    """Cut at the limit, after the stop sequences: what came first in the answer counts first."""
    left = tokens_max - len(choice.reasoning)
    if left < 0:
        return Choice(reasoning=choice.reasoning[:tokens_max], finish=Finish.LENGTH)
    if choice.calls:
        return choice if _visible_tokens(choice) <= left else _shortened_calls(choice, left)
    if len(choice.text) > left:
        return replace(choice, text=choice.text[:left], finish=Finish.LENGTH, stopped_by=None)
    return choice


def _stopped(choice: Choice, stop: Sequence[str]) -> Choice:
    text = "".join(choice.text)
    found = [(at, word) for word in stop if word and (at := text.find(word)) >= 0]
    if not found:
        return choice
    at, word = min(found)
    ends = accumulate(map(len, choice.text))
    whole = sum(1 for end in ends if end <= at)
    kept = choice.text[:whole]
    rest = text[sum(map(len, kept)) : at]
    return replace(
        choice,
        text=(*kept, rest) if rest else kept,
        finish=Finish.STOP_SEQUENCE,
        stopped_by=word,
    )


def _shortened_calls(choice: Choice, left: int) -> Choice:
    """The limit falls into the arguments: they break off, as they do in life."""
    calls: list[Call] = []
    for call in choice.calls:
        if left <= 0:
            break
        calls.append(Call(call.name, call.arguments[: max(0, left - 1)]))
        left -= 1 + len(call.arguments)
    return replace(choice, calls=tuple(calls), finish=Finish.LENGTH)


def _visible_tokens(choice: Choice) -> int:
    return len(choice.text) + sum(1 + len(call.arguments) for call in choice.calls)


def flaky_fault(turn: int, seed: int = 0) -> Fault:
    """What the flaky model does on its `turn`-th call (from 0): even turns may fail, odd ones never do.

    Of the even turns a quarter each is refused with 429, fails with 500, breaks off in mid-stream, or works.
    """
    if turn % 2:
        return NO_FAULT
    match hashlib.blake2s(f"{seed}:{turn}".encode(), digest_size=1).digest()[0] % 4:
        case 0:
            return Fault(status=429, retry_after=1)
        case 1:
            return Fault(status=500)
        case 2:
            return Fault(cut_after_events=2)
    return NO_FAULT


def embedding(text: str, dimensions: int = DIMENSIONS) -> tuple[list[float], int]:
    """(unit vector, tokens). Texts that share words point in similar directions.

    Each token adds its own pseudo-random direction, so the vector of a text is the sum of its tokens.
    Raises AskInvalid for more dimensions than DIMENSIONS_MAX.
    """
    if not 1 <= dimensions <= DIMENSIONS_MAX:
        raise AskInvalid(f"dimensions must be from 1 to {DIMENSIONS_MAX}, not {dimensions}")
    tokens = [piece.strip().lower() for piece in pieces(text)] or [""]
    total = [0.0] * dimensions
    for token in dict.fromkeys(tokens):
        weight = tokens.count(token)
        for index, part in enumerate(_direction(token, dimensions)):
            total[index] += weight * part
    length = sum(part * part for part in total) ** 0.5
    if length == 0.0:
        return [1.0, *[0.0] * (dimensions - 1)], len(tokens)
    return [part / length for part in total], len(tokens)


def _direction(token: str, dimensions: int) -> list[float]:
    """Numbers from -1 to 1, the same for the same token."""
    raw = hashlib.shake_128(token.encode("utf-8", "surrogatepass")).digest(2 * dimensions)
    return [part / 32768 for part in struct.unpack(f"<{dimensions}h", raw)]


def count_prompt(texts: Sequence[str], *, messages: int) -> int:
    """All texts, and four tokens of framing for each message."""
    return sum(map(count, texts)) + 4 * messages
