"""Sessions as pages show them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fairlead.control.generations.sessions import Session, SessionCursor
from fairlead.control.usage.calendar import DAY_MS, HOUR_MS, MINUTE_MS
from fairlead.control.usage.sessions import SESSION_CHARACTERS_MAX
from fairlead.core.one_line import one_line
from fairlead.web.pages.activity_view import Period
from fairlead.web.pages.call_facts import session_path
from fairlead.web.pages.call_rows import CallRow
from fairlead.web.pages.shown import (
    compact,
    cost,
    count,
    dollars,
    duration,
    moment,
    money,
    plural,
    share,
)

__all__ = [
    "SessionRow",
    "SessionView",
    "SessionsView",
    "session_cursor",
    "session_row",
    "shown_name",
]

_MS_PER_S: Final = 1000


@dataclass(frozen=True, slots=True)
class SessionRow:
    """model: the one with the most calls. others: how many more there are; "" for none."""

    path: str
    name: str
    last_s: float
    last: str
    model: str
    others: str
    calls: str
    failed: str
    tokens: str
    span: str
    cost: str


@dataclass(frozen=True, slots=True)
class SessionsView:
    """periods: name, label and address. is_own: as far as calls are their own. newest, older: addresses."""

    period: Period
    said: str
    periods: tuple[tuple[str, str, str], ...]
    rows: tuple[SessionRow, ...]
    is_own: bool
    newest: str | None
    older: str | None


@dataclass(frozen=True, slots=True)
class SessionView:
    """rows: a page of its calls."""

    session: Session
    rows: tuple[CallRow, ...]
    newest: str | None
    older: str | None

    @property
    def name(self) -> str:
        return shown_name(self.session.id)

    @property
    def spend(self) -> str:
        return money(self.session.cost)

    @property
    def spend_note(self) -> str:
        if not self.session.byok:
            return ""
        return f"and {dollars(self.session.byok)} at list prices with your own provider keys"

    @property
    def calls(self) -> str:
        return count(self.session.requests)

    @property
    def calls_note(self) -> str:
        failed = self.session.failed
        return f"{count(failed)} failed" if failed else "none failed"

    @property
    def tokens(self) -> str:
        return compact(self.session.tokens)

    @property
    def tokens_note(self) -> str:
        one = self.session
        return f"{compact(one.prompt_tokens)} in, {compact(one.completion_tokens)} out"

    @property
    def cached(self) -> str:
        prompt = self.session.prompt_tokens
        return share(self.session.cached_tokens / prompt) if prompt else share(None)

    @property
    def first_s(self) -> float:
        return self.session.first_ms / _MS_PER_S

    @property
    def last_s(self) -> float:
        return self.session.last_ms / _MS_PER_S

    @property
    def span(self) -> str:
        return span_of(self.session)


def session_row(one: Session) -> SessionRow:
    others = len(one.models) - 1
    return SessionRow(
        path=session_path(one.id),
        name=shown_name(one.id),
        last_s=one.last_ms / _MS_PER_S,
        last=moment(one.last_ms / _MS_PER_S).removesuffix(" UTC"),
        model=one.models[0],
        others=f"and {plural(others, 'other model')}" if others else "",
        calls=count(one.requests),
        failed=f"{count(one.failed)} failed" if one.failed else "",
        tokens=compact(one.tokens),
        span=span_of(one),
        cost=cost(one.cost),
    )


def span_of(one: Session) -> str:
    """From the beginning of its first call to that of its last."""
    if one.requests == 1:
        return "One call"
    passed_ms = one.last_ms - one.first_ms
    if passed_ms < HOUR_MS:
        return duration(passed_ms)
    if passed_ms < DAY_MS:
        return _two(passed_ms, HOUR_MS, "h", MINUTE_MS, "min")
    return _two(passed_ms, DAY_MS, "d", HOUR_MS, "h")


def _two(passed_ms: int, big_ms: int, big: str, small_ms: int, small: str) -> str:
    whole, rest = divmod(passed_ms // small_ms, big_ms // small_ms)
    return f"{whole} {big} {rest} {small}" if rest else f"{whole} {big}"


def shown_name(session: str) -> str:
    """Callers may put anything into it."""
    return one_line(session) or "(not to be read)"


def session_cursor(text: str) -> SessionCursor | None:
    """As an address has it; None for what is none."""
    last, dash, name = text.partition("-")
    is_time = last.isascii() and last.isdigit() and len(last) <= 15
    if not is_time or not dash or len(name) > SESSION_CHARACTERS_MAX or "\0" in name:
        return None
    return SessionCursor(int(last), name)
