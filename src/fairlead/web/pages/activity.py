"""`/activity`: what an account used over time, its calls one by one, and each with the reason of its price.

Everybody who belongs to an account sees its sums, and a call whose id they have, as by the API; of single keys,
and in lists of calls, members see their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.accounts.rules import default_workspace
from fairlead.control.accounts.types import AccountKind
from fairlead.control.contents.types import Reader
from fairlead.control.generations.listing import GenerationList
from fairlead.control.generations.types import Cursor, Page, Wanted
from fairlead.control.people.types import SignedIn
from fairlead.control.usage.calendar import month_after_ms, month_start_ms
from fairlead.control.usage.dimensions import Dimension, Filter, Operator
from fairlead.control.usage.service import Usage
from fairlead.control.usage.types import Chart as Sums
from fairlead.control.usage.types import Names
from fairlead.core.catalog import Snapshot
from fairlead.core.errors import NotFound, Overloaded, PermissionDenied
from fairlead.core.ids import AccountId, GenerationId, KeyId
from fairlead.web.api.feedback import COMMENT_CHARACTERS_MAX
from fairlead.web.api.generations import ID_CHARACTERS_MAX
from fairlead.web.api.routing import snapshot_of
from fairlead.web.asking import Desk
from fairlead.web.pages import activity_export
from fairlead.web.pages.activity_sessions import session_pages, tabs
from fairlead.web.pages.activity_view import (
    BIGGEST,
    BY,
    MEASURES,
    Activity,
    Asked,
    Stretch,
    asked_of,
    charts_of,
    label_of,
    period_links,
    stretch,
    totals_of,
)
from fairlead.web.pages.call_facts import facts_of
from fairlead.web.pages.call_rows import call_row, names_of_calls
from fairlead.web.pages.generation_view import call_view, provider_name
from fairlead.web.pages.kept_view import Kept, kept_of
from fairlead.web.pages.remarks import CATEGORY_OPTIONS, remark_pages
from fairlead.web.pages.site import Site
from fairlead.web.usage_desk import UsageDesk

__all__ = ["activity_pages"]

CALLS_SHOWN: Final = 25
OPTIONS_MAX: Final = 200  # of one filter, those with the most calls
_EXPORTS: Final = (
    ("Summary as CSV", "/activity/summary.csv", ""),
    ("Summary as PDF", "/activity/summary.pdf", ""),
    *(
        (f"{said} over time as CSV", "/activity/over-time.csv", metric)
        for metric, said in activity_export.METRICS.items()
    ),
    (f"Up to {activity_export.CALLS_MAX:,} calls as CSV", "/activity/calls.csv", ""),
)


def activity_pages(site: Site) -> list[Route]:
    usage, calls = site.services.usage, site.services.generation_list
    if usage is None or calls is None:
        return []
    pages = _Pages(site, usage, calls)
    return [
        Route("/activity", pages.activity),
        Route("/activity/summary.csv", pages.summary_csv),
        Route("/activity/over-time.csv", pages.over_time_csv),
        Route("/activity/calls.csv", pages.calls_csv),
        Route("/activity/summary.pdf", pages.summary_pdf),
        *session_pages(site),
        Route("/activity/{generation}", pages.generation),
        *remark_pages(site),
    ]


@dataclass(frozen=True, slots=True)
class _Read:
    """What the sums say. options: of filters, by the value in the address, with what they are called."""

    sums: Sums
    names: Names
    options: Mapping[str, Sequence[tuple[str, str]]]


class _Pages:
    def __init__(self, site: Site, usage: UsageDesk, calls: Desk[GenerationList]) -> None:
        self._site = site
        self._usage = usage
        self._calls = calls

    async def activity(self, request: Request) -> Response:
        member, asked, time, key = await self._asked(request)
        read = await self._usage.ask(partial(self._read, member, asked, time, key))
        page = await self._page(member, asked, time, key, limit=CALLS_SHOWN, behind=asked.before)
        names = await self._usage.ask(partial(names_of_calls, account=member.account.id, page=page))
        snapshot = self._site.services.catalog.snapshot
        label = partial(label_of, asked.dimension, names=read.names, snapshot=snapshot)
        view = Activity(
            asked=asked,
            time=time,
            totals=totals_of(read.sums),
            charts=charts_of(read.sums, time, label, asked.unit),
            periods=period_links(asked),
            groupings=tuple(
                (name, said)
                for name, (said, _) in BY.items()
                if name != "member" or member.account.kind is AccountKind.ORGANISATION
            ),
            options=read.options,
            rows=tuple(call_row(one, names, snapshot) for one in page.generations),
            is_own=not member.is_admin,
            newest=None if asked.before is None else replace(asked, before=None).address(),
            older=None if page.after is None else replace(asked, before=page.after).address(),
            exports=tuple(
                (said, replace(asked, before=None).address(path, metric=metric))
                for said, path, metric in _EXPORTS
            ),
        )
        return await self._site.page(
            request,
            "activity/activity.html",
            member,
            title="Activity",
            fragment="activity/results.html",
            scripts=("charts",),
            view=view,
            tabs=tabs(asked.period),
        )

    async def generation(self, request: Request) -> Response:
        """As the API, it shows every call of the account to whoever belongs to it."""
        member = await self._site.member(request)
        wanted = GenerationId(request.path_params["generation"])
        services = self._site.services
        found = None
        if len(wanted) <= ID_CHARACTERS_MAX:
            found = await services.generations.find(wanted, member.account.id)
        if found is None:
            raise NotFound("This account has no such call.")
        workspace = found.workspace or default_workspace(found.account)
        called: Mapping[Dimension, set[str | int | bool]] = {
            Dimension.API_KEY: {found.key},
            Dimension.WORKSPACE: {workspace},
        }
        names = await self._usage.ask(lambda usage: usage.names(member.account.id, called))
        key = names.keys.get(found.key)
        kept, why_not = await self._kept(member, found.id)
        view = call_view(
            found,
            sheet=await self._usage.prices(found.price_version),
            decided_in=None if found.decision is None else await snapshot_of(found, services),
            now=services.catalog.snapshot,
            facts=facts_of(
                found,
                key_name="" if key is None else key.name,
                workspace=names.workspaces.get(workspace, ""),
                cache_saved=(await self._usage.beside(found)).cache_saved,
            ),
        )
        return await self._site.page(
            request,
            "activity/generation.html",
            member,
            title=f"Call of {view.model}",
            call=view,
            kept=kept,
            why_not_kept=why_not,
            remarks=CATEGORY_OPTIONS if self._site.services.management is not None else (),
            comment_max=COMMENT_CHARACTERS_MAX,
        )

    async def _kept(self, member: SignedIn, generation: GenerationId) -> tuple[Kept | None, str]:
        """Its prompt and answer, or why they are not shown; "": nothing is kept of it."""
        contents = self._site.services.contents
        if contents is None:
            return None, ""
        reader = Reader(member.account.id, may_manage=member.is_admin, user=member.user.id)
        try:
            found = await contents.do(partial(contents.service.find, reader, generation))
        except PermissionDenied:
            return None, "In an organisation only admins can read prompts and answers."
        except Overloaded as error:
            return None, error.message
        return None if found is None else await run_in_threadpool(kept_of, found), ""

    # --- to take away ---

    async def summary_csv(self, request: Request) -> Response:
        member, asked, time, key = await self._asked(request)
        read = await self._usage.ask(partial(self._read, member, asked, time, key))
        label = self._label(asked, read.names)
        return activity_export.summary_csv(read.sums, asked, time, label)

    async def over_time_csv(self, request: Request) -> Response:
        member, asked, time, key = await self._asked(request)
        read = await self._usage.ask(partial(self._read, member, asked, time, key))
        return activity_export.over_time_csv(
            read.sums,
            asked,
            time,
            self._label(asked, read.names),
            request.query_params.get("metric", ""),
        )

    async def calls_csv(self, request: Request) -> Response:
        member, asked, time, key = await self._asked(request)
        snapshot = self._site.services.catalog.snapshot
        rows: list[Sequence[object]] = []
        behind = asked.before
        for _ in range(activity_export.PAGES_MAX):
            room = activity_export.CALLS_MAX - len(rows)
            limit = min(room, activity_export.CALLS_AT_ONCE)
            page = await self._page(member, asked, time, key, limit=limit, behind=behind)
            names = await self._usage.ask(
                partial(names_of_calls, account=member.account.id, page=page)
            )
            # Many rows take a while, and this process also relays streams.
            rows += await run_in_threadpool(
                activity_export.call_rows, page.generations, names, snapshot
            )
            behind = page.after
            if behind is None or len(rows) == activity_export.CALLS_MAX:
                break
        rest = None if behind is None else replace(asked, before=behind)
        return await run_in_threadpool(activity_export.calls_csv, rows, rest)

    async def summary_pdf(self, request: Request) -> Response:
        member, asked, time, key = await self._asked(request)
        read = await self._usage.ask(partial(self._read, member, asked, time, key))
        billing = self._site.services.billing
        draw = partial(
            activity_export.summary_pdf,
            read.sums,
            asked,
            time,
            self._label(asked, read.names),
            account=member.account.name or member.account.email or member.account.id,
            chosen=_chosen(asked, read.options),
            now_s=self._site.services.clock.now_s(),
            font_file=None if billing is None else billing.font_file,
        )
        return await run_in_threadpool(draw)

    # --- what is asked of services ---

    async def _asked(self, request: Request) -> tuple[SignedIn, Asked, Stretch, KeyId | None]:
        """Who asks for what, when, and of which key. Raises NotFound for a key that is not theirs to see."""
        member = await self._site.member(request)
        asked = asked_of(request.query_params)
        time = stretch(asked.period, self._site.now_ms())
        if not asked.key:
            return member, asked, time, None
        digest = bytes.fromhex(asked.key)
        creator = None if member.is_admin else member.user.id

        def found(usage: Usage) -> KeyId | None:
            keys = usage.keys_by_digest(member.account.id, [digest], creator=creator)
            return keys.get(digest)

        key = await self._usage.ask(found)
        if key is None:
            raise NotFound("This account has no such key.")
        return member, asked, time, key

    async def _page(
        self,
        member: SignedIn,
        asked: Asked,
        time: Stretch,
        key: KeyId | None,
        *,
        limit: int,
        behind: Cursor | None,
    ) -> Page:
        wanted = Wanted(
            time.start_ms,
            time.end_ms,
            asked.model or None,
            asked.provider or None,
            key,
            asked.app or None,
            None if member.is_admin else member.user.id,
            outcome=asked.calls.outcome,
            is_cached=asked.calls.is_cached,
            is_streamed=asked.calls.is_streamed,
        )
        read = partial(
            self._calls.service.page, member.account.id, wanted, behind=behind, limit=limit
        )
        return await self._calls.do(read)

    def _label(self, asked: Asked, names: Names) -> activity_export.Label:
        snapshot = self._site.services.catalog.snapshot
        return partial(label_of, asked.dimension, names=names, snapshot=snapshot)

    def _read(
        self, member: SignedIn, asked: Asked, time: Stretch, key: KeyId | None, usage: Usage
    ) -> _Read:
        """In one of the database's threads."""
        account = member.account.id
        # Of keys and people, members see what is their own.
        own = [] if member.is_admin else [Filter(Dimension.USER, Operator.EQ, (member.user.id,))]
        chosen = [
            Filter(dimension, Operator.EQ, (value,))
            for dimension, value in (
                (Dimension.MODEL, asked.model),
                (Dimension.PROVIDER, asked.provider),
                (Dimension.API_KEY, key),
                (Dimension.APP, asked.app),
            )
            if value
        ]
        if asked.dimension in (Dimension.API_KEY, Dimension.USER):
            chosen += own
        sums = usage.charted(
            account,
            asked.dimension,
            start_ms=time.start_ms,
            end_ms=time.end_ms,
            granularity=time.granularity,
            measures=MEASURES,
            biggest=BIGGEST,
            filters=chosen,
        )
        snapshot = self._site.services.catalog.snapshot
        models = _most_used(usage, account, time, Dimension.MODEL)
        providers = _most_used(usage, account, time, Dimension.PROVIDER)
        keys = _most_used(usage, account, time, Dimension.API_KEY, own)
        apps = usage.apps_of(account, limit=OPTIONS_MAX)
        if asked.app and sums.biggest:
            # Else it may be another account's, on somebody's own machine: nobody here is to know its name.
            apps.append(asked.app)
        values: dict[Dimension, set[str | int | bool]] = {
            Dimension.API_KEY: set(keys),
            Dimension.APP: set(apps),
        }
        values.setdefault(asked.dimension, set()).update(sums.biggest)
        if key is not None:
            values[Dimension.API_KEY].add(key)
        names = usage.names(account, values)
        return _Read(sums, names, _options(asked, models, providers, names, snapshot))


def _options(
    asked: Asked,
    models: Sequence[str],
    providers: Sequence[str],
    names: Names,
    snapshot: Snapshot,
) -> Mapping[str, Sequence[tuple[str, str]]]:
    """What can be chosen in each filter. models, providers: that were used."""
    keys = {(known.hash, known.name) for known in names.keys.values()}
    apps = {(str(one.id), one.title or one.identity) for one in names.apps.values()}
    return {
        "model": _with(asked.model, asked.model, sorted((one, one) for one in models)),
        "provider": _with(
            asked.provider,
            provider_name(asked.provider, snapshot),
            sorted(((one, provider_name(one, snapshot)) for one in providers), key=_by_label),
        ),
        "key": sorted(keys, key=_by_label),
        "app": sorted(apps, key=_by_label),
    }


def _most_used(
    usage: Usage,
    account: AccountId,
    time: Stretch,
    dimension: Dimension,
    filters: Sequence[Filter] = (),
) -> list[Any]:
    """What can be chosen: values of the dimension in the months that the time touches, those with the most
    calls first. Of whole months there are far fewer sums than of the days and minutes at a time's ends."""
    found = usage.sums(
        account,
        start_ms=month_start_ms(time.start_ms),
        end_ms=month_after_ms(month_start_ms(time.end_ms - 1)),
        measures=("requests",),
        dimensions=(dimension,),
        filters=filters,
    )
    return [value for _, value in sorted(found, key=lambda one: -found[one][0])[:OPTIONS_MAX]]


def _with(value: str, label: str, options: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """What is chosen is among them, although nothing of it was used in this time."""
    if not value or any(value == one for one, _ in options):
        return options
    return [(value, label), *options]


def _by_label(option: tuple[str, str]) -> tuple[str, str]:
    return option[1].lower(), option[0]


def _chosen(asked: Asked, options: Mapping[str, Sequence[tuple[str, str]]]) -> list[str]:
    """The filters in words."""
    values = {
        "model": asked.model,
        "provider": asked.provider,
        "key": asked.key,
        "app": str(asked.app or ""),
    }
    return [
        f"{BY[name][0]}: {dict(options[name]).get(value, value)}"
        for name, value in values.items()
        if value
    ]
