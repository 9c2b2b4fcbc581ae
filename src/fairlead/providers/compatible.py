"""Every provider that merely speaks the OpenAI format: one adapter, and a table of where they differ.

A row says only what is not the default of `Row`. What a provider takes was read in its documentation or
seen in recorded traffic (tests/recordings); where neither says, the row stays at the careful default:
what only some take is not sent.
"""

from __future__ import annotations

import re
from typing import Final

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
    no_prefill,
)
from fairlead.providers.compatible_retrieval import EMBEDDINGS, RERANKS
from fairlead.providers.openai_decoder import OpenAIStreamDecoder, OpenAIWholeDecoder
from fairlead.providers.openai_encoder import Fields, Row, encode_request
from fairlead.providers.openai_failures import failure_of
from fairlead.providers.openai_reasoning import ReasoningStyle
from fairlead.providers.prefill import PREFILLS, mark_last_message, mark_request
from fairlead.providers.responses import ResponsesFormatChat
from fairlead.providers.responses_either import ChatOrResponses
from fairlead.providers.responses_encoder import ResponsesRow

__all__ = ["COMPATIBLE", "ROWS", "OpenAIFormatChat", "compatible"]


class OpenAIFormatChat:
    """Chat with a provider of the OpenAI format."""

    __slots__ = ("_row",)

    def __init__(self, row: Row) -> None:
        self._row = row

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        return encode_request(self._row, request, endpoint, credential)

    def decoder(self, *, streamed: bool) -> ChatDecoder:
        return OpenAIStreamDecoder() if streamed else OpenAIWholeDecoder()

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        return failure_of(status, headers, body)


def compatible(row: Row) -> Provider:
    chat: ChatAdapter = OpenAIFormatChat(row)
    if row.only_responses is not None:
        responses = ResponsesFormatChat(
            ResponsesRow(row.slug, key_header=row.key_header, user_field=row.user_field)
        )
        chat = ChatOrResponses(chat, responses, row.only_responses)
    return Provider(
        slug=row.slug,
        chat=chat,
        embeddings=EMBEDDINGS.get(row.slug),
        rerank=RERANKS.get(row.slug),
        prefill=PREFILLS.get(row.slug, no_prefill),
    )


def _openai_only_in_responses(model: str) -> bool:
    """The `pro`, `codex` and `deep-research` models: OpenAI refuses to chat with them.

    Source: https://github.com/lobehub/lobehub/issues/8287 (deep-research),
    https://github.com/aaif-goose/goose/issues/2564 (codex, pro); both read 2026-11-21.
    """
    return _ONLY_IN_RESPONSES.search(model) is not None


_ONLY_IN_RESPONSES: Final = re.compile(
    r"(-pro|codex(-max|-mini|-spark|-mini-latest)?|-deep-research)(-\d{4}-\d{2}-\d{2})?$"
)


def _metadata_only_with_storage(fields: Fields, _: ChatRequest, __: Endpoint) -> None:
    """OpenAI refuses `metadata` unless the answer is stored. To us it is the caller's own label.

    Source: https://platform.openai.com/docs/api-reference/chat/create, `metadata` (read 2026-11-21).
    """
    if fields.get("store") not in (_TRUE, True):
        fields.pop("metadata", None)


_TRUE: Final = msgspec.Raw(b"true")


def _separate_reasoning_at_groq(fields: Fields, request: ChatRequest, endpoint: Endpoint) -> None:
    """Groq leaves thoughts in the text unless asked; gpt-oss separates them anyway and refuses the field."""
    if endpoint.reasoning.supported and "gpt-oss" not in endpoint.provider_model_id:
        if request.reasoning is not None:
            fields.setdefault("reasoning_format", "parsed")


def _separate_reasoning_at_minimax(
    fields: Fields, request: ChatRequest, endpoint: Endpoint
) -> None:
    """MiniMax leaves thoughts inside the text unless asked."""
    if endpoint.reasoning.supported and request.reasoning is not None:
        fields.setdefault("reasoning_split", True)


_OPENAIS_OWN: Final = frozenset(
    {
        "metadata", "store", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options",
        "safety_identifier", "service_tier", "moderation",
    }
)  # fmt: skip
_AGGREGATED: Final = frozenset(
    {"prompt_cache_key", "service_tier", "cache_control", "structured_outputs", "image_config"}
)

ROWS: Final[tuple[Row, ...]] = (
    # --- OpenAI itself ---
    Row(
        "openai",
        limit_field="max_completion_tokens",
        developer="always",
        takes_names=True,
        user_field="safety_identifier",
        takes=_OPENAIS_OWN,
        completions=frozenset({"gpt-3.5-turbo-instruct", "davinci-002", "babbage-002"}),
        only_responses=_openai_only_in_responses,
        adjust=_metadata_only_with_storage,
    ),
    Row(
        "azure",
        key_header="api-key",
        limit_field="by_model",
        developer="openai_models",
        user_field="user",
        takes=frozenset({"prompt_cache_key", "metadata", "store"}),
        only_responses=_openai_only_in_responses,
        adjust=_metadata_only_with_storage,
    ),
    # --- aggregators ---
    Row("aimlapi", limit_field="by_model", developer="openai_models"),
    Row(
        "openrouter",
        reasoning=ReasoningStyle.OBJECT,
        reasoning_history="reasoning_details",
        developer="always",
        takes_cache_control=True,
        takes_names=True,
        user_field="user",
        takes=_AGGREGATED,
        completions=True,
    ),
    Row(
        "vercel",
        reasoning=ReasoningStyle.OBJECT,
        reasoning_history="reasoning_details",
        developer="openai_models",
        takes_cache_control=True,
    ),
    Row("huggingface"),
    Row("github-models", limit_field="by_model", developer="openai_models"),
    # --- laboratories ---
    Row("deepseek", reasoning=ReasoningStyle.THINKING, reasoning_history="reasoning_content"),
    Row("xai", user_field="user", takes=frozenset({"service_tier"})),
    Row("mistral", takes_stream_options=False, renames={"seed": "random_seed"},
        adjust=mark_last_message("prefix")),
    Row("perplexity", takes_stream_options=False),
    Row("moonshotai", reasoning=ReasoningStyle.THINKING, reasoning_history="reasoning_content",
        takes=frozenset({"prompt_cache_key"}), adjust=mark_last_message("partial")),
    Row("z-ai", reasoning=ReasoningStyle.THINKING, reasoning_history="reasoning_content"),
    Row("xiaomi", reasoning=ReasoningStyle.THINKING, reasoning_history="reasoning_content"),
    Row("minimax", reasoning=ReasoningStyle.NONE, adjust=_separate_reasoning_at_minimax),
    Row(
        "alibaba",
        reasoning=ReasoningStyle.ENABLE_THINKING,
        reasoning_history="reasoning_content",
        takes_cache_control=True,
    ),
    Row("ai21", reasoning=ReasoningStyle.NONE, takes_stream_options=False),
    Row("inception"),
    Row("morph", reasoning=ReasoningStyle.NONE),
    Row("upstage"),
    Row("stepfun"),
    # --- hosts of open models ---
    Row("groq", reasoning_history="reasoning", user_field="user", takes=frozenset({"service_tier"}),
        adjust=_separate_reasoning_at_groq),
    Row("together", completions=True),
    Row("fireworks", reasoning_history="reasoning_content", user_field="user", completions=True),
    Row("deepinfra", completions=True, takes=frozenset({"prompt_cache_key", "service_tier"})),
    Row("cerebras", completions=True),
    Row("sambanova", reasoning=ReasoningStyle.TEMPLATE),
    Row("novita", completions=True),
    Row("nebius", completions=True),
    Row("hyperbolic", completions=True),
    Row("lambda", completions=True),
    Row("baseten"),
    Row("friendli", reasoning=ReasoningStyle.TEMPLATE, completions=True),
    Row("parasail", completions=True),
    Row("siliconflow", reasoning=ReasoningStyle.ENABLE_THINKING),
    Row("chutes", completions=True),
    Row("gmicloud"),
    Row("io-net"),
    Row("wandb"),
    Row("nscale"),
    Row("venice"),
    Row("ollama-cloud"),
    # --- clouds ---
    Row("cloudflare"),
    Row("nvidia", reasoning=ReasoningStyle.TEMPLATE),
    Row("ovhcloud"),
    Row("scaleway"),
    Row("digitalocean", limit_field="by_model", developer="openai_models"),
    # --- engines on one's own machine ---
    Row("ollama", reasoning_history="reasoning", completions=True),
    Row("vllm", reasoning=ReasoningStyle.TEMPLATE, completions=True, adjust=mark_request),
    Row("lmstudio", completions=True),
    Row("llama.cpp", reasoning=ReasoningStyle.TEMPLATE, completions=True),
    # --- our own, for trying things out ---
    Row(
        "sandbox",
        reasoning_history="reasoning_details",
        developer="always",
        takes_cache_control=True,
        takes_names=True,
        takes=_OPENAIS_OWN,
        completions=True,
    ),
)  # fmt: skip

COMPATIBLE: Final[dict[str, Provider]] = {row.slug: compatible(row) for row in ROWS}
