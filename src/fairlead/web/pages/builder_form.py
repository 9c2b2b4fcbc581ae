"""What the request builder's form says, and the call that it means. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from fairlead.core.catalog import Model
from fairlead.web.pages.snippets import LANGUAGES

__all__ = ["EFFORTS", "FORMATS", "NUMBERS", "SORTS", "Draft", "Number", "draft_of", "unsupported"]

TEXT_CHARACTERS_MAX: Final = 2000
NAMES_MAX: Final = 10
STOPS_MAX: Final = 4
HELLO: Final = "Hello"


@dataclass(frozen=True, slots=True)
class Number:
    """A parameter that is a number. low, high: what the API takes."""

    name: str
    label: str
    low: float
    high: float
    is_whole: bool = False
    hint: str = ""


NUMBERS: Final = (
    Number("temperature", "Temperature", 0, 2, hint="0 to 2. Higher is more varied."),
    Number("top_p", "Top P", 0, 1, hint="0 to 1."),
    Number("top_k", "Top K", 0, 2**31, is_whole=True),
    Number("min_p", "Min P", 0, 1, hint="0 to 1."),
    Number("max_tokens", "Max tokens", 1, 2**31, is_whole=True),
    Number("seed", "Seed", -(2**53), 2**53, is_whole=True),
    Number("frequency_penalty", "Frequency penalty", -2, 2, hint="-2 to 2."),
    Number("presence_penalty", "Presence penalty", -2, 2, hint="-2 to 2."),
    Number("repetition_penalty", "Repetition penalty", 0, 2, hint="0 to 2."),
)
EFFORTS: Final = (
    ("", "The model's own"),
    ("none", "None"),
    ("minimal", "Minimal"),
    ("low", "Low"),
    ("medium", "Medium"),
    ("high", "High"),
    ("xhigh", "Extra high"),
    ("max", "Maximum"),
)
FORMATS: Final = (("", "Text"), ("json_object", "A JSON object"))
SORTS: Final = (
    ("", "Balanced"),
    ("price", "Lowest price"),
    ("throughput", "Highest throughput"),
    ("latency", "Lowest latency"),
    ("exacto", "Best at calling tools"),
)
_FLAGS: Final = ("stream", "zdr", "no_fallbacks")


@dataclass(frozen=True, slots=True)
class Draft:
    """values: of every field, as it was written. problems: by field; such a field is not in the call."""

    values: Mapping[str, str]
    problems: Mapping[str, str]
    language: str
    model: str
    messages: tuple[dict[str, object], ...]
    parameters: Mapping[str, object]
    is_streamed: bool
    is_asked: bool


def draft_of(query: Mapping[str, str], *, model: str) -> Draft:
    """model: where none is named."""
    read = _Reading(query)
    languages = [name for name, _ in LANGUAGES]
    system, message = read.text("system"), read.text("message")
    messages: list[dict[str, object]] = []
    if system:
        messages.append({"role": "system", "content": system})
    messages.append({"role": "user", "content": message or HELLO})
    is_streamed = read.flag("stream")
    wanted = read.text("model").strip()
    language = read.choice("language", languages)
    parameters = _parameters(read)
    return Draft(
        values=read.values | {"model": wanted},
        parameters=parameters,
        problems=read.problems,
        language=language or languages[0],
        model=wanted or model,
        messages=tuple(messages),
        is_streamed=is_streamed,
        is_asked=bool(query),
    )


def unsupported(draft: Draft, model: Model) -> tuple[str, ...]:
    """Parameters of the call that no endpoint of the model takes."""
    taken = {*model.supported_parameters, "models", "provider"}
    return tuple(name for name in draft.parameters if name not in taken)


def _parameters(read: _Reading) -> dict[str, object]:
    found: dict[str, object] = {}
    for number in NUMBERS:
        value = read.number(number)
        if value is not None:
            found[number.name] = value
    stops = read.names("stop", separator="\n", most=STOPS_MAX)
    if stops:
        found["stop"] = stops
    effort = read.choice("effort", [one for one, _ in EFFORTS])
    if effort:
        found["reasoning"] = {"effort": effort}
    kind = read.choice("format", [one for one, _ in FORMATS])
    if kind:
        found["response_format"] = {"type": kind}
    fallbacks = read.names("models")
    if fallbacks:
        found["models"] = fallbacks
    provider: dict[str, object] = {}
    order = read.names("order")
    if order:
        provider["order"] = order
    sort = read.choice("sort", [one for one, _ in SORTS])
    if sort:
        provider["sort"] = sort
    if read.flag("zdr"):
        provider["zdr"] = True
    if read.flag("no_fallbacks"):
        provider["allow_fallbacks"] = False
    if provider:
        found["provider"] = provider
    return found


class _Reading:
    """Fields by name, bounded; notes what is wrong with them."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self._query = query
        self.values: dict[str, str] = {}
        self.problems: dict[str, str] = {}

    def text(self, name: str) -> str:
        text = self._query.get(name, "").replace("\r\n", "\n")
        if len(text) > TEXT_CHARACTERS_MAX:
            self.problems[name] = (
                f"At most {TEXT_CHARACTERS_MAX:,} characters fit into the address."
            )
            text = text[:TEXT_CHARACTERS_MAX]
        self.values[name] = text
        return text

    def flag(self, name: str) -> bool:
        is_set = self._query.get(name) == "true"
        self.values[name] = "true" if is_set else ""
        return is_set

    def choice(self, name: str, words: list[str]) -> str:
        """What is no choice is none."""
        text = self._query.get(name, "")
        self.values[name] = text if text in words else ""
        return self.values[name]

    def names(self, name: str, *, separator: str = ",", most: int = NAMES_MAX) -> list[str]:
        found = [one.strip() for one in self.text(name).split(separator)]
        found = [one for one in found if one]
        if len(found) > most:
            self.problems[name] = f"Must be at most {most}."
        return found[:most]

    def number(self, of: Number) -> float | None:
        text = self.text(of.name).strip()
        if not text:
            return None
        convert: Callable[[str], float] = int if of.is_whole else float
        try:
            value = convert(text)
        except ValueError:
            self.problems[of.name] = (
                "Must be a whole number." if of.is_whole else "Must be a number."
            )
            return None
        if not of.low <= value <= of.high:
            self.problems[of.name] = (
                f"Must be from {of.low:g} to {of.high:g}."
                if abs(of.high) < 100
                else "Out of range."
            )
            return None
        return value
