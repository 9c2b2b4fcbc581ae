"""What adapters for embeddings share: what a text is for, and inputs for models that read text alone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from fairlead.core.chat import ChatRequest, TextPart
from fairlead.core.errors import RequestInvalid
from fairlead.core.retrieval import EmbeddingInput, EmbeddingsRequest

__all__ = ["Purpose", "asked_for_embeddings", "plain_text", "plain_texts", "purpose_of"]


class Purpose(StrEnum):
    """What a vector is for; models make other ones for a question than for what may answer it."""

    QUERY = "query"
    DOCUMENT = "document"
    CLASSIFICATION = "classification"
    CLUSTERING = "clustering"
    SIMILARITY = "similarity"
    QUESTION = "question"
    FACT = "fact"
    CODE = "code"


# Callers write `input_type` as the provider does whose documentation they read.
_WORDS: Final[Mapping[str, Purpose]] = MappingProxyType(
    {
        "query": Purpose.QUERY,
        "search_query": Purpose.QUERY,
        "retrieval_query": Purpose.QUERY,
        "document": Purpose.DOCUMENT,
        "search_document": Purpose.DOCUMENT,
        "retrieval_document": Purpose.DOCUMENT,
        "passage": Purpose.DOCUMENT,
        "classification": Purpose.CLASSIFICATION,
        "clustering": Purpose.CLUSTERING,
        "similarity": Purpose.SIMILARITY,
        "semantic_similarity": Purpose.SIMILARITY,
        "question_answering": Purpose.QUESTION,
        "fact_verification": Purpose.FACT,
        "code_retrieval_query": Purpose.CODE,
    }
)


def purpose_of(input_type: str | None) -> Purpose | None:
    """None: not said, or in a word of some provider's own."""
    return None if input_type is None else _WORDS.get(input_type.lower())


def asked_for_embeddings(request: ChatRequest) -> EmbeddingsRequest:
    assert isinstance(request, EmbeddingsRequest), "the pipeline asks the adapter of the capability"
    return request


def plain_texts(request: EmbeddingsRequest) -> list[str]:
    """The inputs as texts. Raises RequestInvalid if they are not: no input may be left out."""
    return [plain_text(item, f"input[{at}]") for at, item in enumerate(request.inputs)]


def plain_text(item: EmbeddingInput, at: str) -> str:
    """One input as text. Raises RequestInvalid."""
    if isinstance(item, str):
        return item
    texts = [part.text for part in item if isinstance(part, TextPart)]
    if len(texts) < len(item):
        kinds = "numbers of tokens" if isinstance(item[0], int) else "more than text"
        raise RequestInvalid(f"This model takes text; `{at}` holds {kinds}.", param=at)
    return "\n".join(texts)
