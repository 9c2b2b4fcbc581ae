"""What people look at: how much was used, by whom, of what, and how endpoints did."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from operator import itemgetter, sub
from typing import Any, Final

import sqlalchemy as sa

from fairlead.control.usage import app_queries, name_queries, queries, sum_queries
from fairlead.control.usage.analysis import (
    LIMIT_DEFAULT,
    SERIES_ROWS_MAX,
    Analysis,
    Question,
    QuestionInvalid,
    measures_of,
    rows_of,
)
from fairlead.control.usage.calendar import DAY_MS, day_start_ms, month_start_ms, week_start_ms
from fairlead.control.usage.charts import biggest_first, chart_of
from fairlead.control.usage.dimensions import Dimension, Filter, Operator, resolutions_for
from fairlead.control.usage.endpoints import EndpointSpan
from fairlead.control.usage.rules import MS_PER_S, measures
from fairlead.control.usage.samples import Sample
from fairlead.control.usage.spans import COARSEST, Granularity, Kept, Span, spans, whole
from fairlead.control.usage.sum_queries import Group
from fairlead.control.usage.types import (
    ActivityRow,
    App,
    Chart,
    KeyUsage,
    Names,
    Resolution,
    SpanUsage,
)
from fairlead.core.ids import AccountId, KeyId, UserId, WorkspaceId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database
from fairlead.store.tables.usage import MEASURES

__all__ = ["ACTIVITY_DAYS", "Usage"]

ACTIVITY_DAYS: Final = 30
CALLS_AT_ONCE: Final = 500
CALLS_MAX: Final = 10_000  # that are looked through for those that are wanted; some 0.2 s
_ACTIVITY: Final = (Dimension.MODEL, Dimension.ENDPOINT)
_ACTIVITY_MEASURES: Final = (
    "requests", "prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens",
    "cost_nano", "byok_nano",
)  # fmt: skip


class Usage:
    """Reads the sums. Methods block: call them in one of the database's threads; DatabaseUnreadable.

    usage = Usage(database, now_ms=clock.now_ms, minutes_days=7, hours_days=95)
    """

    def __init__(
        self, database: Database, *, now_ms: Callable[[], int], minutes_days: int, hours_days: int
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._minutes_days = minutes_days
        self._hours_days = hours_days

    @property
    def kept(self) -> Kept:
        today_ms = day_start_ms(self._now_ms())
        return Kept(
            minutes_from_ms=today_ms - self._minutes_days * DAY_MS,
            hours_from_ms=today_ms - self._hours_days * DAY_MS,
        )

    def of_keys(self, keys: Collection[KeyId]) -> dict[KeyId, KeyUsage]:
        """What each of them has used; those that have used nothing are missing."""
        now_ms = self._now_ms()
        with self._database.read() as connection:
            rows = queries.key_rows(connection, keys)
        return {key: _key_usage(row, now_ms) for key, row in rows.items()}

    def sums(
        self,
        account: AccountId,
        *,
        start_ms: int,
        end_ms: int,
        measures: Sequence[str] = MEASURES,
        granularity: Granularity | None = None,
        dimensions: Sequence[Dimension] = (),
        filters: Sequence[Filter] = (),
    ) -> dict[Group, list[int]]:
        """What charts are drawn from: sums of measures by (start of the bucket, *values of dimensions).

        account: INSTALLATION for rankings, by day or longer; there, dimensions are model, provider, endpoint,
        api_type and is_byok, or app and model. Where finer sums are gone, the range is widened to whole hours
        or days. Raises QuestionInvalid for buckets finer than what is kept.
        """
        with self._read() as connection:
            found, _, _ = self._sums(
                connection, account, start_ms=start_ms, end_ms=end_ms, measures=measures,
                granularity=granularity, dimensions=dimensions, filters=filters,
            )  # fmt: skip
        return found

    def charted(
        self,
        account: AccountId,
        dimension: Dimension,
        *,
        start_ms: int,
        end_ms: int,
        granularity: Granularity,
        measures: Sequence[str],
        biggest: int,
        filters: Sequence[Filter] = (),
    ) -> Chart:
        """As `sums` by one dimension, of as many groups as one can tell apart in a chart.

        measures: that are never negative. biggest: how many, by the first of them. However many groups there
        are, not many rows come back.
        """
        with self._read() as connection:

            def sums(
                names: Sequence[str],
                by: Granularity | None,
                dimensions: Sequence[Dimension],
                more: Sequence[Filter] = (),
            ) -> tuple[dict[Group, list[int]], bool]:
                found, _, is_complete = self._sums(
                    connection, account, start_ms=start_ms, end_ms=end_ms, measures=names,
                    granularity=by, dimensions=dimensions, filters=(*filters, *more),
                )  # fmt: skip
                return found, is_complete

            if filters:
                # Filters leave few of many sums, which are read but once.
                every, is_complete = sums(measures, granularity, (dimension,))
                if is_complete:
                    return chart_of(every, biggest=biggest)
            totals, _ = sums(measures[:1], None, (dimension,))
            order = biggest_first({value: counted for (_, value), (counted,) in totals.items()})
            values = order[:biggest]
            # Where all are shown, reading all is faster than finding each.
            only = [Filter(dimension, Operator.IN, values, dimension.unset in values)]
            more = only if len(order) > biggest else []
            chosen, _ = sums(measures, granularity, (dimension,), more) if values else ({}, True)
            undivided, _ = sums(measures, granularity, ())
            rest = {start_ms: counted for (start_ms,), counted in undivided.items()}
        nothing = [0] * len(measures)
        for (bucket_ms, _), counted in chosen.items():
            rest[bucket_ms] = list(map(sub, rest.get(bucket_ms, nothing), counted))
        return Chart(
            values,
            {(at_ms, one): counted for (at_ms, one), counted in chosen.items()},
            # Less than nothing would be left where a server of the version before, which knows fewer levels,
            # has added to the groups alone (revision 0017).
            {at_ms: [max(0, one) for one in left] for at_ms, left in rest.items()},
        )

    def analysed(self, account: AccountId, question: Question) -> Analysis:
        """Raises QuestionInvalid for buckets finer than what is kept."""
        with self._read() as connection:
            if question.by_generation:
                calls, is_complete = self._calls(connection, account, question)
                return rows_of(question, calls, is_complete=is_complete)
            chosen = self._with_the_most(connection, account, question)
            found, was_widened, is_complete = self._sums(
                connection,
                account,
                start_ms=question.start_ms,
                end_ms=question.end_ms,
                measures=measures_of(question),
                granularity=question.granularity,
                dimensions=question.dimensions,
                filters=question.filters if chosen is None else chosen,
            )
            is_complete = is_complete and chosen is None
        analysis = rows_of(question, found, is_complete=is_complete)
        if was_widened:
            warning = (
                "The range was widened to whole hours or days: finer sums are kept for"
                f" {self._minutes_days} days (minutes) and {self._hours_days} days (hours)."
            )
            return replace(analysis, warnings=(warning,))
        return analysis

    def activity(
        self,
        account: AccountId,
        *,
        day_ms: int | None = None,
        key: KeyId | None = None,
        user: UserId | None = None,
        workspaces: Collection[WorkspaceId] | None = None,
        by_workspace: bool = False,
    ) -> list[ActivityRow]:
        """By day, model, endpoint and provider (and workspace), latest day first.

        day_ms: that day only; None: the last 30 that are over. workspaces: of these only, "" for calls from
        before there were any.
        """
        today_ms = day_start_ms(self._now_ms())
        start_ms = today_ms - ACTIVITY_DAYS * DAY_MS if day_ms is None else day_ms
        end_ms = today_ms if day_ms is None else day_ms + DAY_MS
        filters = [
            Filter(dimension, Operator.EQ, (value,))
            for dimension, value in ((Dimension.API_KEY, key), (Dimension.USER, user))
            if value is not None
        ]
        if workspaces is not None:
            filters.append(Filter(Dimension.WORKSPACE, Operator.IN, tuple(workspaces)))
        with self._read() as connection:
            providers = queries.providers_of(connection, account)
            found, _ = sum_queries.sums_of(
                connection,
                account,
                [Span(Resolution.DAY, start_ms, end_ms)],
                measures=_ACTIVITY_MEASURES,
                granularity=Granularity.DAY,
                dimensions=(*_ACTIVITY, Dimension.WORKSPACE) if by_workspace else _ACTIVITY,
                filters=filters,
            )
        groups = sorted(found)
        groups.sort(key=itemgetter(0), reverse=True)
        return [_activity_row(group, found[group], providers) for group in groups]

    def endpoint_history(
        self,
        resolution: Resolution,
        *,
        start_ms: int,
        end_ms: int,
        model: str | None = None,
    ) -> list[EndpointSpan]:
        """How a model's endpoints did, or all, by hour or day, in the order of time."""
        assert resolution in (Resolution.HOUR, Resolution.DAY)
        with self._database.read() as connection:
            rows = queries.endpoint_sums(
                connection, resolution, model=model, start_ms=start_ms, end_ms=end_ms
            )
        return [
            EndpointSpan(row.model, row.start_ms, row.endpoint, row.provider, tuple(row)[4:])
            for row in rows
        ]

    def endpoint_outcomes(
        self,
        resolution: Resolution,
        *,
        start_ms: int,
        end_ms: int,
        model: str | None = None,
    ) -> list[tuple[str, int, str, str, int, int]]:
        """As endpoint_history, only how often calls succeeded and failed: (model, start of the span, endpoint,
        provider, successes, outages)."""
        assert resolution in (Resolution.HOUR, Resolution.DAY)
        with self._database.read() as connection:
            rows = queries.endpoint_sums(
                connection, resolution, model=model, start_ms=start_ms, end_ms=end_ms,
                counts=("successes", "outages"),
            )  # fmt: skip
        return list(map(tuple, rows))

    def provider_history(
        self, resolution: Resolution, provider: str, *, start_ms: int, end_ms: int
    ) -> list[EndpointSpan]:
        """All endpoints of a provider as if they were one, without a name, in the order of time."""
        with self._database.read() as connection:
            rows = queries.provider_spans(
                connection, resolution, provider, start_ms=start_ms, end_ms=end_ms
            )
        return [EndpointSpan("", row.start_ms, "", provider, tuple(row)[1:]) for row in rows]

    def endpoint_wholes(
        self,
        resolution: Resolution,
        provider: str,
        models: Collection[str],
        *,
        start_ms: int,
        end_ms: int,
    ) -> list[EndpointSpan]:
        """Of a provider's endpoints of these models, each over the whole time. models: as many as a page
        shows."""
        with self._database.read() as connection:
            rows = queries.endpoint_wholes(
                connection, resolution, provider, models, start_ms=start_ms, end_ms=end_ms
            )
        return [
            EndpointSpan(row.model, start_ms, row.endpoint, provider, tuple(row)[2:])
            for row in rows
        ]

    def model_speeds(
        self, resolution: Resolution, *, start_ms: int, end_ms: int
    ) -> list[tuple[str, int, int, int, int]]:
        """What means of speed are made of: (model, successes, milliseconds to their first tokens, milliseconds
        of writing, tokens written in these)."""
        assert resolution in (Resolution.HOUR, Resolution.DAY)
        with self._database.read() as connection:
            rows = queries.model_speeds(connection, resolution, start_ms=start_ms, end_ms=end_ms)
        return list(map(tuple, rows))

    def apps(self, ids: Collection[int]) -> dict[int, App]:
        with self._database.read() as connection:
            return app_queries.by_ids(connection, ids)

    def apps_of(self, account: AccountId, *, limit: int) -> list[int]:
        """Numbers of apps that ever called for it; the youngest, where there are more."""
        with self._database.read() as connection:
            return app_queries.used_by(connection, account, limit=limit)

    def app(self, identity: str) -> App | None:
        with self._database.read() as connection:
            return app_queries.by_identities(connection, [identity]).get(identity)

    def names(
        self, account: AccountId, values: Mapping[Dimension, Collection[str | int | bool]]
    ) -> Names:
        """What people call the keys, members, workspaces and apps of these ids."""
        with self._database.read() as connection:
            return name_queries.names(connection, account, values)

    def keys_by_digest(
        self, account: AccountId, digests: Collection[bytes], *, creator: UserId | None = None
    ) -> dict[bytes, KeyId]:
        """Those of the account's keys that there are, or were. creator: who made them; None: anybody."""
        with self._database.read() as connection:
            return name_queries.keys_by_digest(connection, account, digests, creator=creator)

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with self._database.read() as connection, queries.with_room(connection):
            yield connection

    def _sums(
        self,
        connection: sa.Connection,
        account: AccountId,
        *,
        start_ms: int,
        end_ms: int,
        measures: Sequence[str],
        granularity: Granularity | None,
        dimensions: Sequence[Dimension],
        filters: Sequence[Filter],
    ) -> tuple[dict[Group, list[int]], bool, bool]:
        """The sums; whether the range was widened; whether these are all."""
        kept = self.kept
        self._check_kept(granularity, start_ms, kept)
        around = whole(start_ms, end_ms, kept)
        told_apart = {*dimensions, *(one.dimension for one in filters)}
        resolutions = resolutions_for(account, told_apart, coarsest=COARSEST[granularity])
        found, is_complete = sum_queries.sums_of(
            connection,
            account,
            spans(around.start_ms, around.end_ms, resolutions, granularity),
            measures=measures,
            granularity=granularity,
            dimensions=dimensions,
            filters=filters,
        )
        return found, around.was_widened, is_complete

    def _with_the_most(
        self, connection: sa.Connection, account: AccountId, question: Question
    ) -> tuple[Filter, ...] | None:
        """Filters for the groups with the most requests, as many as an answer has room for with all of their
        buckets. None: there is room for all, or that cannot be said by filters."""
        granularity = question.granularity
        if granularity is None or len(question.dimensions) != 1 or not question.is_series:
            return None
        room = max(1, SERIES_ROWS_MAX // question.buckets)
        found, _, _ = self._sums(
            connection, account, start_ms=question.start_ms, end_ms=question.end_ms,
            measures=("requests",), granularity=None, dimensions=question.dimensions,
            filters=question.filters,
        )  # fmt: skip
        if len(found) <= room:
            return None
        (dimension,) = question.dimensions
        most = sorted(found, key=lambda group: -found[group][0])[:room]
        values = tuple(group[1] for group in most)
        include_unset = dimension.unset in values
        return (*question.filters, Filter(dimension, Operator.IN, values, include_unset))

    def _check_kept(self, granularity: Granularity | None, start_ms: int, kept: Kept) -> None:
        if granularity is Granularity.MINUTE and start_ms < kept.minutes_from_ms:
            raise QuestionInvalid(
                f"minutes are kept for {self._minutes_days} days; ask by hour or day", "granularity"
            )
        if granularity is Granularity.HOUR and start_ms < kept.hours_from_ms:
            raise QuestionInvalid(
                f"hours are kept for {self._hours_days} days; ask by day", "granularity"
            )

    def _calls(
        self, connection: sa.Connection, account: AccountId, question: Question
    ) -> tuple[dict[Group, list[int]], bool]:
        """Calls that the filters let through, newest first, and whether these are all."""
        wanted = LIMIT_DEFAULT if question.limit is None else question.limit
        places = [MEASURES.index(name) for name in measures_of(question)]
        found: dict[Group, list[int]] = {}
        before: tuple[int, str] | None = None
        looked_at = 0
        while looked_at < CALLS_MAX:
            page = queries.latest_samples(
                connection, account, start_ms=question.start_ms, end_ms=question.end_ms,
                before=before, limit=CALLS_AT_ONCE,
            )  # fmt: skip
            for one in page:
                created_ms = round(one.created_s * MS_PER_S)
                before = (created_ms, one.id)
                if not all(
                    filter_.holds(_value(one, filter_.dimension)) for filter_ in question.filters
                ):
                    continue
                if len(found) >= wanted:
                    return found, False
                values = (_value(one, dimension) for dimension in question.dimensions)
                counted = measures(one, None)
                found[created_ms, *values, one.id] = [counted[place] for place in places]
            looked_at += len(page)
            if len(page) < CALLS_AT_ONCE:
                return found, True
        return found, False


def _value(one: Sample, dimension: Dimension) -> str | int | bool:
    match dimension:
        case Dimension.MODEL:
            return one.model
        case Dimension.PROVIDER:
            return one.provider
        case Dimension.ENDPOINT:
            return one.endpoint
        case Dimension.API_KEY:
            return one.key
        case Dimension.USER:
            return one.user or ""
        case Dimension.WORKSPACE:
            return one.workspace
        case Dimension.API_TYPE:
            return one.api_type
        case Dimension.BYOK:
            return one.is_byok
        case Dimension.APP:
            raise AssertionError("a call does not say which app's number it has; see Question")


def _activity_row(
    group: Group, counted: Sequence[int], providers: Mapping[str, str]
) -> ActivityRow:
    day_ms, model, endpoint, *workspace = group
    requests, prompt, completion, reasoning, cached, cost, byok = counted
    return ActivityRow(
        day_ms,
        model,
        endpoint,
        providers[endpoint],
        workspace[0] if workspace else None,
        requests,
        prompt,
        completion,
        reasoning,
        cached,
        NanoUSD(cost),
        NanoUSD(byok),
    )


def _key_usage(row: sa.Row[Any], now_ms: int) -> KeyUsage:
    def span(name: str, start_ms: int) -> SpanUsage:
        """What is kept is of the latest span in which the key was used."""
        if getattr(row, f"{name}_ms") != start_ms:
            return SpanUsage()
        cost, byok = getattr(row, f"{name}_cost_nano"), getattr(row, f"{name}_byok_nano")
        return SpanUsage(NanoUSD(cost), NanoUSD(byok))

    return KeyUsage(
        total=SpanUsage(NanoUSD(row.cost_nano), NanoUSD(row.byok_nano)),
        daily=span("day", day_start_ms(now_ms)),
        weekly=span("week", week_start_ms(now_ms)),
        monthly=span("month", month_start_ms(now_ms)),
        requests=row.requests,
        last_used_ms=row.last_used_ms,
    )
