"""What differs between generations of Google's models, told from a model's id.

The catalogue knows abilities and prices; this is about how a request must be written. Families with a
numbering of their own (robotics, images, "omni") and aliases ("gemini-flash-latest") are as new as the
newest generation that we know.

Sources (read 2026-11-21): https://ai.google.dev/gemini-api/docs/thinking,
https://ai.google.dev/gemini-api/docs/thought-signatures,
https://ai.google.dev/gemini-api/docs/function-calling.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Generation", "generation_of"]

_NUMBERED: Final = re.compile(r"(?:^|/)gemini-(\d+)")
_NEWEST: Final = 3


@dataclass(frozen=True, slots=True)
class Generation:
    """How the models of one generation are asked.

    takes_json_schema: schemas are sent as they are; before, only as a subset of OpenAPI's.
    thinks_in_levels: thinking is set by a level; before, by a budget of tokens.
    checks_signatures: a function call of the running turn without its thought signature is refused.
    takes_media_in_results: a function's result may hold images and documents.
    calls_and_formats: functions and a JSON answer may be asked for together.
    levels: thinking levels, where the catalogue names none.
    """

    takes_json_schema: bool
    thinks_in_levels: bool
    checks_signatures: bool
    takes_media_in_results: bool
    calls_and_formats: bool
    levels: tuple[str, ...] = ("high", "medium", "low")


_THIRD: Final = Generation(
    takes_json_schema=True,
    thinks_in_levels=True,
    checks_signatures=True,
    takes_media_in_results=True,
    calls_and_formats=True,
)
_SECOND: Final = Generation(
    takes_json_schema=True,
    thinks_in_levels=False,
    checks_signatures=False,
    takes_media_in_results=False,
    calls_and_formats=False,
)
_FIRST: Final = Generation(
    takes_json_schema=False,
    thinks_in_levels=False,
    checks_signatures=False,
    takes_media_in_results=False,
    calls_and_formats=False,
)
_OPEN: Final = Generation(
    takes_json_schema=False,
    thinks_in_levels=True,
    checks_signatures=False,
    takes_media_in_results=False,
    calls_and_formats=False,
    levels=("high", "minimal"),
)


def generation_of(provider_model_id: str) -> Generation:
    """The generation of the model with this id."""
    if "gemma-" in provider_model_id or "learnlm-" in provider_model_id:
        return _OPEN
    numbered = _NUMBERED.search(provider_model_id)
    number = int(numbered[1]) if numbered else _NEWEST
    if number >= _NEWEST:
        return _THIRD
    return _SECOND if number == 2 else _FIRST
