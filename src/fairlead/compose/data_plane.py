"""What calls go through: the data plane, on the ports that the control plane implements."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp

from fairlead.compose.control_plane import ControlPlane
from fairlead.compose.system import SystemClock, SystemIds
from fairlead.compose.upstream import build_upstream, opened_providers
from fairlead.control.serving.health import HEALTH_DIRECTORY, HealthKeeper
from fairlead.control.serving.wallet import LeasedWallet
from fairlead.core.affinity import WarmPlaces
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
from fairlead.gateway.figures import CountedGenerations
from fairlead.gateway.keyring import Keyring
from fairlead.gateway.own_keys import OwnKeys
from fairlead.gateway.ports import Visitors
from fairlead.gateway.server.asgi import asgi
from fairlead.gateway.services import Services, Timeouts
from fairlead.gateway.tokens import EstimatingCounter
from fairlead.gateway.upstream import UpstreamClient
from fairlead.providers.registry import PROVIDERS
from fairlead.settings import Settings

__all__ = ["CallServices", "build_call_services", "build_data_plane"]


@dataclass(frozen=True, slots=True)
class CallServices:
    """services: all that a call needs. The others are some of it, as those know them who keep it running.

    health: what is known of endpoints; health_keeper: where it is kept and shared.
    """

    services: Services
    upstream: UpstreamClient
    credentials: Keyring
    wallet: LeasedWallet
    generations: CountedGenerations
    health: HealthBook
    health_keeper: HealthKeeper

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.credentials.run())
            tasks.create_task(self.wallet.run())
            tasks.create_task(self.health_keeper.run())

    def samples(self) -> dict[str, float]:
        """Figures for /metrics, by name."""
        return self.generations.samples() | self.wallet.samples()


def build_call_services(
    control: ControlPlane,
    settings: Settings,
    *,
    data: Path,
    clock: SystemClock,
    address: str,
    in_force: Callable[[], Settings],
) -> CallServices:
    """On the event loop, when the catalogue is configured. address: ours. in_force: the settings now."""
    catalog, health = control.catalog, HealthBook()
    upstream = build_upstream(settings, clock)
    credentials = Keyring(opened_providers(settings, catalog), client=upstream, clock=clock)
    wallet = _wallet(control, settings, clock)
    generations = CountedGenerations(control.journal)
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
        generations=generations,
        tokens=EstimatingCounter(),
        ids=SystemIds(),
        clock=clock,
        loop=asyncio.get_running_loop(),
        timeouts=_timeouts(settings),
        body_bytes_max=settings.server.body_bytes_max,
        belongings=control.private.belongings,
        own_keys=OwnKeys(
            lambda: catalog.snapshot.providers,
            lambda: in_force().providers,
            client=upstream,
            clock=clock,
        ),
        contents=control.private.writer,
        presets=control.presets,
    )
    return CallServices(
        services=services,
        upstream=upstream,
        credentials=credentials,
        wallet=wallet,
        generations=generations,
        health=health,
        health_keeper=HealthKeeper(
            health,
            data / HEALTH_DIRECTORY,
            now_s=clock.now_s,
            cache=control.cache,
            name=control.writer.encode(),
        ),
    )


def build_data_plane(calls: CallServices, web: ASGIApp, visitors: Visitors) -> DataPlane:
    """web: what answers where no dialect is spoken."""
    messages = AnthropicMessages()
    return DataPlane(
        calls.services,
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
        visitors=visitors,
    )


def _wallet(control: ControlPlane, settings: Settings, clock: SystemClock) -> LeasedWallet:
    return LeasedWallet(
        control.budgets,
        control.database,
        holder=control.writer,
        now_s=clock.now_s,
        slice_max=NanoUSD(round(settings.budgets.slice_usd_max * NANO_PER_USD)),
        wait_s=settings.budgets.wait_s,
    )


def _timeouts(settings: Settings) -> Timeouts:
    return Timeouts(
        first_token=settings.timeouts.first_token_s,
        between_tokens=settings.timeouts.between_tokens_s,
        total=settings.timeouts.total_s,
    )
