"""The sandbox's reranker: plain to predict, and wrong requests are told apart."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.sandbox.ask import AskInvalid
from fairlead.sandbox.perform import Incoming, Situation, respond
from fairlead.sandbox.ranking import RerankBody, read_rerank, rerank_whole

SITUATION = Situation(number=7, run="test", created_s=0)


def ranked(query: str, documents: list[str], top_n: int | None = None) -> list[dict[str, float]]:
    view = RerankBody(query=query, documents=documents, model="rerank", top_n=top_n)
    body, _ = rerank_whole(view, rerank_id="rerank-1")
    results: list[dict[str, float]] = json.loads(body)["results"]
    return results


def test_documents_with_the_words_of_the_query_go_first() -> None:
    results = ranked("red apples", ["blue whales swim", "apples are red", "red"])
    assert [result["index"] for result in results] == [1, 2, 0]


@given(st.text(), st.lists(st.text(), min_size=1, max_size=6), st.integers(1, 8))
def test_scores_fall_from_one_to_zero(query: str, documents: list[str], top_n: int) -> None:
    results = ranked(query, documents, top_n)
    scores = [result["relevance_score"] for result in results]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert len(results) == min(top_n, len(documents))


@pytest.mark.parametrize(
    "body", [b"{", b"{}", b'{"query":"a","documents":[],"model":"m"}', b"[1]", b"\xff"]
)
def test_a_wrong_request_is_refused(body: bytes) -> None:
    with pytest.raises(AskInvalid):
        read_rerank(body)


def test_the_twin_ranks_and_bills() -> None:
    body = json.dumps({"query": "a b", "documents": ["a", "b c"], "model": "rerank"}).encode()
    performance = respond(
        Incoming(method="POST", path="/v1/rerank", headers={}, body=body), SITUATION
    )
    answer = json.loads(b"".join(chunk for _, chunk in performance.chunks))
    assert performance.status == 200
    assert len(answer["results"]) == 2
    assert answer["usage"]["total_tokens"] == performance.entry.counts.prompt > 0
