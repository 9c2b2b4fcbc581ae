"""`GET /analytics/meta` and `POST /analytics/query`: any question about an account's usage."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec
from msgspec import Meta
from starlette.responses import Response

from fairlead.control.usage.analysis import (
    DIMENSIONS_MAX,
    FILTERS_MAX,
    GENERATION,
    GROUP_LIMIT_MAX,
    LIMIT_MAX,
    Order,
    Question,
    QuestionInvalid,
    Row,
    default_range_ms,
)
from fairlead.control.usage.dimensions import Dimension, Filter, Operator
from fairlead.control.usage.metrics import METRICS, Metric
from fairlead.control.usage.spans import Granularity
from fairlead.core.catalog import Snapshot
from fairlead.core.errors import RequestInvalid
from fairlead.core.ids import ModelId
from fairlead.web.answers import answer, timestamp
from fairlead.web.operations import Asked, Operation, Who
from fairlead.web.reading import Moment, sentence
from fairlead.web.services import CatalogFeed, Clock
from fairlead.web.usage_desk import Answered, UsageDesk

__all__ = ["analytics_operations"]

METRICS_MAX: Final = 50
VALUES_MAX: Final = 500
TEXT_CHARACTERS_MAX: Final = 300

_Text: TypeAlias = Annotated[str, Meta(max_length=TEXT_CHARACTERS_MAX)]
_Scalar: TypeAlias = _Text | float | bool


class _Filter(msgspec.Struct, frozen=True):
    field: _Text
    operator: _Text
    value: _Scalar | Annotated[list[_Scalar], Meta(max_length=VALUES_MAX)]
    include_unset: bool = False


class _TimeRange(msgspec.Struct, frozen=True):
    start: Moment
    end: Moment


class _OrderBy(msgspec.Struct, frozen=True):
    field: _Text
    direction: _Text


class _ClassifierDimensions(msgspec.Struct, frozen=True):
    classifier_id: _Text
    dimension_names: Annotated[list[_Text], Meta(max_length=2)] = []
    include_nulls: bool = False


class _ClassifierFilters(msgspec.Struct, frozen=True):
    classifier_id: _Text
    filters: Annotated[list[_Filter], Meta(min_length=1, max_length=10)]


class _Body(msgspec.Struct, frozen=True):
    metrics: Annotated[list[_Text], Meta(min_length=1, max_length=METRICS_MAX)]
    dimensions: Annotated[list[_Text], Meta(max_length=DIMENSIONS_MAX)] = []
    filters: Annotated[list[_Filter], Meta(max_length=FILTERS_MAX)] = []
    granularity: _Text | None = None
    time_range: _TimeRange | None = None
    order_by: _OrderBy | None = None
    limit: Annotated[int, Meta(ge=1)] | None = None
    group_limit: Annotated[int, Meta(ge=1)] | None = None
    classifier_dimensions: _ClassifierDimensions | None = None
    classifier_filters: _ClassifierFilters | None = None


def analytics_operations(desk: UsageDesk, catalog: CatalogFeed, clock: Clock) -> list[Operation]:
    async def meta(_asked: Asked) -> Response:
        return answer({"data": meta_object()})

    async def query(asked: Asked) -> Response:
        began_s = asyncio.get_running_loop().time()
        body = await asked.body(_Body)
        snapshot = catalog.snapshot
        try:
            question = _question(body, snapshot, now_ms=round(clock.now_s() * 1000))
        except QuestionInvalid as error:
            raise RequestInvalid(sentence(error), param=error.path) from error
        now_ms = round(clock.now_s() * 1000)
        answered = await desk.analysed(asked.requester.account, question)
        rows = [_row_object(row, question, answered, snapshot) for row in answered.analysis.rows]
        took_ms = (asyncio.get_running_loop().time() - began_s) * 1000
        return answer(
            {
                "data": {
                    "data": rows,
                    "metadata": {
                        "query_time_ms": round(took_ms, 3),
                        "row_count": len(rows),
                        "truncated": answered.analysis.was_truncated,
                    },
                    "cachedAt": now_ms,  # nothing is older than that
                    "warnings": list(answered.analysis.warnings),
                }
            }
        )

    return [
        Operation("GET", "/analytics/meta", meta, Who.MANAGER_ELSE_403),
        Operation("POST", "/analytics/query", query, Who.MANAGER_ELSE_403, body=_Body),
    ]


def meta_object() -> dict[str, object]:
    """What there is to ask for. Pure."""
    return {
        "metrics": [
            {
                "name": metric.name,
                "display_label": metric.label,
                "is_rate": metric.is_rate,
                "display_format": metric.display,
            }
            for metric in METRICS.values()
        ],
        "dimensions": [
            {"name": name, "display_label": label} for name, label in _DIMENSION_LABELS.items()
        ],
        "operators": [
            {
                "name": operator.value,
                "value_type": "array" if operator in _OF_ARRAYS else "scalar",
            }
            for operator in Operator
        ],
        "granularities": [
            {"name": granularity.value, "display_label": granularity.value.capitalize()}
            for granularity in Granularity
        ],
    }


_DIMENSION_LABELS: Final[Mapping[str, str]] = {
    Dimension.MODEL.value: "Model",
    Dimension.PROVIDER.value: "Provider",
    Dimension.ENDPOINT.value: "Endpoint",
    Dimension.API_KEY.value: "API key",
    Dimension.USER.value: "Member",
    Dimension.WORKSPACE.value: "Workspace",
    Dimension.APP.value: "App",
    Dimension.API_TYPE.value: "Kind of call",
    Dimension.BYOK.value: "Own credential",
    GENERATION: "Call",
}
_OF_ARRAYS: Final = (Operator.IN, Operator.NOT_IN)
_Word = TypeVar("_Word", Granularity, Operator, Dimension)


def _question(body: _Body, snapshot: Snapshot, *, now_ms: int) -> Question:
    """Raises QuestionInvalid."""
    _check_no_classifiers(body)
    granularity = (
        None
        if body.granularity is None
        else _word(Granularity, body.granularity, "granularity", "granularity")
    )
    if body.time_range is None:
        start_ms, end_ms = now_ms - default_range_ms(granularity), now_ms
    else:
        start_ms = round(body.time_range.start.timestamp() * 1000)
        end_ms = round(body.time_range.end.timestamp() * 1000)
    names = list(dict.fromkeys(body.dimensions))
    return Question(
        metrics=tuple(
            _metric(name, f"metrics[{index}]")
            for index, name in enumerate(dict.fromkeys(body.metrics))
        ),
        start_ms=start_ms,
        end_ms=end_ms,
        dimensions=tuple(
            _word(Dimension, name, "dimension", f"dimensions[{index}]")
            for index, name in enumerate(names)
            if name != GENERATION
        ),
        by_generation=GENERATION in names,
        filters=tuple(
            _filter(one, f"filters[{index}]", snapshot) for index, one in enumerate(body.filters)
        ),
        granularity=granularity,
        order=_order(body.order_by),
        limit=None if body.limit is None else min(body.limit, LIMIT_MAX),
        group_limit=None if body.group_limit is None else min(body.group_limit, GROUP_LIMIT_MAX),
    )


def _check_no_classifiers(body: _Body) -> None:
    for name, asked in (
        ("classifier_dimensions", body.classifier_dimensions),
        ("classifier_filters", body.classifier_filters),
    ):
        if asked is not None:
            raise QuestionInvalid(
                f"there is no classifier {asked.classifier_id!r}: calls are not classified here",
                f"{name}.classifier_id",
            )


def _metric(name: str, path: str) -> Metric:
    metric = METRICS.get(name)
    if metric is None:
        raise QuestionInvalid(f"there is no metric {name!r}; there are {', '.join(METRICS)}", path)
    return metric


def _word(kind: type[_Word], text: str, noun: str, path: str) -> _Word:
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(one.value for one in kind)
        raise QuestionInvalid(f"there is no {noun} {text!r}; there are {known}", path) from None


def _order(order: _OrderBy | None) -> Order | None:
    if order is None:
        return None
    if order.direction not in ("asc", "desc"):
        raise QuestionInvalid("the direction is asc or desc", "order_by.direction")
    return Order(order.field, order.direction == "desc")


def _filter(asked: _Filter, path: str, snapshot: Snapshot) -> Filter:
    dimension = _word(Dimension, asked.field, "dimension", f"{path}.field")
    operator = _word(Operator, asked.operator, "operator", f"{path}.operator")
    is_array = isinstance(asked.value, list)
    if is_array != (operator in _OF_ARRAYS):
        wanted = "an array" if operator in _OF_ARRAYS else "one value"
        raise QuestionInvalid(f"{operator} takes {wanted}", f"{path}.value")
    values = asked.value if isinstance(asked.value, list) else [asked.value]
    if not values:
        raise QuestionInvalid(f"{operator} takes at least one value", f"{path}.value")
    if dimension is Dimension.BYOK and operator.is_ordering:
        raise QuestionInvalid(f"{dimension} has no order", f"{path}.operator")
    kept = (_kept(dimension, value, f"{path}.value") for value in values)
    if dimension is Dimension.MODEL:
        by_slug = {model.canonical_slug: name for name, model in snapshot.models.items()}
        kept = (by_slug.get(str(value), value) for value in kept)
    return Filter(dimension, operator, tuple(kept), asked.include_unset)


def _kept(dimension: Dimension, value: _Scalar, path: str) -> str | int | bool:
    """A value as the sums have it."""
    match dimension, value:
        case Dimension.BYOK, bool():
            return value
        case Dimension.BYOK, "true" | "false":
            return value == "true"
        case Dimension.BYOK, _:
            raise QuestionInvalid(f"{dimension} is true or false", path)
        case Dimension.APP, float() | int() if value == int(value) and abs(value) < 2**53:
            return int(value)
        case Dimension.APP, str() if value.isascii() and value.isdigit() and len(value) < 16:
            return int(value)
        case Dimension.APP, _:
            raise QuestionInvalid("an app is named by its number", path)
        case _, str():
            return value
        case _:
            raise QuestionInvalid(f"{dimension} is named by a text", path)


def _row_object(
    row: Row, question: Question, answered: Answered, snapshot: Snapshot
) -> dict[str, object]:
    """One row as the public API shows it. Pure."""
    shown: dict[str, object] = {}
    if row.start_ms is not None:
        if question.granularity is None:
            shown["created_at"] = timestamp(row.start_ms)
        else:
            source = "created_at" if question.by_generation else "date"
            shown[f"{source}__{question.granularity}"] = timestamp(row.start_ms)
    if row.generation is not None:
        shown[GENERATION] = row.generation
    for dimension, value in zip(question.dimensions, row.values, strict=True):
        shown |= _named(dimension, value, answered, snapshot)
    for metric in question.metrics:
        shown[metric.name] = row.metrics[metric.name]
    return shown


def _named(
    dimension: Dimension, value: str | int | bool, answered: Answered, snapshot: Snapshot
) -> dict[str, object]:
    """The value, by which it can be filtered, and what people call it. None: there is none."""
    names = answered.names
    match dimension:
        case Dimension.MODEL:
            model = snapshot.models.get(ModelId(str(value)))
            return {"model": value if model is None else model.canonical_slug}
        case Dimension.API_KEY:
            key = names.keys.get(str(value))
            if key is None:
                return {"api_key_id": value, "api_key_name": None}
            return {"api_key_id": key.hash, "api_key_name": key.name}
        case Dimension.USER:
            return {"user": value or None, "user_email": names.emails.get(str(value))}
        case Dimension.WORKSPACE:
            workspace = str(value or answered.default_workspace)
            return {"workspace": workspace, "workspace_name": names.workspaces.get(workspace)}
        case Dimension.APP:
            app = names.apps.get(int(value))
            return {"app": value or None, "app_title": None if app is None else app.title}
        case _:
            return {dimension.value: value}
