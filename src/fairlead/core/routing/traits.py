"""What routing may know of a request, and the request as one endpoint can be asked. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.capability import Capability
from fairlead.core.catalog import PARAMETERS, Endpoint
from fairlead.core.chat import ABSENT, ChatBody, ChatRequest, WireFormat
from fairlead.core.prompt import prompt_text
from fairlead.core.routing.index import CHARACTERS_PER_TOKEN
from fairlead.core.routing.types import Traits

__all__ = ["COMPLETION_TOKENS_EXPECTED", "counted", "fitted", "traits_of"]

COMPLETION_TOKENS_EXPECTED: Final = 500  # of an answer, unless its limit is lower

_LIMITS_BLINDLY: Final = WireFormat.ANTHROPIC_MESSAGES
_OPENAI_FORMATS: Final = frozenset({WireFormat.OPENAI_CHAT, WireFormat.OPENAI_COMPLETIONS})
_CHAT: Final = Capability.CHAT
_TIERS: Final = {"priority": "priority", "fast": "priority", "flex": "flex", "default": "default"}


def traits_of(request: ChatRequest, capability: Capability) -> Traits:
    """The traits of a decoded request.

    `characters` is the request's own: perhaps more than there are. Where that could decide, see
    `ModelIndex.decisive_characters` and `counted`.
    """
    body = request.body
    max_tokens = request.max_tokens
    completion_tokens = 0
    if capability is _CHAT:
        completion_tokens = COMPLETION_TOKENS_EXPECTED
        if max_tokens and max_tokens < completion_tokens:
            completion_tokens = max_tokens
    modalities = request.modalities
    service_tier = body.service_tier
    return Traits(
        capability,
        -(-request.characters // CHARACTERS_PER_TOKEN)
        or 1,  # tokens in place of a text have no characters
        completion_tokens,
        request.characters,
        max_tokens,
        request.source is _LIMITS_BLINDLY,
        tuple(sorted(modalities)) if modalities else (),
        _parameters(request, body),
        None if service_tier is None else _TIERS.get(service_tier),
    )


def counted(traits: Traits, request: ChatRequest) -> Traits:
    """The same traits with the characters of the text itself, which this reads."""
    characters = len(prompt_text(request.body))
    if characters >= traits.characters:
        return traits
    return msgspec.structs.replace(
        traits, characters=characters, prompt_tokens=-(-characters // CHARACTERS_PER_TOKEN)
    )


def fitted(request: ChatRequest, endpoint: Endpoint) -> ChatRequest:
    """The request as this endpoint can be asked.

    Anthropic's format demands a limit, so its clients fill in whatever their usual model can write. There it
    is a ceiling, and lowered to the endpoint's; in other formats it is a wish that an endpoint meets or not.
    """
    wanted = request.max_tokens
    limit = endpoint.max_completion_tokens
    if request.source is not _LIMITS_BLINDLY or not wanted or not limit or wanted <= limit:
        return request
    return msgspec.structs.replace(
        request,
        fields={**request.fields, "max_tokens": msgspec.Raw(b"%d" % limit)},
        body=msgspec.structs.replace(request.body, max_tokens=limit),
    )


def _parameters(request: ChatRequest, body: ChatBody) -> tuple[str, ...]:
    """Names of what is asked for. In formats that call things by other names, the typed view says so."""
    names = (
        PARAMETERS.intersection(request.fields) if request.source in _OPENAI_FORMATS else PARAMETERS
    )
    asked: list[str] = []
    for name in names:
        value = getattr(body, name)  # each of these names is a field of it
        if value is not None and value is not ABSENT and value != []:
            asked.append(name)
    if "max_completion_tokens" in asked:
        asked.remove("max_completion_tokens")
        if "max_tokens" not in asked:
            asked.append("max_tokens")
    wanted = body.response_format
    if wanted is not None and wanted.type == "json_schema" and "structured_outputs" not in asked:
        asked.append("structured_outputs")
    asked.sort()
    return tuple(asked)
