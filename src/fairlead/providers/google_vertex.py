"""Google Vertex AI: Google's models in Google's format, and those of others in theirs.

| models | address below the project and location | format |
|---|---|---|
| Google's | `publishers/google/models/{id}:generateContent` | Google's |
| Claude | `publishers/anthropic/models/{id}:rawPredict` | Anthropic Messages, model and version elsewhere |
| Mistral's, AI21's | `publishers/{publisher}/models/{id}:rawPredict` | OpenAI chat |
| open ones, as a service (`publisher/id-maas`) | `endpoints/openapi/chat/completions` | OpenAI chat |

The model decides how a request is written. An answer says by itself which format it has: the decoder looks
at its first object.

Sources (read 2026-11-21): https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest,
https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/use-partner-models,
https://cloud.google.com/vertex-ai/generative-ai/docs/maas/call-open-model-apis.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatEvent, ChatRequest
from fairlead.core.errors import UpstreamFailure
from fairlead.core.sse import SSEDecoder, StreamTooLong
from fairlead.providers import anthropic_failures, google_failures, openai_failures
from fairlead.providers.anthropic_decoder import AnthropicStreamDecoder, AnthropicWholeDecoder
from fairlead.providers.anthropic_encoder import Platform, anthropic_betas, anthropic_body
from fairlead.providers.base import (
    ChatDecoder,
    Credential,
    Provider,
    ResponseHeaders,
    UpstreamRequest,
)
from fairlead.providers.google import headers_of, model_url
from fairlead.providers.google_decoder import GoogleStreamDecoder, GoogleWholeDecoder
from fairlead.providers.google_embeddings import VertexEmbeddings
from fairlead.providers.google_encoder import Host, google_body, google_tier
from fairlead.providers.openai_decoder import OpenAIStreamDecoder, OpenAIWholeDecoder
from fairlead.providers.openai_encoder import Row, encode_request
from fairlead.providers.openai_reasoning import ReasoningStyle
from fairlead.providers.prefill import PREFILLS
from fairlead.providers.whole_body import ANSWER_BYTES_MAX, garbage

__all__ = ["GOOGLE_VERTEX", "AnyFormatDecoder", "GoogleVertexChat", "located"]

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

_HOST: Final = Host(takes_call_ids=False, takes_service_tier=False)
_AS_A_SERVICE: Final = Row("google-vertex", reasoning=ReasoningStyle.TEMPLATE)
_OF_PARTNERS: Final = Row(
    "google-vertex",
    reasoning=ReasoningStyle.NONE,
    takes_stream_options=False,
    renames={"seed": "random_seed"},
)
# Structured outputs are there for some models, and switched off by default for a whole organisation.
# Sources (read 2026-11-21): https://docs.claude.com/en/api/claude-on-vertex-ai,
# https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/structured_outputs.
_CLAUDE: Final = Platform(
    version="vertex-2023-10-16",
    takes_urls=False,
    takes_schemas=False,
    refuses=frozenset({"service_tier", "container", "inference_geo", "speed"}),
)
_DATED: Final = re.compile(r"-(20\d{6})$")  # here a version is set apart by another sign
# Partners' models, by how their ids begin.
_PARTNERS: Final = (
    ("mistral", "mistralai"),
    ("ministral", "mistralai"),
    ("codestral", "mistralai"),
    ("jamba", "ai21"),
)


class GoogleVertexChat:
    """Chat with Vertex AI. The credential's key is an access token, see gateway/google_sign_in.py."""

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        """Raises RequestInvalid for what the model cannot be asked."""
        model_id = endpoint.provider_model_id
        base_url = located(credential.base_url)
        if model_id.startswith("claude"):
            return _for_claude(request, endpoint, base_url, credential)
        if "/" in model_id:
            open_models = replace(credential, base_url=f"{base_url}/endpoints/openapi")
            return encode_request(_AS_A_SERVICE, request, endpoint, open_models)
        for beginning, publisher in _PARTNERS:
            if model_id.startswith(beginning):
                written = encode_request(_OF_PARTNERS, request, endpoint, credential)
                method = "streamRawPredict" if request.streamed else "rawPredict"
                url = model_url(base_url, f"publishers/{publisher}/models/{model_id}", method)
                return msgspec.structs.replace(written, url=url)
        method = "streamGenerateContent?alt=sse" if request.streamed else "generateContent"
        return UpstreamRequest(
            method="POST",
            url=model_url(base_url, f"publishers/google/models/{model_id}", method),
            headers=(*headers_of(request), *_bearer(credential), *_tier(request, endpoint)),
            body=google_body(request, endpoint, _HOST),
        )

    def decoder(self, *, streamed: bool) -> ChatDecoder:
        return AnyFormatDecoder(streamed=streamed)

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        """Google's own refusals look the same for all models; behind it, a partner's has its own form."""
        fields = _peek(body)
        if fields.get("type") == b'"error"':
            return anthropic_failures.failure_of(status, headers, body)
        if "error" in fields or body.lstrip().startswith(b"["):
            return google_failures.failure_of(status, headers, body)
        return openai_failures.failure_of(status, headers, body)


def _for_claude(
    request: ChatRequest, endpoint: Endpoint, base_url: str, credential: Credential
) -> UpstreamRequest:
    """Model and stream are in the address; the stream, oddly, in the body as well."""
    body = anthropic_body(request, endpoint, _CLAUDE)
    if request.streamed:
        body["stream"] = True
    betas = anthropic_betas(request, endpoint)
    beta_headers = (("anthropic-beta", ",".join(betas)),) if betas else ()
    model_id = _DATED.sub(r"@\1", endpoint.provider_model_id)
    method = "streamRawPredict" if request.streamed else "rawPredict"
    return UpstreamRequest(
        method="POST",
        url=model_url(base_url, f"publishers/anthropic/models/{model_id}", method),
        headers=(*headers_of(request), *_bearer(credential), *beta_headers),
        body=_encode(body),
    )


def located(base_url: str) -> str:
    """The address for locations that have no host of the usual form.

    `global` has the host without a location, and the large regions `us` and `eu` have hosts of their own.
    """
    for location, host in _HOSTS.items():
        usual = f"://{location}-aiplatform.googleapis.com/"
        if usual in base_url:
            return base_url.replace(usual, f"://{host}/", 1)
    return base_url.rstrip("/")


_HOSTS: Final = {
    "global": "aiplatform.googleapis.com",
    "us": "aiplatform.us.rep.googleapis.com",
    "eu": "aiplatform.eu.rep.googleapis.com",
}


def _tier(request: ChatRequest, endpoint: Endpoint) -> tuple[tuple[str, str], ...]:
    tier = google_tier(request, endpoint)
    if tier is None or tier == "standard":
        return ()
    return (("x-vertex-ai-llm-shared-request-type", tier),)


def _bearer(credential: Credential) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {credential.api_key}"),) if credential.api_key else ()


# --- answers ----------------------------------------------------------------------------------------------


class AnyFormatDecoder:
    """Waits for the first object of an answer, then is the decoder of its format."""

    __slots__ = ("_chosen", "_held", "_size", "_sse", "_streamed")

    def __init__(self, *, streamed: bool) -> None:
        self._streamed = streamed
        self._chosen: ChatDecoder | None = None
        self._held: list[bytes] = []
        self._size = 0
        self._sse = SSEDecoder()

    @property
    def is_over(self) -> bool:
        return self._chosen is not None and self._chosen.is_over

    def feed(self, chunk: bytes) -> list[ChatEvent]:
        if self._chosen is not None:
            return self._chosen.feed(chunk)
        self._held.append(chunk)
        self._size += len(chunk)
        if self._size > ANSWER_BYTES_MAX:
            raise garbage(f"it is longer than {ANSWER_BYTES_MAX} bytes")
        if not self._streamed:
            return []
        try:
            events = self._sse.feed(chunk)
        except StreamTooLong as error:
            raise garbage(str(error)) from None
        first = next((data for _, data in events if data.strip()), None)
        return [] if first is None else self._choose(first).feed(self._released())

    def finish(self) -> list[ChatEvent]:
        if self._chosen is not None:
            return self._chosen.finish()
        held = self._released()
        chosen = self._choose(held)
        return chosen.feed(held) + chosen.finish()

    def _choose(self, first: bytes) -> ChatDecoder:
        """first: an object. What is none has Google's format: its errors come for all models alike."""
        fields = _peek(first)
        if "choices" in fields:
            chosen: ChatDecoder = OpenAIStreamDecoder() if self._streamed else OpenAIWholeDecoder()
        elif "type" in fields:
            chosen = AnthropicStreamDecoder() if self._streamed else AnthropicWholeDecoder()
        else:
            chosen = GoogleStreamDecoder() if self._streamed else GoogleWholeDecoder()
        self._chosen = chosen
        return chosen

    def _released(self) -> bytes:
        held = b"".join(self._held)
        self._held = []
        return held


def _peek(data: bytes) -> dict[str, bytes]:
    """The fields of an object, unread; none for anything else."""
    try:
        return {name: bytes(value) for name, value in _decode(data).items()}
    except (ValueError, RecursionError):
        return {}


GOOGLE_VERTEX: Final = Provider(
    slug="google-vertex",
    chat=GoogleVertexChat(),
    embeddings=VertexEmbeddings(located),
    prefill=PREFILLS["google-vertex"],
)
