"""The stage for faults: some models, two providers that the replay server plays, short time-outs.

A gateway remembers: an endpoint that failed thrice goes last in line, whatever order a caller wishes, and a
conversation stays where it was answered. So a call that must begin at a certain provider asks for a model
that no call has asked for before (the fixture `unasked_models`).
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.recordings import recording
from tests.recordings_truth import Said, read_stream
from tests.replay.gateway import Offer, configuration
from tests.replay.playing import events_of
from tests.replay.replay_server import ReplayServer

__all__ = [
    "FIRST",
    "MODEL",
    "OTHER_MODEL",
    "SECOND",
    "STREAMS",
    "TIMEOUT_S",
    "UNASKED_MODELS",
    "WHOLE",
    "ask",
    "has_content",
    "is_whole",
    "said_after",
    "stage_configuration",
    "stage_sections",
]

# Two plain hosts of open models: nothing about them is special.
FIRST, SECOND = "deepinfra", "together"
MODEL, OTHER_MODEL = "faults/model", "faults/other"
UNASKED_MODELS = tuple(f"faults/unasked-{number}" for number in range(1000))
TIMEOUT_S = 0.4  # for the first token, and between tokens
# What they answer.
STREAMS = {
    "text": "openai.chat_completions-reqllm-096a72565a-0",
    "reasoning": "ollama.chat_completions-rllm-a0eb4feaf5-0",
    "tools": "openai.chat_completions-mira-5dd9945bde-0",
    "whole": "openai.chat_completions-oll-22c8aed1ff-0",
}
WHOLE = "whole"

_SECTIONS = """
[timeouts]
connect_s = {timeout_s}
first_token_s = {timeout_s}
between_tokens_s = {timeout_s}
total_s = 20.0
{more}
"""


def stage_sections(*, timeout_s: float = TIMEOUT_S, more: str = "") -> str:
    """Settings with short time-outs. more: behind [timeouts]."""
    return _SECTIONS.format(timeout_s=timeout_s, more=more)


def stage_configuration(
    server: ReplayServer,
    *,
    timeout_s: float = TIMEOUT_S,
    more: str = "",
    more_models: Iterable[str] = (),
) -> str:
    """more: settings behind [timeouts]. more_models: beside the usual two."""
    return configuration(
        {FIRST: server.base(FIRST), SECOND: server.base(SECOND)},
        [
            Offer(model, provider, model)
            for model in (MODEL, OTHER_MODEL, *more_models)
            for provider in (FIRST, SECOND)
        ],
        stage_sections(timeout_s=timeout_s, more=more),
    )


def ask(*providers: str, streamed: bool, model: str = MODEL) -> dict[str, object]:
    """A call that may go to these providers, in this order."""
    return {
        "model": model,
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": streamed,
        "provider": {"order": list(providers), "only": list(providers)},
    }


def said_after(kind: str, events: int) -> Said:
    """What the recorded stream has said after so many of its events, by a plain reading."""
    return read_stream(b"".join(events_of(recording(STREAMS[kind]))[:events]))


def has_content(said: Said) -> bool:
    return any(choice.text or choice.reasoning or choice.calls for choice in said.choices.values())


def is_whole(said: Said) -> bool:
    """Whether every choice has come to its end."""
    return bool(said.choices) and all(choice.finish for choice in said.choices.values())
