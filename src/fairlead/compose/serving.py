"""A running gateway: both planes plugged together, its background tasks, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import uvloop

from fairlead.compose.administration import (
    LedgerChecker,
    ProviderChecker,
    build_administration,
)
from fairlead.compose.billing import billing_edge, build_billing_plane
from fairlead.compose.control_plane import build_control_plane
from fairlead.compose.management import build_management
from fairlead.compose.people import build_people_plane
from fairlead.compose.system import (
    SystemClock,
    SystemIds,
    allow_many_connections,
    spare_the_collector,
)
from fairlead.compose.upstream import build_upstream, opened_providers
from fairlead.compose.visitors import build_visitors
from fairlead.compose.web_edge import build_web_edge
from fairlead.control.catalog.service import Catalog
from fairlead.control.serving.health import HEALTH_DIRECTORY, HealthKeeper
from fairlead.control.serving.wallet import LeasedWallet
from fairlead.core.affinity import WarmPlaces
from fairlead.core.catalog import Snapshot
from fairlead.core.catalog_overlay import ConfigurationInvalid
from fairlead.core.errors import ERRORS_PAGE
from fairlead.core.health import HealthBook
from fairlead.core.hedging import HedgeBudgets
from fairlead.core.money import NANO_PER_USD, NanoUSD
from fairlead.core.tool_calls import ToolJudge
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.dialects.embeddings import Embeddings
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.dialects.openai_completions import OpenAICompletions
from fairlead.dialects.openai_responses import OpenAIResponses
from fairlead.dialects.rerank import Rerank
from fairlead.gateway.admission import Admission
from fairlead.gateway.app import DataPlane
from fairlead.gateway.engines import EngineLists
from fairlead.gateway.figures import CountedGenerations
from fairlead.gateway.keyring import Keyring
from fairlead.gateway.own_keys import OwnKeys
from fairlead.gateway.server.asgi import asgi
from fairlead.gateway.server.connection import ServerBounds
from fairlead.gateway.server.listener import StopOrder
from fairlead.gateway.server.listener import serve as serve_http
from fairlead.gateway.services import Services, Timeouts
from fairlead.gateway.tokens import EstimatingCounter
from fairlead.providers.registry import PROVIDERS
from fairlead.settings import Settings
from fairlead.settings.addresses import outside_address

__all__ = ["serve"]

_log = logging.getLogger(__name__)

LOOK_AT_SETTINGS_EVERY_S: Final = 2.0
DISCOVER_EVERY_S: Final = 60.0
STORE_CONTENTS_AT_END_S: Final = 5.0
SIGN_IN_AT_START_S: Final = 3.0  # usually a fraction; no other provider waits longer for it


def serve(
    settings: Settings,
    *,
    seed: Snapshot,
    data: Path,
    listener: socket.socket,
    on_ready: Callable[[], None],
    reread: Callable[[], Settings | None] | None = None,
) -> int:
    """Serve in this process until told to stop (SIGTERM, SIGINT). Returns the exit code.

    seed: the catalogue that comes with the package.
    reread: the settings as they are now, None if they have not changed; asked regularly and at SIGHUP.
    """
    allow_many_connections()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(
            _serve(
                settings, seed=seed, data=data, listener=listener, on_ready=on_ready, reread=reread
            )
        )


async def _serve(
    settings: Settings,
    *,
    seed: Snapshot,
    data: Path,
    listener: socket.socket,
    on_ready: Callable[[], None],
    reread: Callable[[], Settings | None] | None,
) -> int:
    loop = asyncio.get_running_loop()
    clock = SystemClock()
    orders = _Orders(loop, settings)
    address = outside_address(settings.server, listener.getsockname()[1])

    control = build_control_plane(settings, seed=seed, data=data, clock=clock)
    catalog = control.catalog
    health = HealthBook()
    keeper = HealthKeeper(
        health,
        data / HEALTH_DIRECTORY,
        now_s=clock.now_s,
        cache=control.cache,
        name=control.writer.encode(),
    )
    await asyncio.to_thread(keeper.load)
    await catalog.start()
    await catalog.configure(settings.models)
    await control.amendments_follower.look()
    upstream = build_upstream(settings, clock)
    credentials = Keyring(opened_providers(settings, catalog), client=upstream, clock=clock)
    counted = CountedGenerations(control.journal)
    wallet = LeasedWallet(
        control.budgets,
        control.database,
        holder=control.writer,
        now_s=clock.now_s,
        slice_max=NanoUSD(round(settings.budgets.slice_usd_max * NANO_PER_USD)),
        wait_s=settings.budgets.wait_s,
    )
    services = Services(
        keys=control.directory,
        limits=control.rate_limits,
        admission=Admission(wallet, EstimatingCounter(), credits_page=f"{address}/credits"),
        catalog=catalog,
        credentials=credentials,
        errors_page=f"{address}{ERRORS_PAGE}",
        providers=PROVIDERS.get,
        upstream=upstream,
        health=health,
        affinity=WarmPlaces(),
        hedges=HedgeBudgets(share_permille=round(settings.routing.hedge_spend_max * 1000)),
        tools=ToolJudge(),
        generations=counted,
        tokens=EstimatingCounter(),
        ids=SystemIds(),
        clock=clock,
        loop=loop,
        timeouts=Timeouts(
            first_token=settings.timeouts.first_token_s,
            between_tokens=settings.timeouts.between_tokens_s,
            total=settings.timeouts.total_s,
        ),
        body_bytes_max=settings.server.body_bytes_max,
        belongings=control.private.belongings,
        own_keys=OwnKeys(
            lambda: catalog.snapshot.providers,
            lambda: orders.settings.providers,
            client=upstream,
            clock=clock,
        ),
        contents=control.private.writer,
        presets=control.presets,
    )
    management = build_management(control, clock=clock)
    people = build_people_plane(
        control, settings, clock=clock, address=address, sweep_apps=management.apps.sweep
    )
    billing = await asyncio.to_thread(
        partial(
            build_billing_plane,
            control,
            settings,
            outbox=people.services.outbox,
            clock=clock,
            address=address,
        )
    )
    ledger_checker = LedgerChecker(control, clock=clock)
    web = build_web_edge(
        settings,
        control,
        clock=clock,
        health=health,
        credentials=credentials,
        auth=people.auth,
        billing=billing_edge(billing, control.ledger),
        management=management,
        administration=build_administration(
            control,
            people.services,
            clock=clock,
            settings=lambda: orders.settings,
            calls_under_way=lambda: app.calls_under_way,
            providers=ProviderChecker(lambda: catalog.snapshot, lambda: orders.settings, upstream),
            ledger_checks=ledger_checker.job,
        ),
        samples=lambda: (
            counted.samples() | wallet.samples() | {"fairlead_calls_under_way": app.calls_under_way}
        ),
    )
    messages = AnthropicMessages()
    app = DataPlane(
        services,
        {
            "/chat/completions": OpenAIChat(),
            "/completions": OpenAICompletions(),
            "/responses": OpenAIResponses(),
            "/messages": messages,
            "/embeddings": Embeddings(),
            "/rerank": Rerank(),
        },
        asgi(web),
        counters={"/messages/count_tokens": messages},
        explained={"/routing/explain": OpenAIChat()},
        of_pages={"/chat/completions": OpenAIChat()},
        visitors=build_visitors(control, people.auth, clock=clock),
    )
    spare_the_collector()
    control.settler.start()
    control.usage_keeper.start()
    control.session_counter.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(credentials.run()),
                tasks.create_task(control.directory.run()),
                tasks.create_task(wallet.run()),
                tasks.create_task(control.private.belongings.run()),
                tasks.create_task(control.private.writer.run()),
                tasks.create_task(keeper.run()),
                tasks.create_task(people.run()),
                tasks.create_task(billing.jobs.run()),
                tasks.create_task(ledger_checker.run()),
                tasks.create_task(control.amendments_follower.run()),
                tasks.create_task(_follow_settings(reread, orders, catalog, credentials)),
                tasks.create_task(_discover(catalog, EngineLists(upstream, credentials), orders)),
            ]
            await credentials.signed_in(timeout_s=SIGN_IN_AT_START_S)
            await serve_http(
                app,
                listener,
                bounds=ServerBounds(
                    head_bytes_max=settings.server.header_bytes_max,
                    drain_s=settings.server.drain_s,
                    keep_alive_s=settings.server.keep_alive_comment_s,
                ),
                stop=orders.stop,
                on_ready=on_ready,
                wall_s=clock.now_s,
            )
            for task in background:
                task.cancel()
    finally:
        await control.private.writer.flush(timeout_s=STORE_CONTENTS_AT_END_S)
        await upstream.aclose()
        if control.cache is not None:
            await control.cache.aclose()
        await asyncio.to_thread(keeper.close)
        await asyncio.to_thread(control.close)
    return orders.exit_code


class _Orders:
    """What signals tell us: to stop (SIGTERM, SIGINT), or to look again at the configuration and the
    engines (SIGHUP)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: Settings) -> None:
        self.settings = settings  # in force now
        self.stop = StopOrder()
        self.look_at_settings = asyncio.Event()
        self.look_at_engines = asyncio.Event()
        self.exit_code = 0
        loop.add_signal_handler(signal.SIGTERM, self.stop.give)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGHUP, self._look)

    def _interrupt(self) -> None:
        self.exit_code = 128 + signal.SIGINT
        self.stop.give()

    def _look(self) -> None:
        self.look_at_settings.set()
        self.look_at_engines.set()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event, or for so long; the event is ready for the next time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    event.clear()


async def _follow_settings(
    reread: Callable[[], Settings | None] | None,
    orders: _Orders,
    catalog: Catalog,
    credentials: Keyring,
) -> None:
    """Take over models and providers when the configuration changes, without a restart."""
    if reread is None:
        return
    while True:
        await _wait(orders.look_at_settings, LOOK_AT_SETTINGS_EVERY_S)
        changed = await asyncio.to_thread(reread)
        if changed is None:
            continue
        try:
            await catalog.configure(changed.models)
        except ConfigurationInvalid as error:
            _log.error("The changed configuration is not used: %s", error)
            continue
        orders.settings = changed  # before what follows from it: own keys are looked at again then
        credentials.replace(await asyncio.to_thread(opened_providers, changed, catalog))
        _log.info("Models and providers are now those of the changed configuration.")


async def _discover(catalog: Catalog, fetch: EngineLists, orders: _Orders) -> None:
    """Ask configured local engines for their models, at start and from time to time."""
    while True:
        try:
            await catalog.discover(fetch)
        except Exception:  # noqa: BLE001 — the edge of a job: an engine must not stop the gateway
            _log.exception("Local engines could not be asked for their models.")
        await _wait(orders.look_at_engines, DISCOVER_EVERY_S)
