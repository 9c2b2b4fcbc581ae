"""Microsoft Azure: OpenAI's formats, at addresses of its own.

| configured | where a request goes |
|---|---|
| a resource, or `https://{resource}.openai.azure.com/openai/v1` | below `/openai/v1` |
| that, and a dated `api_version` (`2024-10-21`) | below `/openai/deployments/{model}` |
| an address of one deployment, `.../openai/deployments/{name}` | below it, whatever the model |
| `https://{resource}.services.ai.azure.com/models` | below it |

The name of the model is the name that a deployment was given, by default the model's own; the option `model`
says another.

Source: https://learn.microsoft.com/en-us/azure/ai-foundry/openai/api-version-lifecycle (read 2026-11-21), and
recorded traffic.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatRequest
from fairlead.core.errors import UpstreamFailure
from fairlead.providers.base import (
    ChatAdapter,
    ChatDecoder,
    Credential,
    Provider,
    ResponseHeaders,
    UpstreamRequest,
)
from fairlead.providers.compatible import COMPATIBLE

__all__ = ["AZURE", "AtAzure", "azure_url"]

_DATED: Final = re.compile(r"^\d{4}-\d{2}-\d{2}")
_OF_NO_DEPLOYMENT: Final = "/responses"  # the one path that names its model in the body everywhere


class AtAzure:
    """Another adapter, whose requests go to where Azure wants them."""

    __slots__ = ("_adapter",)

    def __init__(self, adapter: ChatAdapter) -> None:
        self._adapter = adapter

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        deployment = credential.options.get("model")
        if deployment is not None:
            endpoint = msgspec.structs.replace(endpoint, provider_model_id=deployment)
        nowhere = replace(credential, base_url="", options={})
        written = self._adapter.encode(request, endpoint, nowhere)
        url = azure_url(credential, endpoint.provider_model_id, written.url)
        return msgspec.structs.replace(written, url=url)

    def decoder(self, *, streamed: bool) -> ChatDecoder:
        return self._adapter.decoder(streamed=streamed)

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        return self._adapter.failure(status, headers, body)


def azure_url(credential: Credential, model: str, path: str) -> str:
    """Where to send a request. path: of the format, as "/chat/completions"."""
    base_url = credential.base_url.rstrip("/")
    if not urlsplit(base_url).path:
        base_url += "/openai/v1"  # the address of a resource, as the portal shows it
    version = credential.options.get("api_version")
    if version is None:
        return base_url + path
    has_place = "/deployments/" in base_url or base_url.endswith("/models")
    if _DATED.match(version) and not has_place:
        base_url = base_url.removesuffix("/v1")
        if path != _OF_NO_DEPLOYMENT:
            base_url += f"/deployments/{quote(model, safe='')}"
    return f"{base_url}{path}?api-version={quote(version, safe='')}"


def _at_azure(adapter: ChatAdapter | None) -> ChatAdapter | None:
    return None if adapter is None else AtAzure(adapter)


_OF_OPENAI: Final = COMPATIBLE["azure"]
AZURE: Final = Provider(
    slug="azure",
    chat=_at_azure(_OF_OPENAI.chat),
    embeddings=_at_azure(_OF_OPENAI.embeddings),
)
