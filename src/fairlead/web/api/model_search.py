"""How models are found by what somebody types. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead.core.catalog import Model

__all__ = ["is_called", "named_first"]

# People write "gpt4o" and "deepseek r1" of what is called GPT-4o and DeepSeek-R1.
_MARKS: Final = str.maketrans("", "", " -_.:/")
# Of shorter ones there is something in every other name: "o1" in "turbo-1106".
_RUN_TOGETHER_MIN: Final = 4


def is_called(model: Model, word: str) -> bool:
    """Whether a word, in lower case, is in what a model is called.

    The permanent name only as a whole: the digits of its date would answer to every other word.
    """
    if word in f"{model.id} {model.name}".lower():
        return True
    permanent = model.canonical_slug.lower()
    if word in (permanent, permanent.partition("/")[2]):
        return True
    is_run_together = len(word) >= _RUN_TOGETHER_MIN and word[0].isalpha() and not word.isalpha()
    return is_run_together and _bare(word) in _bare(model.id.partition("/")[2])


def named_first(models: Iterable[Model], text: str) -> list[Model]:
    """Who is called just so before those in whose names it is, too; else as they came."""
    wanted = _bare(text)

    def is_called_otherwise(model: Model) -> bool:
        names = (model.id, model.id.partition("/")[2], model.short_name)
        return wanted not in map(_bare, names)

    return sorted(models, key=is_called_otherwise) if wanted else list(models)


def _bare(text: str) -> str:
    return text.lower().translate(_MARKS)
