"""`/admin`: how the installation does today, and what waits for a person."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.oversight.types import Counts, Troubles
from fairlead.control.usage.calendar import DAY_MS, day_start_ms
from fairlead.control.usage.spans import Granularity
from fairlead.control.usage.types import INSTALLATION
from fairlead.core.money import NANO_PER_USD, NanoUSD
from fairlead.web.administration import Vitals
from fairlead.web.pages import shown
from fairlead.web.pages.admin.desk import AdminDesk
from fairlead.web.pages.charts import Chart, chart

__all__ = ["overview_pages"]

CHART_DAYS = 30
_MEASURES = ("cost_nano", "byok_nano", "requests", "failed", "prompt_tokens", "completion_tokens")


@dataclass(frozen=True, slots=True)
class Today:
    """charged: to accounts. byok: list price of calls with keys of callers' own."""

    charged: NanoUSD
    byok: NanoUSD
    requests: int
    failed: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a person should look at. href: where."""

    text: str
    href: str
    tone: str = "warning"


def overview_pages(desk: AdminDesk) -> list[Route]:
    administration = desk.administration

    async def show(request: Request) -> Response:
        member = await desk.owner(request)
        vitals = administration.vitals()
        today_ms = day_start_ms(desk.now_ms())

        def read() -> tuple[Counts, Troubles, dict[tuple[object, ...], list[int]]]:
            sums = administration.usage.sums(
                INSTALLATION,
                start_ms=today_ms - (CHART_DAYS - 1) * DAY_MS,
                end_ms=today_ms + DAY_MS,
                measures=_MEASURES,
                granularity=Granularity.DAY,
            )
            return administration.oversight.counts(), administration.oversight.troubles(), sums

        counts, troubles, sums = await administration.do(read)
        charged, byok, requests, failed, prompt, completion = sums.get((today_ms,), [0] * 6)
        today = Today(NanoUSD(charged), NanoUSD(byok), requests, failed, prompt + completion)
        return await desk.page(
            request,
            "overview",
            member,
            title="Administration",
            scripts=("charts",),
            counts=counts,
            today=today,
            vitals=vitals,
            problems=problems(vitals, troubles),
            charged=_charged(sums, today_ms),
        )

    return [Route("/admin", show)]


def problems(vitals: Vitals, troubles: Troubles) -> tuple[Problem, ...]:
    """What there is to do, the worst first. Pure."""
    found = []
    if vitals.is_database_away:
        found.append(Problem("The database does not answer.", "/admin/configuration", "danger"))
    if vitals.is_journal_failing:
        words = "The usage journal cannot be written: no calls are taken."
        found.append(Problem(words, "/docs/operate/when-things-fail", "danger"))
    if vitals.is_settler_failing:
        words = "Finished calls cannot be charged at the moment; they stay in the journal."
        found.append(Problem(words, "/docs/operate/when-things-fail", "danger"))
    if troubles.disputes:
        words = f"{shown.plural(troubles.disputes, 'payment')} disputed: answer at the company."
        found.append(Problem(words, "/admin/payments?state=disputed"))
    if troubles.strange:
        words = f"{shown.plural(troubles.strange, 'payment')} of another sum than was asked for."
        found.append(Problem(words, "/admin/payments?state=strange"))
    if troubles.refunds:
        words = f"{shown.plural(troubles.refunds, 'refund')} failed; the credit is back."
        found.append(Problem(words, "/admin/payments/refunds"))
    if troubles.events:
        words = f"{shown.plural(troubles.events, 'event')} of the payment company not taken in yet."
        found.append(Problem(words, "/admin/payments/events"))
    if troubles.mails:
        words = (
            f"{shown.plural(troubles.mails, 'mail')} could not be sent: look at the mail settings."
        )
        found.append(Problem(words, "/admin/configuration#mail"))
    return tuple(found)


def _charged(sums: dict[tuple[object, ...], list[int]], today_ms: int) -> Chart:
    days = [today_ms - back * DAY_MS for back in reversed(range(CHART_DAYS))]
    amounts = [sums.get((day_ms,), [0])[0] for day_ms in days]
    return chart(
        "Day",
        ("Charged",),
        [
            (day_ms // 1000, shown.date(day_ms / 1000), (amount / NANO_PER_USD,))
            for day_ms, amount in zip(days, amounts, strict=True)
        ]
        if any(amounts)
        else [],
        written=lambda dollars: shown.dollars(round((dollars or 0) * NANO_PER_USD)),
    )
