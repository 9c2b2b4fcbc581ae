"""Faults on request: one small language for headers, model names, prompts and the twin's control endpoint.

    status=429;retry_after=2          an error instead of an answer
    cut_after_events=3                the connection breaks in the middle of the answer
    tokens=64;delay_between_ms=20     exactly so much text, exactly so paced

Words are separated by `;`, values follow `=`. Where it may stand: the header `x-twin-fault`, the model's
name after `!` (`echo!status=500`), the last user text after `twin:` up to the next white space.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, fields, replace
from typing import Final

__all__ = [
    "DELAY_MS_MAX",
    "FAULT_HEADER",
    "NO_FAULT",
    "TOKENS_MAX",
    "Fault",
    "FaultInvalid",
    "parse_fault",
    "prompt_directive",
    "split_model",
]

FAULT_HEADER: Final = "x-twin-fault"
TOKENS_MAX: Final = (
    200_000  # of one answer: about a megabyte of text, and the largest real models stop there
)
DELAY_MS_MAX: Final = 600_000  # ten minutes outlast every time-out that anybody waits for in a test
_DIRECTIVE: Final = re.compile(r"(?:^|(?<=\s))twin:(\S+)")


class FaultInvalid(ValueError):
    """Not a word of the language, or a value out of bounds."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What shall go wrong, or otherwise be decided by the caller. None and False: nothing.

    status: answer with this HTTP status and the format's own error body. retry_after: seconds.
    drop: close the connection without a single byte. hang: never answer.
    cut_after_events, hang_after_events, error_event_after: events of the stream that still come; in an
        answer that is not streamed the body breaks off, stalls or is replaced half-way.
    garbage: status 200 and bytes that are not of the format. drip: a few bytes per write.
    empty: a proper answer with nothing in it. no_usage: no counts in the answer.
    slow_first_ms: the pause before the first token of some calls: of every `slow_every`-th, or of
        `slow_percent` of 100, drawn by the twin's seed.
    repeat: an answer that was begun is gone on with so many characters before its end.
    tokens, reasoning_tokens, cached_tokens: what the answer consists of, whatever the model would say.
    tag: repeated in the twin's bill.
    """

    status: int | None = None
    retry_after: int | None = None
    drop: bool = False
    hang: bool = False
    cut_after_events: int | None = None
    hang_after_events: int | None = None
    error_event_after: int | None = None
    garbage: bool = False
    drip: bool = False
    empty: bool = False
    no_usage: bool = False
    delay_first_ms: int | None = None
    delay_between_ms: int | None = None
    slow_first_ms: int | None = None
    slow_every: int | None = None
    slow_percent: int | None = None
    repeat: int | None = None
    tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    tag: str | None = None

    def over(self, other: Fault) -> Fault:
        """Both together; where both speak, this one wins."""
        if self is NO_FAULT or other is NO_FAULT:
            return other if self is NO_FAULT else self
        changes = {
            name: value for name in _FLAGS | _NUMBERS.keys() if (value := getattr(self, name))
        }
        changes |= {name: value for name in _NUMBERS if (value := getattr(self, name)) is not None}
        if self.tag is not None:
            changes["tag"] = self.tag
        return replace(other, **changes) if changes else other

    def at_call(self, number: int, seed: int) -> Fault:
        """As it is for this call, if its pace is not the same for all. number: from 0."""
        if self.slow_first_ms is None:
            return self
        drawn = hashlib.blake2s(f"slow:{seed}:{number}".encode(), digest_size=4).digest()
        is_slow = (self.slow_every is not None and (number + 1) % self.slow_every == 0) or (
            int.from_bytes(drawn) % 100 < (self.slow_percent or 0)
        )
        return replace(self, delay_first_ms=self.slow_first_ms) if is_slow else self


NO_FAULT: Final = Fault()

_FLAGS: Final = frozenset(f.name for f in fields(Fault) if f.default is False)
_NUMBERS: Final[dict[str, tuple[int, int]]] = {
    "status": (200, 599),
    "retry_after": (0, 86_400),
    "cut_after_events": (0, TOKENS_MAX),
    "hang_after_events": (0, TOKENS_MAX),
    "error_event_after": (0, TOKENS_MAX),
    "delay_first_ms": (0, DELAY_MS_MAX),
    "delay_between_ms": (0, DELAY_MS_MAX),
    "slow_first_ms": (0, DELAY_MS_MAX),
    "slow_every": (1, 1_000_000),
    "slow_percent": (0, 100),
    "repeat": (0, TOKENS_MAX),
    "tokens": (0, TOKENS_MAX),
    "reasoning_tokens": (0, TOKENS_MAX),
    "cached_tokens": (0, 10_000_000),
}
_SHORT: Final = {"delay_ms": "delay_between_ms", "first_ms": "delay_first_ms"}


def parse_fault(text: str) -> Fault:
    """Raises FaultInvalid, which names the word."""
    values: dict[str, object] = {}
    for word in filter(None, (part.strip() for part in text.split(";"))):
        name, _, value = word.partition("=")
        name = _SHORT.get(name, name)
        if name in _FLAGS:
            if value not in ("", "0", "1"):
                raise FaultInvalid(f"{name} takes no value but 0 or 1, not {value!r}")
            values[name] = value != "0"
        elif name in _NUMBERS:
            values[name] = _number(name, value)
        elif name == "tag":
            values[name] = value[:64]
        else:
            known = ", ".join(sorted(_FLAGS | _NUMBERS.keys() | {"tag"}))
            raise FaultInvalid(f"{name!r} is not a fault; there are {known}")
    return Fault(**values) if values else NO_FAULT  # type: ignore[arg-type]  # checked above


def _number(name: str, value: str) -> int:
    least, most = _NUMBERS[name]
    if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
        raise FaultInvalid(f"{name} takes a number from {least} to {most}, not {value!r}")
    return int(value)


def split_model(name: str) -> tuple[str, Fault]:
    """`echo!status=500` is the model `echo` with a fault."""
    model, marked, fault = name.partition("!")
    return (model, parse_fault(fault)) if marked else (name, NO_FAULT)


def prompt_directive(text: str) -> Fault:
    """The first `twin:` directive of a prompt. People's texts are no program: an odd one means nothing."""
    if "twin:" not in text:
        return NO_FAULT
    found = _DIRECTIVE.search(text)
    if found is None:
        return NO_FAULT
    try:
        return parse_fault(found[1])
    except FaultInvalid:
        return NO_FAULT
