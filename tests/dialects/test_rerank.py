"""Requests for ranking are read precisely, and documents come back best first."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.errors import FailureKind, RequestInvalid, UpstreamFailure
from fairlead.core.ids import GenerationId
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import Charge
from fairlead.core.retrieval import Document, RerankRequest
from fairlead.core.usage import Usage
from fairlead.dialects.base import AnswerHead, Closing
from fairlead.dialects.rerank import Rerank
from fairlead.wire.rerank import Place, rerank_frame

RERANK = Rerank()
CHARGE = Charge(total=NanoUSD(2_000_000), prompt=NanoUSD(0), completion=NanoUSD(0))
DOCUMENTS: list[Any] = ["a", {"text": "b"}, {"image": "https://x.test/c.png"}]


def decode(**fields: Any) -> RerankRequest:
    asked = {"model": "m", "query": "q", "documents": DOCUMENTS, **fields}
    return RERANK.decode(json.dumps(asked).encode())


def told(request: RerankRequest | None, *places: Place, usage: Usage | None = None) -> Any:
    usage = usage or Usage(prompt=17)
    head = AnswerHead(GenerationId("gen-1"), "acme/one", "Acme", 0, request=request)
    frame = rerank_frame(places, usage=usage)
    return json.loads(RERANK.whole(head, [frame], Closing(usage=usage, charge=CHARGE)))


def test_a_request_is_read() -> None:
    request = decode(top_n=2, user="u", provider={"order": ["cohere"]})
    assert request.documents == (
        Document(text="a"),
        Document(text="b"),
        Document(image="https://x.test/c.png"),
    )
    assert (request.query, request.top_n) == ("q", 2)
    assert request.modalities == {"image"}
    assert request.body.prompt == ["q", "a", "b"]
    assert request.body.user == "u"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"query": ""}, "query"),
        ({"query": None}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": "a"}, "documents"),
        ({"documents": ["a", 1]}, "documents[1]"),
        ({"documents": ["a", {}]}, "documents[1]"),
        ({"top_n": 0}, "top_n"),
        ({"stream": True}, "stream"),
        ({"user": "u" * 257}, "user"),
    ],
)
def test_what_is_wrong_is_said_with_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        decode(**fields)
    assert caught.value.param == param


@given(st.binary(max_size=60))
def test_no_bytes_end_in_anything_but_a_request_or_a_refusal(body: bytes) -> None:
    with pytest.raises(RequestInvalid):
        RERANK.decode(body)


def test_the_answer_has_the_documented_form_and_repeats_the_documents() -> None:
    answer = told(decode(), Place(2, 0.1), Place(0, 0.9), Place(1, 0.5))
    assert answer == {
        "id": "gen-1",
        "model": "acme/one",
        "provider": "Acme",
        "results": [
            {"index": 0, "relevance_score": 0.9, "document": {"text": "a"}},
            {"index": 1, "relevance_score": 0.5, "document": {"text": "b"}},
            {"index": 2, "relevance_score": 0.1, "document": {"image": "https://x.test/c.png"}},
        ],
        "usage": {"total_tokens": 17, "cost": 0.002},
    }


def test_units_are_told_where_no_tokens_are_counted() -> None:
    answer = told(decode(), Place(0, 1.0), usage=Usage(requests=3))
    assert answer["usage"] == {"total_tokens": 0, "search_units": 3, "cost": 0.002}


def test_no_more_than_were_asked_for_are_told() -> None:
    answer = told(decode(top_n=1), Place(1, 0.2), Place(0, 0.4))
    assert [one["index"] for one in answer["results"]] == [0]


@pytest.mark.parametrize(
    ("places", "kind"),
    [
        ([Place(3, 0.5)], FailureKind.GARBAGE),
        ([Place(-1, 0.5)], FailureKind.GARBAGE),
        ([Place(0, 0.5), Place(0, 0.4)], FailureKind.GARBAGE),
        ([], FailureKind.EMPTY),
    ],
)
def test_an_answer_that_makes_no_sense_is_not_told(places: list[Place], kind: FailureKind) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        told(decode(), *places)
    assert caught.value.kind is kind
