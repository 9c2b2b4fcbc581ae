"""One real call to each provider, through the product's own adapter and client."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from fairlead.compose.offer import Offer
from fairlead.compose.system import SystemClock
from fairlead.core.capability import Capability
from fairlead.core.catalog import Endpoint, EndpointStatus, ModelKind, ProviderInfo
from fairlead.core.chat import ChatBody, ChatRequest, WireFormat
from fairlead.core.errors import FailureKind, RequestInvalid, UpstreamFailure
from fairlead.core.ids import EndpointId, ProviderSlug
from fairlead.core.retrieval import EmbeddingsRequest
from fairlead.gateway.credentials import Lacking, blanks, first_step
from fairlead.gateway.google_sign_in import GoogleSignIn, SignInFailed
from fairlead.gateway.upstream import Phase, TransportFailure, UpstreamClient
from fairlead.observe.log import masked
from fairlead.providers.base import Credential, Provider
from fairlead.providers.registry import PROVIDERS

__all__ = ["Checked", "advice", "check_provider", "probes"]

ANSWER_S: Final = 30.0
ANSWER_BYTES_MAX: Final = 1 << 20
PROBES_MAX: Final = 3  # models tried; the catalogue may name some that the account cannot use

# What a provider is asked first, if it offers it.
_ASKED: Final = (
    (Capability.CHAT, ModelKind.CHAT),
    (Capability.EMBEDDINGS, ModelKind.EMBEDDING),
)
_THINKING_TOKENS: Final = 16  # with fewer, models that think refuse the request instead of stopping


@dataclass(frozen=True, slots=True)
class Checked:
    """text: model and latency, or what is wrong and what to change."""

    provider: ProviderSlug
    is_ok: bool
    text: str

    @property
    def state(self) -> str:
        return "ok" if self.is_ok else "failed"


async def check_provider(slug: ProviderSlug, offer: Offer, upstream: UpstreamClient) -> Checked:
    info = offer.snapshot.providers[slug]
    credential = offer.opened.found(slug)
    if isinstance(credential, Lacking):
        return Checked(slug, is_ok=False, text=credential.remedy)
    account = offer.opened.accounts.get(slug)
    if account is not None:
        try:
            token = await GoogleSignIn(account, client=upstream, clock=_CLOCK).sign_in()
        except (SignInFailed, TransportFailure) as failure:
            text = f"could not sign in at Google: {masked(str(failure))}; check {_opener(info)}"
            return Checked(slug, is_ok=False, text=text)
        credential = replace(credential, api_key=token.text)
    probe = _probe(offer, slug)
    if probe is None:
        return Checked(slug, is_ok=False, text=_nothing_to_ask(info, credential))
    capability, endpoints = probe
    loop = asyncio.get_running_loop()
    last: UpstreamFailure | TransportFailure | None = None
    for endpoint in endpoints:
        began_s = loop.time()
        try:
            await _call(PROVIDERS[slug], capability, endpoint, credential, upstream)
        except (UpstreamFailure, TransportFailure) as failure:
            last = failure
            if not isinstance(failure, UpstreamFailure) or failure.kind not in _OF_THE_MODEL:
                break
        else:
            latency_ms = round((loop.time() - began_s) * 1000)
            return Checked(slug, is_ok=True, text=f"{endpoint.model} answered in {latency_ms} ms")
    assert last is not None
    return Checked(slug, is_ok=False, text=advice(last, info, credential))


_CLOCK: Final = SystemClock()
# Another model may well be served.
_OF_THE_MODEL: Final = (FailureKind.MODEL_NOT_FOUND, FailureKind.BAD_REQUEST)


async def _call(
    provider: Provider,
    capability: Capability,
    endpoint: Endpoint,
    credential: Credential,
    upstream: UpstreamClient,
) -> None:
    """As the pipeline does it: encode, sign, send, read. Raises UpstreamFailure, TransportFailure."""
    adapter = provider.adapter(capability)
    assert adapter is not None
    expire_at_s = asyncio.get_running_loop().time() + ANSWER_S
    try:
        request = adapter.encode(_question(capability, endpoint), endpoint, credential)
    except RequestInvalid as error:
        raise UpstreamFailure(error.message, kind=FailureKind.BAD_REQUEST) from error
    if provider.sign is not None:
        request = provider.sign(request, credential, _CLOCK.now_s())
    exchange = await upstream.send(request, expire_at_s=expire_at_s)
    try:
        body = await exchange.read_all(ANSWER_BYTES_MAX)
        if exchange.status >= 300:
            raise adapter.failure(exchange.status, exchange.headers, body)
        decoder = adapter.decoder(streamed=False)
        decoder.feed(body)
        decoder.finish()
    except UpstreamFailure as failure:
        if failure.kind is not FailureKind.EMPTY:  # one token may well be an invisible one
            raise
    finally:
        exchange.close()


def _question(capability: Capability, endpoint: Endpoint) -> ChatRequest:
    if capability is Capability.EMBEDDINGS:
        return EmbeddingsRequest(
            source=WireFormat.OPENAI_CHAT,
            fields={},
            body=ChatBody(),
            reasoning=None,
            modalities=frozenset(),
            characters=0,
            inputs=("Hi",),
        )
    asked = {
        "model": "",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": _THINKING_TOKENS if endpoint.reasoning.supported else 1,
        "stream": False,
    }
    body = msgspec.json.encode(asked)
    return ChatRequest(
        source=WireFormat.OPENAI_CHAT,
        fields=msgspec.json.decode(body, type=dict[str, msgspec.Raw]),
        body=msgspec.json.decode(body, type=ChatBody),
        reasoning=None,
        modalities=frozenset(),
        characters=2,
    )


def _probe(offer: Offer, slug: ProviderSlug) -> tuple[Capability, list[Endpoint]] | None:
    """None: the catalogue has nothing of it that could be asked."""
    for capability, kind in _ASKED:
        if PROVIDERS[slug].adapter(capability) is None:
            continue
        if endpoints := probes(offer, slug, kind):
            return capability, endpoints
    return None


def probes(offer: Offer, slug: ProviderSlug, kind: ModelKind) -> list[Endpoint]:
    """What to ask: of the author with most models there the cheapest, then of the next author, because
    clouds serve whole authors in some regions only. A model that takes no tools is often for something
    special, as reading aloud."""
    of_authors: dict[str, list[tuple[bool, bool, int, EndpointId, Endpoint]]] = {}
    for model in offer.snapshot.models.values():
        is_special = kind is ModelKind.CHAT and model.output_modalities != ("text",)
        if model.kind is not kind or is_special:
            continue
        author = model.id.partition("/")[0]
        of_authors.setdefault(author, []).extend(
            (
                endpoint.status is EndpointStatus.DEPRECATED,
                "tools" not in endpoint.supported_parameters,
                endpoint.prices.prompt + endpoint.prices.completion,
                endpoint.id,
                endpoint,
            )
            for endpoint in model.usual_endpoints
            if endpoint.provider == slug and endpoint.status is not EndpointStatus.UNPRICED
        )
    ranked = sorted(
        (place, -len(candidates), candidate)
        for candidates in of_authors.values()
        for place, candidate in enumerate(sorted(candidates))
    )
    return [endpoint for _, _, (*_, endpoint) in ranked[:PROBES_MAX]]


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
    where = f"at {credential.base_url}"
    address = f"check {_address(info, credential)}"
    if isinstance(failure, TransportFailure):
        if failure.phase is Phase.CONNECT:
            return f"not reachable {where} ({masked(str(failure))}); {address}"
        return f"the call broke off {where}: {masked(str(failure))}"
    code = f" ({masked(failure.provider_code)})" if failure.provider_code else ""
    match failure.kind:
        case FailureKind.AUTHENTICATION:
            # Clouds refuse a good key as well, where it is used in the wrong place.
            blanks = f"; or {address}" if _blanks(info, credential) else ""
            return f"it refused our key{code}; check {_opener(info)}{blanks}"
        case FailureKind.OUT_OF_QUOTA:
            return f"its account is out of credit{code}; top it up there, or change {_opener(info)}"
        case FailureKind.RATE_LIMIT:
            return f"the key works, but it is over its rate limit now{code}; try again later"
        case FailureKind.MODEL_NOT_FOUND:
            return f"it serves none of the models that were asked for{code}; {address}"
        case FailureKind.GARBAGE:
            return f"{masked(failure.message)}{code}; {address}"
        case _:
            status = f" (status {failure.status})" if failure.status is not None else ""
            return f"{masked(failure.message)}{status}"


def _opener(info: ProviderInfo) -> str:
    """Where the key comes from."""
    return first_step(info).removeprefix("set ")


def _address(info: ProviderInfo, credential: Credential) -> str:
    """What the address is made of, with the values that are in force."""
    section = f"providers.{info.slug}"
    told = [f"{section}.{name} ({value})" for name, value in _blanks(info, credential)]
    told.append(f"{section}.base_url ({credential.base_url}), with its version segment")
    return ", ".join(told)


def _blanks(info: ProviderInfo, credential: Credential) -> list[tuple[str, str]]:
    """The parts of its address that an operator sets, in their order. None of them is a secret."""
    return [
        (name, credential.options[name])
        for name in dict.fromkeys(blanks(info.base_url))
        if name in credential.options
    ]
