"""The web edge of one process: its services, plugged into the control plane."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Protocol

from starlette.types import ASGIApp

from fairlead.compose.control_plane import ControlPlane
from fairlead.compose.system import SystemClock
from fairlead.control.catalog.benchmarks import load_benchmarks
from fairlead.control.datasets.service import DataSets
from fairlead.control.demo.service import Demo
from fairlead.control.generations.listing import GenerationList
from fairlead.control.generations.sessions import SessionList
from fairlead.control.privacy.service import Privacy
from fairlead.control.standings.service import Standings
from fairlead.core.health import EndpointFigures, HealthBook
from fairlead.core.ids import EndpointId, ProviderSlug
from fairlead.core.routing.facts import Standing
from fairlead.gateway.figures import exposition
from fairlead.settings import Settings, revealed
from fairlead.web.administration import Administration
from fairlead.web.app import build_web_app
from fairlead.web.asking import Desk
from fairlead.web.auth.services import AuthServices
from fairlead.web.billing import BillingEdge
from fairlead.web.data_desk import DataDesk
from fairlead.web.demo_sign import DemoSign
from fairlead.web.key_desk import KeyDesk
from fairlead.web.management import Management
from fairlead.web.services import Terms, WebServices
from fairlead.web.usage_desk import UsageDesk

__all__ = ["build_web_edge"]


class Openable(Protocol):
    """What opens providers, a keyring for one, as far as the web edge asks."""

    def has(self, provider: ProviderSlug, /) -> bool:
        """Whether anything opens the provider."""
        ...


def build_web_edge(
    settings: Settings,
    control: ControlPlane,
    *,
    clock: SystemClock,
    health: HealthBook,
    credentials: Openable,
    management: Management,
    samples: Callable[[], Mapping[str, float]],
    auth: AuthServices | None = None,
    billing: BillingEdge | None = None,
    administration: Administration | None = None,
) -> ASGIApp:
    """samples: the gateway's figures for /metrics, by name. auth: None: nobody can sign in."""
    threads, catalog, settler = control.threads, control.catalog, control.settler
    return build_web_app(
        WebServices(
            catalog=catalog,
            keys=KeyDesk(
                control.directory,
                now_s=clock.now_s,
                rate_limits=control.rate_limits,
            ),
            generations=control.generations,
            clock=clock,
            accounts=Desk(control.accounts, in_thread=threads.run),
            catalogues=control.catalogues,
            byok=Desk(control.private.credentials, in_thread=threads.run),
            contents=Desk(control.private.contents, in_thread=threads.run),
            health=KnownHealth(health, credentials, clock),
            is_ready=lambda: not (settler.is_failing or control.journal.is_failing),
            metrics=lambda: exposition(
                dict(samples())
                | {
                    "fairlead_database_away": int(control.directory.is_away),
                    "fairlead_journal_backlog_bytes": control.journal.backlog_bytes,
                    "fairlead_journal_failing": int(control.journal.is_failing),
                    "fairlead_settler_failing": int(settler.is_failing),
                    "fairlead_contents_dropped_total": control.private.writer.dropped_count,
                }
            ),
            metrics_token=revealed(settings.metrics.token),
            auth=auth,
            billing=billing,
            administration=administration,
            sessions=None if auth is None else auth.sessions,
            management=management,
            usage=UsageDesk(
                control.usage, control.workspaces, control.prices, in_thread=threads.run
            ),
            benchmarks=load_benchmarks(),
            demo=DemoSign(
                Desk(
                    Demo(control.database, now_ms=clock.now_ms, entropy=os.urandom),
                    in_thread=threads.run,
                ),
                clock.now_s,
            ),
            generation_list=Desk(GenerationList(control.database), in_thread=threads.run),
            session_list=Desk(SessionList(control.database), in_thread=threads.run),
            standings=Desk(
                Standings(control.database, control.usage, now_ms=clock.now_ms),
                in_thread=threads.run,
            ),
            data=DataDesk(
                Desk(DataSets(control.database, control.usage), in_thread=threads.run),
                control.rate_limits,
                clock.now_s,
            ),
            privacy=Desk(
                Privacy(control.database, control.private.contents), in_thread=threads.run
            ),
            terms=Terms(
                discount_percent=settings.privacy.discount_percent,
                content_retention_days=settings.privacy.content_retention_days,
                byok_fee_percent=settings.byok.fee_percent,
                byok_allowance_usd=settings.byok.allowance_usd,
                byok_allowance_requests=settings.byok.allowance_requests,
                free_per_minute=settings.limits.free_per_minute,
                free_per_day=settings.limits.free_per_day,
                free_per_day_purchased=settings.limits.free_per_day_purchased,
                allowance_usd=settings.billing.free_allowance_usd,
            ),
        )
    )


class KnownHealth:
    """What the web edge may know of endpoints: the book at this moment, and what can be asked at all."""

    def __init__(self, book: HealthBook, credentials: Openable, clock: SystemClock) -> None:
        self._book = book
        self._credentials = credentials
        self._clock = clock

    def figures(self, endpoint: EndpointId) -> EndpointFigures:
        return self._book.figures(endpoint, self._clock.now_s())

    def in_trouble(self) -> dict[EndpointId, Standing]:
        return self._book.in_trouble(self._clock.now_s())

    def tool_calls(self) -> dict[EndpointId, tuple[int, int]]:
        return self._book.tool_calls(self._clock.now_s())

    def can_serve(self, provider: ProviderSlug) -> bool:
        return self._credentials.has(provider)
