"""What the data sets have wrong, and why we say otherwise.

`import.py` applies every correction to what it brings in, so that they survive the next data set. One that
no longer changes anything is said: then the sources have caught up, and it can be removed here.

A correction adds or removes parameters. Prices, limits and dates are never touched: who knows better says so
in a `[[models]]` table of his own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["CORRECTIONS", "Correction", "correct"]

Row = dict[str, Any]  # a model, as JSON of a known shape


@dataclass(frozen=True)
class Correction:
    """models: matched against the whole id. providers: whose endpoints; empty for all of them.

    source: where it can be read, and when it was.
    """

    models: re.Pattern[str]
    reason: str
    source: str
    providers: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()


CORRECTIONS = (
    Correction(
        models=re.compile(
            r"anthropic/claude-(opus-4\.[78]|(opus|sonnet|haiku|fable|mythos)-[5-9].*)"
        ),
        removes=("temperature", "top_p", "top_k"),
        reason="Claude refuses sampling parameters from Opus 4.7 on; some sources assume them.",
        source="https://platform.claude.com/docs/en/about-claude/models/migration-guide (2026-11-21)",
    ),
    Correction(
        models=re.compile(r"anthropic/claude-3.*"),
        removes=("structured_outputs",),
        reason="Claude follows a schema natively from Sonnet 4.5 and Opus 4.1 on; before, by a forced tool.",
        source="https://platform.claude.com/docs/en/build-with-claude/structured-outputs (2026-11-21)",
    ),
    Correction(
        models=re.compile(
            r"anthropic/claude-(opus-4\.[5-9]|sonnet-4\.[6-9]|(opus|sonnet|haiku|fable|mythos)-[5-9].*)"
        ),
        providers=("anthropic", "amazon-bedrock", "google-vertex", "openrouter"),
        adds=("verbosity",),
        reason="`verbosity` becomes Claude's effort, which no source knows as a parameter.",
        source="https://platform.claude.com/docs/en/build-with-claude/effort (2026-11-21)",
    ),
)


def correct(models: Sequence[Row], correction: Correction) -> int:
    """Apply one correction in place. Returns how many lists of parameters changed."""
    changed = 0
    for model in models:
        if not correction.models.fullmatch(model["id"]):
            continue
        endpoints = [
            endpoint
            for endpoint in model["endpoints"]
            if not correction.providers or endpoint["provider"] in correction.providers
        ]
        for row in [model, *endpoints] if endpoints else []:
            before = row["supported_parameters"]
            after = [name for name in before if name not in correction.removes]
            after += [name for name in correction.adds if name not in after]
            row["supported_parameters"] = after
            changed += after != before
    return changed
