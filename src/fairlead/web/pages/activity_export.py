"""Activity to take away: as CSV, safe to open in a spreadsheet, and as PDF."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

from starlette.responses import Response

from fairlead.control.billing.drawing import Pen, opened
from fairlead.control.usage.apps import claim
from fairlead.control.usage.types import Chart as Sums
from fairlead.control.usage.types import Names
from fairlead.core.catalog import Snapshot
from fairlead.core.errors import NotFound
from fairlead.core.generation import Generation
from fairlead.core.money import NanoUSD, amount_text
from fairlead.web.csv_export import csv_answer
from fairlead.web.pages.activity_view import MEASURES, Asked, Stretch, totals_of
from fairlead.web.pages.charts import distinct
from fairlead.web.pages.generation_view import provider_name
from fairlead.web.pages.shown import count, dollars, iso, moment
from fairlead.web.pdf_export import pdf_answer

__all__ = [
    "CALLS_AT_ONCE",
    "CALLS_MAX",
    "METRICS",
    "PAGES_MAX",
    "Label",
    "call_rows",
    "calls_csv",
    "over_time_csv",
    "summary_csv",
    "summary_pdf",
]

CALLS_MAX: Final = 10_000  # of one file
CALLS_AT_ONCE: Final = 500
PAGES_MAX: Final = 100  # that are asked for, be they full or short; some 5 s

Label: TypeAlias = Callable[[str | int | bool], str]

_CALL_COLUMNS: Final = (
    "created_at", "generation_id", "model", "provider", "api_key", "app", "prompt_tokens", "cached_tokens",
    "completion_tokens", "reasoning_tokens", "cost_usd", "list_cost_usd", "is_byok", "outcome",
    "finish_reason", "latency_ms", "duration_ms", "streamed", "session_id",
)  # fmt: skip
_SUMMARY_COLUMNS: Final = (
    "requests", "failed", "prompt_tokens", "cached_tokens", "completion_tokens", "cost_usd",
    "byok_at_list_prices_usd",
)  # fmt: skip
_REST: Final = "All others"
# What the page draws over time, by its name in the address.
METRICS: Final = {"spend": "Spend", "tokens": "Tokens", "requests": "Requests"}


# --- CSV --------------------------------------------------------------------------------------------------


def summary_csv(sums: Sums, asked: Asked, time: Stretch, label: Label) -> Response:
    """A row for each bucket and group in which anything was used."""
    rows: list[Sequence[object]] = []
    for start_ms in time.starts:
        for value in sums.biggest:
            counted = sums.sums.get((start_ms, value))
            if counted is not None and any(counted):
                rows.append((iso(start_ms / 1000), label(value), *_cells(counted)))
        rest = sums.rest.get(start_ms)
        if rest is not None and any(rest):
            rows.append((iso(start_ms / 1000), _REST, *_cells(rest)))
    columns = ("from", asked.by, *_SUMMARY_COLUMNS)
    return _private(csv_answer(f"activity-{asked.period}", columns, rows))


def over_time_csv(sums: Sums, asked: Asked, time: Stretch, label: Label, metric: str) -> Response:
    """One metric as its chart has it: a row for each bucket, a column for each group, and one for all of them.

    Raises NotFound for a metric that there is not.
    """
    if metric not in METRICS:
        raise NotFound("There is no such metric.")
    has_rest = any(any(counted) for counted in sums.rest.values())
    names = [label(value) for value in sums.biggest] + ([_REST] if has_rest else [])
    nothing = [0] * len(MEASURES)
    rows: list[Sequence[object]] = []
    for start_ms in time.starts:
        counted = [sums.sums.get((start_ms, value), nothing) for value in sums.biggest]
        if has_rest:
            counted.append(sums.rest.get(start_ms, nothing))
        values = [_value(metric, one) for one in counted]
        written = [
            amount_text(NanoUSD(one)) if metric == "spend" else one
            for one in [*values, sum(values)]
        ]
        rows.append((iso(start_ms / 1000), *written))
    unit = f"{metric}_usd" if metric == "spend" else metric
    return _private(
        csv_answer(f"activity-{metric}-{asked.period}", ("from", *distinct(names), unit), rows)
    )


def _value(metric: str, counted: Sequence[int]) -> int:
    by_name = dict(zip(MEASURES, counted, strict=True))
    match metric:
        case "spend":
            return by_name["cost_nano"]
        case "tokens":
            return by_name["prompt_tokens"] + by_name["completion_tokens"]
        case _:
            return by_name["requests"]


def _cells(counted: Sequence[int]) -> Sequence[object]:
    by_name = dict(zip(MEASURES, counted, strict=True))
    return (
        by_name["requests"],
        by_name["failed"],
        by_name["prompt_tokens"],
        by_name["cached_tokens"],
        by_name["completion_tokens"],
        amount_text(NanoUSD(by_name["cost_nano"])),
        amount_text(NanoUSD(by_name["byok_nano"])),
    )


def call_rows(
    generations: Iterable[Generation], names: Names, snapshot: Snapshot
) -> list[Sequence[object]]:
    return [_call_cells(one, names, snapshot) for one in generations]


def _call_cells(one: Generation, names: Names, snapshot: Snapshot) -> Sequence[object]:
    key = names.keys.get(one.key)
    claimed = claim(one.attribution)
    usage = one.usage
    return (
        datetime.fromtimestamp(one.created_s, UTC).isoformat(timespec="milliseconds"),
        one.id,
        one.model,
        provider_name(one.provider, snapshot),
        "" if key is None else key.name,
        "" if claimed is None else claimed.identity,
        usage.prompt_tokens,
        usage.cache_read,
        usage.completion_tokens,
        usage.reasoning,
        amount_text(one.cost),
        amount_text(one.list_cost),
        "yes" if one.is_byok else "no",
        one.outcome.value,
        one.finish_reason or "",
        one.latency_ms,
        one.duration_ms,
        "yes" if one.streamed else "no",
        one.session_id or "",
    )


def calls_csv(rows: Iterable[Sequence[object]], rest: Asked | None) -> Response:
    """rest: which there are besides. The name says how far these go back then, and `Link` where the rest is."""
    if rest is None or rest.before is None:
        return _private(csv_answer("calls", _CALL_COLUMNS, rows))
    reached = datetime.fromtimestamp(rest.before.created_ms / 1000, UTC)
    answer = csv_answer(f"calls-back-to-{reached:%Y%m%d-%H%M%S}", _CALL_COLUMNS, rows)
    answer.headers["link"] = f'<{rest.address("/activity/calls.csv")}>; rel="next"'
    return _private(answer)


def _private(response: Response) -> Response:
    response.headers["cache-control"] = "no-store"
    response.headers["x-content-type-options"] = "nosniff"
    return response


# --- PDF --------------------------------------------------------------------------------------------------


def summary_pdf(
    sums: Sums,
    asked: Asked,
    time: Stretch,
    label: Label,
    *,
    account: str,
    chosen: Sequence[str],
    now_s: float,
    font_file: str | None,
) -> Response:
    """account: whose. chosen: filters in words."""
    pen = opened("Activity", created_s=now_s, font_file=font_file)
    pen.text("Activity", size=18)
    pen.text(f"Account: {account}")
    pen.text(f"From {moment(time.start_ms / 1000)} to {moment(min(time.end_ms / 1000, now_s))}")
    for one in chosen:
        pen.text(one)
    pen.gap()
    totals = totals_of(sums)
    pen.amount("Spend (USD)", dollars(totals.cost))
    if totals.byok:
        pen.amount("With own provider keys, at list prices (USD)", dollars(totals.byok))
    pen.amount("Requests", count(totals.requests))
    pen.amount("Failed requests", count(totals.failed))
    pen.amount("Prompt tokens", count(totals.prompt_tokens))
    pen.amount("Tokens of answers", count(totals.completion_tokens))
    pen.gap()
    _table(
        pen,
        f"By {asked.unit.lower() if asked.by != 'key' else asked.unit}",
        asked.unit,
        _groups(sums, label),
    )
    pen.gap()
    _table(pen, f"By {time.unit.lower()} (UTC)", time.unit, _buckets(sums, time))
    return pdf_answer(f"activity-{asked.period}", pen.finished())


def _table(pen: Pen, title: str, unit: str, rows: Sequence[tuple[str, Sequence[int]]]) -> None:
    pen.text(title, size=13)
    pen.row((unit, "Requests", "Tokens", "Spend (USD)"))
    pen.rule()
    for name, counted in rows:
        cost, prompt, completion, requests, *_ = counted
        pen.row((name, count(requests), count(prompt + completion), dollars(NanoUSD(cost))))
    if not rows:
        pen.text("Nothing in this time.")


def _groups(sums: Sums, label: Label) -> list[tuple[str, Sequence[int]]]:
    """The biggest first, then all others together."""
    found: list[tuple[str, Sequence[int]]] = []
    for value in sums.biggest:
        of_it = [counted for (_, one), counted in sums.sums.items() if one == value]
        found.append((label(value), _added(of_it)))
    rest = _added(list(sums.rest.values()))
    if any(rest):
        found.append((_REST, rest))
    return found


def _buckets(sums: Sums, time: Stretch) -> list[tuple[str, Sequence[int]]]:
    found: list[tuple[str, Sequence[int]]] = []
    for start_ms in time.starts:
        here = [counted for (start, _), counted in sums.sums.items() if start == start_ms]
        whole = _added([*here, *([sums.rest[start_ms]] if start_ms in sums.rest else [])])
        if any(whole):
            found.append((time.label(start_ms), whole))
    return found


def _added(rows: Sequence[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*rows, strict=True)] or [0] * len(MEASURES)
