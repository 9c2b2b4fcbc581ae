"""Usage as the web edge asks for it: questions in the API's words, answers with the names that people know."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from fairlead.control.prices.service import Prices
from fairlead.control.usage.analysis import Analysis, Question
from fairlead.control.usage.apps import claim
from fairlead.control.usage.dimensions import Dimension, Filter, Operator
from fairlead.control.usage.rules import cache_saved
from fairlead.control.usage.service import Usage
from fairlead.control.usage.types import ActivityRow, Names
from fairlead.control.workspaces.types import WorkspaceUnknown
from fairlead.core.errors import NotFound
from fairlead.core.generation import Generation
from fairlead.core.ids import AccountId, UserId, WorkspaceId
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import PriceSheet
from fairlead.web.asking import InThread, answered
from fairlead.web.reading import is_digest

__all__ = ["Answered", "Beside", "UsageDesk"]

_Answer = TypeVar("_Answer")


class WorkspaceBook(Protocol):
    """An account's workspaces. Blocks."""

    def default_of(self, account: AccountId) -> WorkspaceId: ...

    def find(self, account: AccountId, workspace: str) -> object:
        """Raises WorkspaceUnknown."""
        ...


@dataclass(frozen=True, slots=True)
class Beside:
    """What belongs to a generation and is not in its record.

    app: the number of the app that called. cache_saved: what the prompt would have cost more without a cache;
    None: it used none, or its prices are not known.
    """

    app: int | None = None
    cache_saved: NanoUSD | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """An analysis, and what its ids are called. default_workspace: whose calls have no workspace."""

    analysis: Analysis
    names: Names
    default_workspace: WorkspaceId


class UsageDesk:
    """in_thread: calls a blocking function in one of the database's threads."""

    def __init__(
        self, usage: Usage, workspaces: WorkspaceBook, prices: Prices, *, in_thread: InThread
    ) -> None:
        self._usage = usage
        self._prices = prices
        self._workspaces = workspaces
        self._in_thread = in_thread

    async def ask(self, question: Callable[[Usage], _Answer]) -> _Answer:
        """Whatever the sums can answer, for pages. Raises RequestInvalid, Overloaded."""
        return await self._do(partial(question, self._usage))

    async def prices(self, version: str) -> PriceSheet | None:
        """The price sheet of that name. Raises Overloaded if we cannot tell."""
        return await self._do(partial(self._prices.find, version))

    async def activity(
        self,
        account: AccountId,
        *,
        day_ms: int | None,
        key_digest: bytes | None,
        keys_of: UserId | None,
        user: UserId | None,
        workspace: WorkspaceId | None,
        by_workspace: bool,
    ) -> list[ActivityRow]:
        """keys_of: whose keys may be asked about; None: everybody's.

        Raises NotFound for a key that is not the account's, or not theirs, and for another's workspace.
        """

        def found() -> list[ActivityRow]:
            key = None
            if key_digest is not None:
                known = self._usage.keys_by_digest(account, [key_digest], creator=keys_of)
                key = known.get(key_digest)
                if key is None:
                    raise NotFound("This account has no such API key.")
            rows = self._usage.activity(
                account,
                day_ms=day_ms,
                key=key,
                user=user,
                workspaces=self._with_unset(account, workspace),
                by_workspace=by_workspace,
            )
            return self._in_workspaces(account, rows) if by_workspace else rows

        return await self._do(found)

    async def analysed(self, account: AccountId, question: Question) -> Answered:
        """The question's keys may be hashes. Raises RequestInvalid."""
        return await self._do(partial(self._analysed, account, question))

    async def beside(self, generation: Generation) -> Beside:
        """Raises Overloaded if we cannot tell."""
        usage = generation.usage
        claimed = claim(generation.attribution)
        has_cached = bool(usage.cache_read or usage.cache_write or usage.cache_write_1h)
        if claimed is None and not has_cached:
            return Beside()

        def found() -> Beside:
            app = None if claimed is None else self._usage.app(claimed.identity)
            sheet = self._prices.find(generation.price_version) if has_cached else None
            saved = None
            if sheet is not None:
                saved = NanoUSD(cache_saved(usage, sheet, at_s=generation.created_s))
            return Beside(None if app is None else app.id, saved)

        return await self._do(found)

    def _analysed(self, account: AccountId, question: Question) -> Answered:
        default = self._workspaces.default_of(account)
        resolved, warnings = self._resolved(account, question.filters)
        filters = tuple(_with_default(one, default) for one in resolved)
        analysis = self._usage.analysed(account, replace(question, filters=filters))
        values: dict[Dimension, set[str | int | bool]] = {}
        for place, dimension in enumerate(question.dimensions):
            values[dimension] = {row.values[place] for row in analysis.rows}
        if Dimension.WORKSPACE in values:
            values[Dimension.WORKSPACE].add(default)
        names = self._usage.names(account, values)
        analysis = replace(analysis, warnings=(*warnings, *analysis.warnings))
        return Answered(analysis, names, default)

    def _resolved(
        self, account: AccountId, filters: Iterable[Filter]
    ) -> tuple[list[Filter], list[str]]:
        """Hashes of keys become keys; those that there are not stay, and match nothing."""
        resolved: list[Filter] = []
        warnings: list[str] = []
        for one in filters:
            if one.dimension is not Dimension.API_KEY:
                resolved.append(one)
                continue
            digests = {
                value: bytes.fromhex(str(value)) for value in one.values if is_digest(str(value))
            }
            known = self._usage.keys_by_digest(account, digests.values())
            values = []
            for value in one.values:
                key = known.get(digests[value]) if value in digests else str(value)
                if key is None:
                    warnings.append(f"This account has no API key with the hash {value}.")
                values.append(value if key is None else key)
            resolved.append(replace(one, values=tuple(values)))
        return resolved, warnings

    def _with_unset(
        self, account: AccountId, workspace: WorkspaceId | None
    ) -> list[WorkspaceId] | None:
        """Calls from before there were workspaces are the default one's."""
        if workspace is None:
            return None
        try:
            self._workspaces.find(account, workspace)
        except WorkspaceUnknown as error:
            raise NotFound("This account has no such workspace.") from error
        if workspace == self._workspaces.default_of(account):
            return [workspace, WorkspaceId("")]
        return [workspace]

    def _in_workspaces(self, account: AccountId, rows: list[ActivityRow]) -> list[ActivityRow]:
        default = self._workspaces.default_of(account)
        return [row if row.workspace else replace(row, workspace=default) for row in rows]

    async def _do(self, function: Callable[[], _Answer]) -> _Answer:
        return await answered(self._in_thread, function)


def _with_default(one: Filter, default: WorkspaceId) -> Filter:
    """Calls from before there were workspaces are the default one's."""
    if one.dimension is not Dimension.WORKSPACE or default not in one.values:
        return one
    match one.operator:
        case Operator.EQ:
            return Filter(one.dimension, Operator.IN, one.values, include_unset=True)
        case Operator.NEQ:
            return Filter(one.dimension, Operator.NOT_IN, one.values)
        case Operator.IN:
            return replace(one, include_unset=True)
        case Operator.NOT_IN:
            return replace(one, include_unset=False)
        case _:
            return one
