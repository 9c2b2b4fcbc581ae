"""One real call to each provider, through the product's own adapter and client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from fairlead.cli.catalogue import Offer, look, upstream_client
from fairlead.core.catalog import Endpoint, EndpointStatus, ModelKind, ProviderInfo
from fairlead.core.chat import ChatBody, ChatRequest, WireFormat
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.ids import ProviderSlug
from fairlead.gateway.credentials import Lacking, resolve
from fairlead.gateway.upstream import Phase, TransportFailure, UpstreamClient
from fairlead.observe.log import masked
from fairlead.providers.base import ChatAdapter, Credential
from fairlead.providers.registry import PROVIDERS
from fairlead.settings import Settings

__all__ = ["Checked", "advice", "check_providers", "probes"]

AT_ONCE_MAX: Final = 8
ANSWER_S: Final = 30.0
ANSWER_BYTES_MAX: Final = 1 << 20
PROBES_MAX: Final = 3  # models tried; the catalogue may name some that the account cannot use

_BODY: Final = (
    b'{"model":"","messages":[{"role":"user","content":"Hi"}],"max_tokens":1,"stream":false}'
)
_REQUEST: Final = ChatRequest(
    source=WireFormat.OPENAI_CHAT,
    fields=msgspec.json.decode(_BODY, type=dict[str, msgspec.Raw]),
    body=msgspec.json.decode(_BODY, type=ChatBody),
    reasoning=None,
    modalities=frozenset(),
    characters=2,
)


@dataclass(frozen=True, slots=True)
class Checked:
    """text: model and latency, or what is wrong and what to change."""

    provider: ProviderSlug
    is_ok: bool
    text: str

    @property
    def state(self) -> str:
        return "ok" if self.is_ok else "failed"


async def check_providers(
    settings: Settings, wanted: Sequence[ProviderSlug], report: Callable[[Checked], None]
) -> None:
    """Check all of `wanted`, some at a time; each is reported when it is known."""
    upstream = upstream_client(settings)
    try:
        offer = await look(settings, upstream)
        places = asyncio.Semaphore(AT_ONCE_MAX)

        async def one(slug: ProviderSlug) -> None:
            async with places:
                report(await _check(slug, offer, settings, upstream))

        async with asyncio.TaskGroup() as tasks:
            for slug in wanted:
                tasks.create_task(one(slug))
    finally:
        await upstream.aclose()


async def _check(
    slug: ProviderSlug, offer: Offer, settings: Settings, upstream: UpstreamClient
) -> Checked:
    info = offer.snapshot.providers[slug]
    credential = resolve(info, settings.providers.get(slug))
    if isinstance(credential, Lacking):
        return Checked(slug, is_ok=False, text=credential.remedy)
    provider = PROVIDERS.get(slug)
    if provider is None or provider.chat is None:
        return Checked(slug, is_ok=False, text="this version does not speak its format yet")
    endpoints = probes(offer, slug)
    if not endpoints:
        return Checked(slug, is_ok=False, text=_nothing_to_ask(info, credential))
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    last: UpstreamFailure | TransportFailure | None = None
    for endpoint in endpoints:
        began_s = loop.time()
        try:
            await _call(provider.chat, endpoint, credential, upstream)
        except UpstreamFailure as failure:
            if failure.kind is FailureKind.EMPTY:
                break  # it answered; one token may well be an invisible one
            last = failure
            if failure.kind not in (FailureKind.MODEL_NOT_FOUND, FailureKind.BAD_REQUEST):
                return Checked(slug, is_ok=False, text=advice(failure, info, credential))
        except TransportFailure as failure:
            return Checked(slug, is_ok=False, text=advice(failure, info, credential))
        else:
            break
    else:
        assert last is not None
        return Checked(slug, is_ok=False, text=advice(last, info, credential))
    latency_ms = round((loop.time() - began_s) * 1000)
    return Checked(slug, is_ok=True, text=f"{endpoint.model} answered in {latency_ms} ms")


async def _call(
    adapter: ChatAdapter, endpoint: Endpoint, credential: Credential, upstream: UpstreamClient
) -> None:
    expire_at_s = asyncio.get_running_loop().time() + ANSWER_S
    request = adapter.encode(_REQUEST, endpoint, credential)
    exchange = await upstream.send(request, expire_at_s=expire_at_s)
    try:
        body = await exchange.read_all(ANSWER_BYTES_MAX)
        if exchange.status >= 300:
            raise adapter.failure(exchange.status, exchange.headers, body)
        decoder = adapter.decoder(streamed=False)
        decoder.feed(body)
        decoder.finish()
    finally:
        exchange.close()


def probes(offer: Offer, slug: ProviderSlug) -> list[Endpoint]:
    """What to ask: cheap models first, and those that do not think before they speak."""
    ranked = sorted(
        (
            model.reasoning.supported,
            endpoint.status is EndpointStatus.DEPRECATED,
            endpoint.prices.prompt + endpoint.prices.completion,
            endpoint.id,
            endpoint,
        )
        for model in offer.snapshot.models.values()
        if model.kind is ModelKind.CHAT and model.output_modalities == ("text",)
        for endpoint in model.endpoints
        if endpoint.provider == slug and endpoint.status is not EndpointStatus.UNPRICED
    )
    return [endpoint for *_, endpoint in ranked[:PROBES_MAX]]


def _nothing_to_ask(info: ProviderInfo, credential: Credential) -> str:
    if info.kind == "local":
        return (
            f"no engine with a model answers at {credential.base_url}; start it, load a model, or"
            f" set providers.{info.slug}.base_url"
        )
    return "the catalogue has no priced model of it; add one with a [[models]] table"


def advice(
    failure: UpstreamFailure | TransportFailure, info: ProviderInfo, credential: Credential
) -> str:
    """What is wrong in the operator's words, and the setting that changes it. Never a key."""
    section = f"providers.{info.slug}"
    key = f"{info.auth_env[0]} or {section}.api_key" if info.auth_env else f"{section}.api_key"
    where = f"at {credential.base_url}"
    if isinstance(failure, TransportFailure):
        if failure.phase is Phase.CONNECT:
            return f"not reachable {where} ({masked(str(failure))}); check {section}.base_url"
        return f"the call broke off {where}: {masked(str(failure))}"
    match failure.kind:
        case FailureKind.AUTHENTICATION:
            return f"it refused our key; set {key}"
        case FailureKind.OUT_OF_QUOTA:
            return f"its account is out of credit; top it up there, or set another {key}"
        case FailureKind.RATE_LIMIT:
            return "the key works, but it is over its rate limit now; try again later"
        case FailureKind.MODEL_NOT_FOUND | FailureKind.GARBAGE:
            return (
                f"{masked(failure.message)}; is {section}.base_url ({credential.base_url}) right, with"
                " its version segment?"
            )
        case _:
            status = f" (status {failure.status})" if failure.status is not None else ""
            return f"{masked(failure.message)}{status}"
