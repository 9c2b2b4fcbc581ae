"""A running gateway: both planes plugged together, its background tasks, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop
from starlette.types import ASGIApp

from fairlead.compose.administration import (
    LedgerChecker,
    ProviderChecker,
    build_administration,
)
from fairlead.compose.billing import BillingServices, billing_edge, build_billing_plane
from fairlead.compose.control_plane import ControlPlane, build_control_plane
from fairlead.compose.data_plane import CallServices, build_call_services, build_data_plane
from fairlead.compose.management import build_management
from fairlead.compose.people import PeoplePlane, build_people_plane
from fairlead.compose.system import SystemClock, allow_many_connections, spare_the_collector
from fairlead.compose.upstream import opened_providers
from fairlead.compose.visitors import build_visitors
from fairlead.compose.web_edge import build_web_edge
from fairlead.control.catalog.service import Catalog
from fairlead.core.catalog import Snapshot
from fairlead.core.catalog_overlay import ConfigurationInvalid
from fairlead.gateway.engines import EngineLists
from fairlead.gateway.keyring import Keyring
from fairlead.gateway.server.connection import ServerBounds
from fairlead.gateway.server.listener import StopOrder
from fairlead.gateway.server.listener import serve as serve_http
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
    clock, orders = SystemClock(), _Orders(asyncio.get_running_loop(), settings)
    address = outside_address(settings.server, listener.getsockname()[1])

    control = build_control_plane(settings, seed=seed, data=data, clock=clock)
    await control.catalog.start()
    await control.catalog.configure(settings.models)
    await control.amendments_follower.look()
    calls = build_call_services(
        control, settings, data=data, clock=clock, address=address,
        in_force=lambda: orders.settings,
    )  # fmt: skip
    await asyncio.to_thread(calls.health_keeper.load)
    edge = await _build_edge(
        control, settings, calls, clock=clock, address=address,
        in_force=lambda: orders.settings, calls_under_way=lambda: app.calls_under_way,
    )  # fmt: skip
    visitors = build_visitors(control, edge.people.auth, clock=clock)
    app = build_data_plane(calls, edge.web, visitors)

    async def answer() -> None:
        await calls.credentials.signed_in(timeout_s=SIGN_IN_AT_START_S)
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

    spare_the_collector()
    control.start()
    try:
        await _beside(
            answer(),
            calls.run(),
            edge.run(),
            control.run(),
            _follow_settings(reread, orders, control.catalog, calls.credentials),
            _discover(control.catalog, EngineLists(calls.upstream, calls.credentials), orders),
        )
    finally:
        await _close(control, calls)
    return orders.exit_code


@dataclass(frozen=True, slots=True)
class _Edge:
    """What people and scripts meet, and what works behind it."""

    web: ASGIApp
    people: PeoplePlane
    billing: BillingServices
    ledger_checker: LedgerChecker

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.people.run())
            tasks.create_task(self.billing.jobs.run())
            tasks.create_task(self.ledger_checker.run())


async def _build_edge(
    control: ControlPlane,
    settings: Settings,
    calls: CallServices,
    *,
    clock: SystemClock,
    address: str,
    in_force: Callable[[], Settings],
    calls_under_way: Callable[[], int],
) -> _Edge:
    """address: ours, as links begin with it. in_force: the settings now."""
    management = build_management(control, clock=clock)
    people = build_people_plane(
        control, settings, clock=clock, address=address, sweep_apps=management.apps.sweep
    )
    outbox = people.services.outbox
    billing = await asyncio.to_thread(
        build_billing_plane, control, settings, outbox=outbox, clock=clock, address=address
    )
    ledger_checker = LedgerChecker(control, clock=clock)
    web = build_web_edge(
        settings,
        control,
        clock=clock,
        health=calls.health,
        credentials=calls.credentials,
        auth=people.auth,
        billing=billing_edge(billing, control.ledger),
        management=management,
        administration=build_administration(
            control,
            people.services,
            clock=clock,
            settings=in_force,
            calls_under_way=calls_under_way,
            providers=ProviderChecker(lambda: control.catalog.snapshot, in_force, calls.upstream),
            ledger_checks=ledger_checker.job,
        ),
        samples=lambda: calls.samples() | {"fairlead_calls_under_way": calls_under_way()},
    )
    return _Edge(web, people, billing, ledger_checker)


async def _beside(work: Coroutine[Any, Any, None], *jobs: Coroutine[Any, Any, None]) -> None:
    """The work, and until its end the jobs. One that fails ends all."""
    async with asyncio.TaskGroup() as tasks:
        background = [tasks.create_task(job) for job in jobs]
        await work
        for task in background:
            task.cancel()


async def _close(control: ControlPlane, calls: CallServices) -> None:
    await control.private.writer.flush(timeout_s=STORE_CONTENTS_AT_END_S)
    await calls.upstream.aclose()
    if control.cache is not None:
        await control.cache.aclose()
    await asyncio.to_thread(calls.health_keeper.close)
    await asyncio.to_thread(control.close)


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
