"""Writes docs/conformance.md from the tables that the tests run on.

    python -m tests.conformance.page      write the page anew

`test_page.py` fails while the page and the tables differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from tests.conformance.callers import CALLERS, LOSSES
from tests.conformance.meaning import Meaning
from tests.conformance.questions import DIFFERENCES, QUESTIONS, RULES, TARGETS
from tests.conformance.recorded import (
    NOT_COMPARED,
    SOURCES,
    Source,
    answers,
    apart,
    is_stream,
    refusals,
)
from tests.conformance.sample import sample
from tests.conformance.scripted import SCRIPTED
from tests.recordings import FOLDER, load_native

__all__ = ["PAGE", "write"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"

_FEATURES: tuple[tuple[str, Callable[[Meaning], bool]], ...] = (
    ("text", lambda meaning: bool(meaning.choices[0].text)),
    ("reasoning", lambda meaning: bool(meaning.choices[0].reasoning)),
    ("one tool", lambda meaning: len(meaning.choices[0].calls) == 1),
    ("parallel tools", lambda meaning: len(meaning.choices[0].calls) > 1),
    ("refusal, filter", lambda m: bool(m.choices[0].refusal) or _finish(m) == "content_filter"),
    ("length stop", lambda meaning: _finish(meaning) == "length"),
    ("citations", lambda meaning: bool(meaning.choices[0].cited)),
    ("images, audio", lambda m: bool(m.choices[0].images or m.choices[0].spoken)),
    ("cached tokens", lambda m: m.counts is not None and m.counts.cached > 0),
)


def _finish(meaning: Meaning) -> str:
    return meaning.choices[0].finish


def write() -> str:
    """The page."""
    sections = (_head(), _answers(), _callers(), _questions(), _losses(), _apart())
    return "\n".join(chain.from_iterable(sections))


def _head() -> Iterator[str]:
    yield "# Conformance"
    yield ""
    yield from _paragraph(
        """
        What callers say reaches every provider, and what providers answer reaches every caller: shown case by
        case, and listed here. `make conformance` writes this page from the tables that the tests in
        [tests/conformance](../tests/conformance) run on, and `make test` fails while it is out of date.
        """
    )


def _paragraph(text: str) -> Iterator[str]:
    yield from (line.strip() for line in text.strip().splitlines())
    yield ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(str(cell) if cell != 0 else "" for cell in row) + " |"
    yield ""


def _answers() -> Iterator[str]:
    yield "## Provider and feature"
    yield ""
    yield from _paragraph(
        """
        Recorded answers by what is in them; + counts those written by hand, where nothing was recorded. Errors
        are refusals of every kind, and failures under status 200.
        """
    )
    heads = ["recordings", "format", "whole", "streamed", *(n for n, _ in _FEATURES), "errors"]
    yield from _table(heads, (_row_of(source) for source in SOURCES))


def _row_of(source: Source) -> list[object]:
    cases = answers(source)
    streams = sum(is_stream(case) for case in cases)
    meanings = [source.read(case) for case in cases]
    by_hand = [scripted.meaning for scripted in SCRIPTED if scripted.source == source]
    counts = []
    for _, has in _FEATURES:
        recorded, written = sum(map(has, meanings)), sum(map(has, by_hand))
        counts.append(f"{recorded or ''}{f'+{written}' if written else ''}")
    return [
        source.name,
        source.format,
        len(cases) - streams,
        streams,
        *counts,
        len(refusals(source)),
    ]


def _callers() -> Iterator[str]:
    yield "## Caller and provider"
    yield ""
    yield from _paragraph(
        """
        Each answer is told to each caller twice, streamed and whole, and read back by a reader that knows
        nothing but JSON. Text, reasoning, refusal, calls with their names, arguments, ids and order, the reason
        of the end, images, citations and usage equal the recording's, but for the losses below. Official
        clients read a sample: of every source, two answers of every shape.
        """
    )
    formats = sorted({source.format for source in SOURCES})
    rows = []
    totals = [0] * len(CALLERS)
    for name in formats:
        sources = [source for source in SOURCES if source.format == name]
        told = sum(len(answers(source)) for source in sources)
        read = sum(len(sample(source)) for source in sources)
        rows.append([name, *(f"{2 * told}" for _ in CALLERS), 2 * read * len(CALLERS)])
        totals = [total + 2 * told for total in totals]
    rows.append(["all", *map(str, totals), sum(int(row[-1]) for row in rows)])
    yield from _table(
        ["provider's format", *(f"`{caller.path}`" for caller in CALLERS), "by official clients"],
        rows,
    )
    errors = sum(len(refusals(source)) for source in SOURCES)
    yield from _paragraph(
        f"""
        Errors before the first token: {errors} recorded ones, in the envelope of every caller. Errors after
        it: recorded ones, and streams of every format cut in several places. Every dialect tells them in band,
        and never writes the mark of a proper end.

        The turn after: the sampled answers go back from every caller, with results of their calls, and their
        authors get the same from each: text, calls, results, reasoning and its signatures.
        """
    )


def _questions() -> Iterator[str]:
    yield "## What is asked"
    yield ""
    callers = ", ".join(f"`{caller.path}`" for caller in CALLERS if caller.name != "completions")
    yield from _paragraph(
        f"""
        The same question in the words of {callers}: the
        provider gets the same request from each; so does every other provider of the OpenAI format. An empty
        cell: as it was asked. What the other words mean stands below.
        """
    )
    yield from _table(
        ["provider", "format", *(question.name for question in QUESTIONS)],
        (
            [
                target.name,
                target.format,
                *(
                    RULES[question.name, target.name].kind
                    if (question.name, target.name) in RULES
                    else ""
                    for question in QUESTIONS
                ),
            ]
            for target in TARGETS
        ),
    )


def _losses() -> Iterator[str]:
    yield "## What is lost, and by which rule"
    yield ""
    yield from _paragraph(
        """
        *drop*: not told. *map*: told in other words. *refuse*: status 400, with the field's path. A parameter
        that an endpoint does not support is dropped; with `provider.require_parameters` only endpoints that
        support all of them are asked.
        """
    )
    yield "In requests:"
    yield ""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for (question, target), rule in RULES.items():
        grouped.setdefault((question, rule.kind, rule.why), []).append(target)
    yield from _table(
        ["asked", "provider", "rule"],
        (
            [question, ", ".join(targets), f"{kind}: {why}"]
            for (question, kind, why), targets in grouped.items()
        ),
    )
    yield from _table(
        ["asked", "by a caller of", "of a provider of", "differs from `/chat/completions`"],
        ([*key, why] for key, why in DIFFERENCES.items()),
    )
    yield "In answers:"
    yield ""
    meanings = [source.read(case) for source in SOURCES for case in answers(source)]
    meanings += [scripted.meaning for scripted in SCRIPTED]
    paths = {caller.name: caller.path for caller in CALLERS}
    yield from _table(
        ["answered", "caller", "rule", "cases"],
        (
            [loss.what, f"`{paths[loss.caller]}`", loss.rule, sum(map(loss.concerns, meanings))]
            for loss in LOSSES
        ),
    )
    yield from _paragraph(
        """
        The counts in `message_start` of `/messages` are those known when the first bytes are written; the
        final ones stand in `message_delta`. The official client of Messages guesses at arguments that were cut:
        it is not asked to read these.
        """
    )


def _apart() -> Iterator[str]:
    yield "## What is not compared"
    yield ""
    counts = dict.fromkeys(NOT_COMPARED, 0)
    for source in SOURCES:
        for case in source.cases():
            key = apart(source, case)
            if key is not None:
                counts[key] += 1
    for key in counts:
        if (FOLDER / f"{key}.jsonl").exists():
            counts[key] = len(load_native(key.removeprefix("native/")))
    yield from _table(
        ["recordings", "cases", "why"],
        ([f"`{key}`", counts[key], why] for key, why in NOT_COMPARED.items()),
    )


if __name__ == "__main__":
    PAGE.write_text(write(), encoding="utf-8")
