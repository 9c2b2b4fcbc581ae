"""Bedrock's embeddings, recorded: what we would have sent, and the vectors that come of the answers."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest

from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.usage import Usage
from fairlead.dialects.embeddings import Embeddings
from fairlead.gateway.settlement import Tally
from fairlead.providers.base import Credential
from fairlead.providers.bedrock import BEDROCK
from fairlead.testing.builders import an_endpoint
from fairlead.wire.embeddings import vectors_of
from tests.recordings import Recording, load_native

ADAPTER = BEDROCK.embeddings
assert ADAPTER is not None
CASES = [case for case in load_native("bedrock-invoke") if b'"embedding' in case.body]
PURPOSES = {"TEXT_RETRIEVAL": "query", "GENERIC_INDEX": "document", "GENERIC_RETRIEVAL": "query"}
CREDENTIAL = Credential(base_url="https://bedrock-runtime.test", api_key="key", options={})


def model_of(case: Recording) -> str:
    return unquote(case.path.split("/")[2])


def sent_for(model: str, **asked: Any) -> tuple[str, dict[str, Any]]:
    asked = {name: value for name, value in asked.items() if value is not None}
    request = Embeddings().decode(json.dumps({"model": "m", **asked}).encode())
    endpoint = msgspec.structs.replace(an_endpoint("amazon-bedrock"), provider_model_id=model)
    assert ADAPTER is not None
    made = ADAPTER.encode(request, endpoint, CREDENTIAL)
    return made.url, json.loads(made.body)


def test_every_family_was_recorded() -> None:
    assert len(CASES) >= 15
    families = {model_of(case).split(".")[-2] for case in CASES if "arn" not in model_of(case)}
    assert families >= {"cohere", "amazon"}


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_the_vectors_and_counts_are_those_of_the_answer(case: Recording) -> None:
    assert ADAPTER is not None
    decoder = ADAPTER.decoder(streamed=False)
    decoder.feed(case.body)
    events = decoder.finish()
    body = json.loads(case.body)
    told = body.get("embeddings", [body.get("embedding")])
    told = told["float"] if isinstance(told, dict) else told
    truth = [one["embedding"] if isinstance(one, dict) else one for one in told]
    assert [json.loads(bytes(vector)) for vector in vectors_of(events)] == truth
    tally = Tally()
    tally.watch(events)
    count = body.get("inputTextTokenCount")
    assert tally.usage == (None if count is None else Usage(prompt=count))


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_we_send_what_the_provider_was_sent(case: Recording) -> None:
    sent = case.request
    nova = sent.get("singleEmbeddingParams", {})
    url, body = sent_for(
        model_of(case),
        input=sent.get("texts") or sent.get("inputText") or nova["text"]["value"],
        dimensions=sent.get("dimensions")
        or sent.get("output_dimension")
        or nova.get("embeddingDimension"),
        input_type=sent.get("input_type") or PURPOSES.get(nova.get("embeddingPurpose")),
        truncate=sent.get("truncate"),
    )
    assert unquote(url).endswith(unquote(case.path))
    expected = {name: value for name, value in sent.items() if name != "normalize"}
    if "texts" in sent:
        assert body.pop("embedding_types") == ["float"]
    if nova:  # what a text is for has more words there than callers have, and a length is cut here
        assert body["singleEmbeddingParams"]["text"]["value"] == nova["text"]["value"]
        assert body.keys() == sent.keys()
        assert body["singleEmbeddingParams"].keys() == nova.keys()
    else:
        assert body == expected


def test_several_inputs_are_tried_elsewhere() -> None:
    with pytest.raises(UpstreamFailure) as caught:
        sent_for("amazon.titan-embed-text-v2:0", input=["a", "b"])
    assert caught.value.kind is FailureKind.CONTEXT_LENGTH
    assert len(sent_for("cohere.embed-v4:0", input=["a", "b"])[1]["texts"]) == 2
