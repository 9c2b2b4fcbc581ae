"""The only place that builds real clients and clocks and plugs them into ports.

Everything above is given what it needs; nothing above knows where it comes from. Read this file to see
what a running Fairlead is made of.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import random
import resource
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import uvloop

from fairlead.control.accounts.preferences import installation_preferences
from fairlead.control.accounts.service import Accounts
from fairlead.control.catalog.files import load_seed
from fairlead.control.catalog.service import Catalog
from fairlead.control.catalog.versions import CatalogVersions
from fairlead.control.generations.jobs import Settler
from fairlead.control.generations.service import GenerationStore
from fairlead.control.keys.service import Keys
from fairlead.control.prices.service import Prices
from fairlead.control.serving.health import HEALTH_DIRECTORY, HealthKeeper
from fairlead.control.serving.keys import CachedKeyDirectory
from fairlead.control.serving.limits import RateLimits, request_limits
from fairlead.core.affinity import WarmPlaces
from fairlead.core.catalog_overlay import ConfigurationInvalid
from fairlead.core.errors import Overloaded
from fairlead.core.health import EndpointFigures, HealthBook
from fairlead.core.hedging import HedgeBudgets
from fairlead.core.ids import EndpointId, GenerationId, ProviderSlug, generation_id
from fairlead.core.pricing import PriceSheet
from fairlead.core.tool_calls import ToolJudge
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.dialects.embeddings import Embeddings
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.dialects.openai_completions import OpenAICompletions
from fairlead.dialects.openai_responses import OpenAIResponses
from fairlead.dialects.rerank import Rerank
from fairlead.gateway.app import DataPlane
from fairlead.gateway.engines import EngineLists
from fairlead.gateway.figures import CountedGenerations, exposition
from fairlead.gateway.keyring import Keyring, Opened, open_providers
from fairlead.gateway.server.asgi import asgi
from fairlead.gateway.server.connection import ServerBounds
from fairlead.gateway.server.listener import StopOrder
from fairlead.gateway.server.listener import serve as serve_http
from fairlead.gateway.services import Services, Timeouts
from fairlead.gateway.tokens import EstimatingCounter
from fairlead.gateway.upstream import Limits, UpstreamClient
from fairlead.gateway.upstream_native import NativeUpstreamClient
from fairlead.gateway.upstream_schemes import UpstreamsByScheme
from fairlead.providers.registry import PROVIDERS
from fairlead.sandbox.exchange import SandboxClient
from fairlead.settings import Secret, Settings
from fairlead.store.cache import Cache
from fairlead.store.database import DATABASE_FILE, Database, DatabaseUnreadable, open_database
from fairlead.store.journal import JOURNAL_DIRECTORY, Durability, Journal
from fairlead.web.account_desk import AccountDesk
from fairlead.web.app import build_web_app
from fairlead.web.key_desk import KeyDesk
from fairlead.web.services import WebServices

__all__ = ["serve"]

_log = logging.getLogger(__name__)

_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")

DRAIN_SETTLER_S: Final = 10.0
LOOK_AT_SETTINGS_EVERY_S: Final = 2.0
DISCOVER_EVERY_S: Final = 60.0
SIGN_IN_AT_START_S: Final = 3.0  # usually a fraction; no other provider waits longer for it
YOUNG_OBJECTS_MAX: Final = 5_000  # of a few hundred bytes each, before the collector looks at them


class SystemClock:
    """Wall-clock time of this machine."""

    def now_s(self) -> float:
        return time.time()

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class SystemIds:
    """Generation ids: time-ordered, with 80 bits from a generator seeded by the system's entropy.

    They need not be unguessable: reading a generation takes its account's key.
    """

    def __init__(self) -> None:
        self._random = random.Random(os.urandom(32))  # noqa: S311 — ids, not secrets

    def generation(self) -> GenerationId:
        return generation_id(time.time_ns() // 1_000_000, self._random.getrandbits(80))

    def seed(self) -> int:
        return self._random.getrandbits(53)


class RecordedPrices:
    """The catalogue's price book, in the database, off the event loop."""

    def __init__(self, database: Database, prices: Prices) -> None:
        self._database = database
        self._prices = prices

    async def record(self, sheets: Mapping[str, PriceSheet]) -> None:
        await self._database.run(self._prices.keep, sheets)


class KnownHealth:
    """What the web edge may know of endpoints: the book at this moment, and what can be asked at all."""

    def __init__(self, book: HealthBook, credentials: Keyring, clock: SystemClock) -> None:
        self._book = book
        self._credentials = credentials
        self._clock = clock

    def figures(self, endpoint: EndpointId) -> EndpointFigures:
        return self._book.figures(endpoint, self._clock.now_s())

    def can_serve(self, provider: ProviderSlug) -> bool:
        return self._credentials.has(provider)


def serve(
    settings: Settings,
    *,
    data: Path,
    listener: socket.socket,
    on_ready: Callable[[], None],
    reread: Callable[[], Settings | None] | None = None,
) -> int:
    """Serve in this process until told to stop (SIGTERM, SIGINT). Returns the exit code.

    reread: the settings as they are now, None if they have not changed; asked regularly and at SIGHUP.
    """
    _allow_many_connections()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(
            _serve(settings, data=data, listener=listener, on_ready=on_ready, reread=reread)
        )


async def _serve(
    settings: Settings,
    *,
    data: Path,
    listener: socket.socket,
    on_ready: Callable[[], None],
    reread: Callable[[], Settings | None] | None,
) -> int:
    loop = asyncio.get_running_loop()
    clock = SystemClock()
    orders = _Orders(loop)

    database = open_database(database_address(settings, data))
    cache = _cache(settings)
    keys = Keys(database, now_ms=clock.now_ms, entropy=os.urandom)
    directory = CachedKeyDirectory(
        keys,
        database,
        now_ms=clock.now_ms,
        monotonic_s=time.monotonic,
        installation=installation_preferences(settings.routing),
    )
    rate_limits = RateLimits(request_limits(settings.limits), cache=cache)
    writer = f"{time.time_ns():x}-{os.getpid()}"
    health = HealthBook()
    keeper = HealthKeeper(
        health, data / HEALTH_DIRECTORY, now_s=clock.now_s, cache=cache, name=writer.encode()
    )
    await asyncio.to_thread(keeper.load)
    journal = Journal(
        data / JOURNAL_DIRECTORY,
        writer=writer,
        durability=Durability(settings.journal.durability),
        segment_bytes_max=settings.journal.segment_bytes,
    )
    settler = Settler(database, journal)
    versions = CatalogVersions(database, now_ms=clock.now_ms)
    catalog = Catalog(
        load_seed(),
        RecordedPrices(database, Prices(database, now_ms=clock.now_ms)),
        versions,
    )
    await catalog.start()
    await catalog.configure(settings.models)
    upstream = build_upstream(settings, clock)
    credentials = Keyring(_opened(settings, catalog), client=upstream, clock=clock)
    counted = CountedGenerations(journal)
    services = Services(
        keys=directory,
        limits=rate_limits,
        catalog=catalog,
        credentials=credentials,
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
    )
    generations = GenerationStore(database, journals=data / JOURNAL_DIRECTORY)
    threads = _Threads(database)
    web = build_web_app(
        WebServices(
            catalog=catalog,
            keys=KeyDesk(
                directory,
                keys,
                generations,
                in_thread=threads.run,
                now_s=clock.now_s,
                rate_limits=rate_limits,
            ),
            generations=generations,
            clock=clock,
            preferences=AccountDesk(
                Accounts(database, now_ms=clock.now_ms, entropy=os.urandom),
                in_thread=threads.run,
                snapshot=lambda: catalog.snapshot,
            ),
            catalogues=versions,
            health=KnownHealth(health, credentials, clock),
            is_ready=lambda: not settler.is_failing,
            metrics=lambda: exposition(
                counted.samples()
                | {
                    "fairlead_calls_under_way": app.calls_under_way,
                    "fairlead_journal_backlog_bytes": journal.backlog_bytes,
                    "fairlead_settler_failing": int(settler.is_failing),
                }
            ),
            metrics_token=_revealed(settings.metrics.token),
        )
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
    )
    _spare_the_collector()
    settler.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(credentials.run()),
                tasks.create_task(directory.run()),
                tasks.create_task(keeper.run()),
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
        await upstream.aclose()
        if cache is not None:
            await cache.aclose()
        await asyncio.to_thread(keeper.close)
        await asyncio.to_thread(settler.stop, drain_timeout_s=DRAIN_SETTLER_S)
        journal.close()
        database.close()
    return orders.exit_code


def _allow_many_connections() -> None:
    """As many descriptors as the machine lets us have: the usual 1024 are 500 calls and their upstreams."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(
        OSError, ValueError
    ):  # some systems name a limit that they do not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _spare_the_collector() -> None:
    """Keep the garbage collector away from what lives as long as the process.

    Modules and the catalogue are some 70,000 objects: a full collection looks at each and stops the loop
    for 40 ms. And calls leave next to no cycles behind, so it need not look often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, 20, 20)


class _Orders:
    """What signals tell us: to stop (SIGTERM, SIGINT), or to look again at the configuration and the
    engines (SIGHUP)."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
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


class _Threads:
    """Blocking questions to the database, off the event loop; a database that is away is no fault of the
    caller's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, function: Callable[[_Question], _Answer], question: _Question) -> _Answer:
        try:
            return await self._database.run(function, question)
        except DatabaseUnreadable as error:
            raise Overloaded("The database does not answer at the moment.") from error


def database_address(settings: Settings, data: Path) -> str | Path:
    """Where the database is: the configured URL, else the file in the data directory."""
    url = _revealed(settings.database.url)
    return url if url is not None else data / DATABASE_FILE


def build_upstream(settings: Settings, clock: SystemClock) -> UpstreamClient:
    """The client for every scheme that a provider's address may have."""
    limits = Limits(connect_s=settings.timeouts.connect_s)
    proxy = _revealed(settings.upstream.proxy)
    ca_file = None if settings.upstream.ca_file is None else Path(settings.upstream.ca_file)
    http: UpstreamClient
    if settings.upstream.client == "aiohttp":
        # Imported only where it is used: it costs some 10 MB.
        from fairlead.gateway.upstream_aiohttp import AiohttpUpstreamClient

        http = AiohttpUpstreamClient(limits, ca_file=ca_file, proxy=proxy)
    else:
        http = NativeUpstreamClient(limits, ca_file=ca_file, proxy=proxy)
    return UpstreamsByScheme(
        {"http": http, "https": http, "sandbox": SandboxClient(now_s=clock.now_s)}
    )


def _opened(settings: Settings, catalog: Catalog) -> Opened:
    """What opens the configured providers. A file that is no use is said; the others work without it."""
    opened = open_providers(catalog.snapshot.providers, settings.providers, spoken=PROVIDERS)
    for slug in opened.unreadable:
        _log.error("%s cannot be used: %s.", slug, opened.lacking[slug].remedy)
    return opened


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
        credentials.replace(await asyncio.to_thread(_opened, changed, catalog))
        _log.info("Models and providers are now those of the changed configuration.")


async def _discover(catalog: Catalog, fetch: EngineLists, orders: _Orders) -> None:
    """Ask configured local engines for their models, at start and from time to time."""
    while True:
        try:
            await catalog.discover(fetch)
        except Exception:  # noqa: BLE001 — the edge of a job: an engine must not stop the gateway
            _log.exception("Local engines could not be asked for their models.")
        await _wait(orders.look_at_engines, DISCOVER_EVERY_S)


def _cache(settings: Settings) -> Cache | None:
    """Where processes share what they know; None: each has its own."""
    url = _revealed(settings.cache.url)
    return None if url is None else Cache(url)


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()
