"""All that a call needs, plugged together in one place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fairlead.core.affinity import WarmPlaces
from fairlead.core.capability import Capability
from fairlead.core.errors import ERRORS_PAGE
from fairlead.core.hedging import HedgeBudgets
from fairlead.core.ids import IdSource, ProviderSlug
from fairlead.core.tool_calls import ToolJudge
from fairlead.gateway.admission import Admission
from fairlead.gateway.own_keys import OwnKeys
from fairlead.gateway.ports import (
    Belongings,
    CatalogFeed,
    Clock,
    Contents,
    Credentials,
    Generations,
    Health,
    KeyDirectory,
    Presets,
    RateLimits,
    TokenCounter,
)
from fairlead.gateway.upstream import UpstreamClient
from fairlead.providers.base import Provider

__all__ = ["Services", "Spoken", "Timeouts"]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Of one call, in seconds. The time to connect is the client's own matter.

    first_token: from asking an upstream until its first token; of a whole answer, its first byte, which
        comes when a model has thought to the end.
    between_tokens: between two pieces of an answer.
    total: the whole call, all attempts together.
    """

    first_token: float = 300.0
    between_tokens: float = 60.0
    total: float = 600.0


@dataclass(frozen=True, slots=True)
class Services:
    """See the top of the file. spoken: whom we speak to, by what is asked; follows from `providers`.

    belongings, own_keys, contents: None: accounts bring nothing here, and nothing of their calls is kept.
    presets: None: there are none.
    errors_page: where refusals are explained to people, for the refusals to say.
    """

    keys: KeyDirectory
    limits: RateLimits
    admission: Admission
    catalog: CatalogFeed
    credentials: Credentials
    providers: Callable[[ProviderSlug], Provider | None]
    upstream: UpstreamClient
    health: Health
    affinity: WarmPlaces
    hedges: HedgeBudgets
    tools: ToolJudge
    generations: Generations
    tokens: TokenCounter
    ids: IdSource
    clock: Clock
    loop: asyncio.AbstractEventLoop
    timeouts: Timeouts
    body_bytes_max: int
    belongings: Belongings | None = None
    own_keys: OwnKeys | None = None
    contents: Contents | None = None
    presets: Presets | None = None
    errors_page: str = ERRORS_PAGE
    spoken: Mapping[Capability, Spoken] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        spoken = {capability: Spoken(self.providers, capability) for capability in Capability}
        object.__setattr__(self, "spoken", spoken)


class Spoken:
    """Whether we speak to a provider, for what is asked. One for all calls: routing keeps what it says."""

    __slots__ = ("_capability", "_providers")

    def __init__(
        self, providers: Callable[[ProviderSlug], Provider | None], capability: Capability
    ) -> None:
        self._providers = providers
        self._capability = capability

    def __call__(self, slug: ProviderSlug) -> bool:
        provider = self._providers(slug)
        return provider is not None and provider.adapter(self._capability) is not None
