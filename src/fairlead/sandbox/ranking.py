"""Ranking documents, in the format that most rerankers share: `query` and `documents` in, `results` out.

The relevance of a document is how alike its vector and the query's are, from 0 to 1, so it depends on nothing
but the two texts, and documents that share words with the query go first.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.sandbox.ask import AskInvalid, Counts
from fairlead.sandbox.behaviour import embedding

__all__ = ["RERANK_MODEL", "RerankBody", "read_rerank", "rerank_whole"]

RERANK_MODEL: Final = "rerank"
_DOCUMENTS_MAX: Final = 1000  # the least that a reranker's documentation names as its limit
_encode = msgspec.json.Encoder().encode


class RerankBody(msgspec.Struct, frozen=True):
    """The sandbox's own view of a request, see `openai.py`."""

    query: str
    documents: list[str]
    model: str
    top_n: int | None = None
    user: str | None = None


_decode: Final = msgspec.json.Decoder(RerankBody).decode


def read_rerank(body: bytes) -> RerankBody:
    """Raises AskInvalid."""
    try:
        view = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AskInvalid(f"We could not parse the JSON body of your request: {error}") from error
    if not 1 <= len(view.documents) <= _DOCUMENTS_MAX:
        raise AskInvalid(f"'documents' must have from 1 to {_DOCUMENTS_MAX} items")
    if view.top_n is not None and view.top_n < 1:
        raise AskInvalid("'top_n' must be at least 1")
    return view


def rerank_whole(view: RerankBody, *, rerank_id: str) -> tuple[bytes, Counts]:
    """The query is read once with each document."""
    asked, asked_tokens = embedding(view.query)
    tokens = 0
    scores: list[tuple[float, int]] = []
    for index, document in enumerate(view.documents):
        vector, used = embedding(document)
        tokens += asked_tokens + used
        likeness = sum(one * other for one, other in zip(asked, vector, strict=True))
        scores.append((round((1 + likeness) / 2, 6), index))
    scores.sort(key=lambda place: (-place[0], place[1]))
    body = {
        "id": rerank_id,
        "model": view.model,
        "results": [
            {"index": index, "relevance_score": score} for score, index in scores[: view.top_n]
        ],
        "usage": {"total_tokens": tokens},
    }
    return _encode(body), Counts(prompt=tokens)
