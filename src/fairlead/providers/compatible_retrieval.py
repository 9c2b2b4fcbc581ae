"""Who has embeddings and ranking in the formats that most share: a table of where they differ.

As in `compatible.py`, a row says only what is not the default. A provider without a row has no adapter for it.
What is not known of a provider's documentation is not sent: vectors come as numbers, and purposes are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fairlead.providers.alike_rerank import AlikeRerank, RerankRow
from fairlead.providers.base import ChatAdapter
from fairlead.providers.embeddings_asked import Purpose
from fairlead.providers.openai_embeddings import EmbeddingsRow, OpenAIFormatEmbeddings
from fairlead.providers.perplexity_embeddings import PerplexityEmbeddings

__all__ = ["EMBEDDINGS", "RERANKS"]

_EMBEDDINGS: Final = (
    # --- OpenAI itself ---
    EmbeddingsRow("openai", takes_base64=True),
    EmbeddingsRow("azure", key_header="api-key", takes_base64=True),
    # --- aggregators ---
    EmbeddingsRow("aimlapi"),
    EmbeddingsRow("github-models"),
    EmbeddingsRow("openrouter", takes_base64=True, takes_parts=True, input_types="as_written"),
    EmbeddingsRow("vercel"),
    # --- laboratories ---
    EmbeddingsRow("alibaba"),
    EmbeddingsRow("mistral", dimensions_field="output_dimension"),
    EmbeddingsRow("upstage"),
    # --- hosts of open models ---
    EmbeddingsRow("deepinfra"),
    EmbeddingsRow("fireworks"),
    EmbeddingsRow("nebius"),
    EmbeddingsRow("novita"),
    EmbeddingsRow("sambanova"),
    EmbeddingsRow("siliconflow"),
    EmbeddingsRow("together"),
    # --- clouds ---
    EmbeddingsRow("cloudflare"),
    EmbeddingsRow("digitalocean"),
    EmbeddingsRow("nvidia", input_types={Purpose.QUERY: "query", Purpose.DOCUMENT: "passage"}),
    EmbeddingsRow("ovhcloud"),
    EmbeddingsRow("scaleway"),
    # --- engines on one's own machine ---
    EmbeddingsRow("llama.cpp"),
    EmbeddingsRow("lmstudio"),
    EmbeddingsRow("ollama"),
    EmbeddingsRow("vllm", takes_base64=True),
    # --- our own, for trying things out ---
    EmbeddingsRow("sandbox", takes_base64=True),
)
_RERANKS: Final = (
    RerankRow("fireworks"),
    RerankRow("llama.cpp"),
    RerankRow("novita"),
    RerankRow("openrouter", takes_images=True),
    RerankRow("sandbox"),
    RerankRow("siliconflow"),
    RerankRow("together"),
    RerankRow("vllm"),
)

EMBEDDINGS: Final[Mapping[str, ChatAdapter]] = MappingProxyType(
    {
        **{row.slug: OpenAIFormatEmbeddings(row) for row in _EMBEDDINGS},
        "perplexity": PerplexityEmbeddings(),
    }
)
RERANKS: Final[Mapping[str, ChatAdapter]] = MappingProxyType(
    {row.slug: AlikeRerank(row) for row in _RERANKS}
)
