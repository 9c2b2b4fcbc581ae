"""Every recorded call for embeddings and ranking: what we would have sent, and what the caller gets.

The truth is read here with nothing but `json`, `base64` and `struct`.
"""

from __future__ import annotations

import base64
import json
import struct
from array import array
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from openai.types import CreateEmbeddingResponse, EmbeddingCreateParams
from pydantic import TypeAdapter

from fairlead.core.errors import FailureKind
from fairlead.core.ids import EndpointId, GenerationId, ModelId
from fairlead.core.usage import Usage
from fairlead.dialects.base import AnswerHead, Closing
from fairlead.dialects.embeddings import Embeddings
from fairlead.dialects.rerank import Rerank
from fairlead.gateway.settlement import FREE, Tally
from fairlead.providers.base import ChatAdapter, Credential
from fairlead.providers.registry import PROVIDERS
from fairlead.testing.builders import an_endpoint
from tests.recordings import Recording, load_native

CASES = [
    case
    for name in ("embeddings", "cohere")
    for case in load_native(name)
    if "embed" in case.path.lower() or "rerank" in case.path
]
ANSWERS = [case for case in CASES if case.status == 200]
VECTORS = [case for case in ANSWERS if "rerank" not in case.path]
RANKINGS = [case for case in ANSWERS if "rerank" in case.path]
REFUSALS = [case for case in CASES if case.status != 200]
# Ollama's own path; we speak to it at the one that all engines share, and read either answer.
NOT_SENT = {"ollama.embeddings-oll-957869c723-0"}
# Asked at an address that Cohere has given up, or that takes one input only; the bodies are the same.
SENT_ELSEWHERE = {"cohere": "/v2/", "gemini": ":batchEmbedContents"}
SLUGS = {"gemini": "google-ai-studio", "vertex": "google-vertex"}
BASES = {
    "perplexity": "https://api.perplexity.ai",
    "cohere": "https://api.cohere.com/v2",
    "azure": "https://here.openai.azure.com/openai/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta",
    "vertex": "https://x/v1beta1/projects/project-id/locations/global",
}
PURPOSES = {"RETRIEVAL_QUERY": "search_query"}


def company(case: Recording) -> str:
    return case.id.partition(".")[0]


def adapter_for(case: Recording) -> ChatAdapter:
    slug = company(case)
    provider = PROVIDERS[SLUGS.get(slug, slug)]
    adapter = provider.rerank if "rerank" in case.path else provider.embeddings
    assert adapter is not None
    return adapter


def as_asked(case: Recording) -> dict[str, Any]:
    """The request as a caller of ours would have written it."""
    sent = case.request
    asked: dict[str, Any] = {"model": sent.get("model", "m")}
    if "rerank" in case.path:
        return {name: value for name, value in sent.items() if value is not None}
    if "Content" in case.path:
        requests = sent.get("requests", [sent])
        asked["input"] = [_google_input(one["content"]["parts"]) for one in requests]
        first = requests[0]
        asked["dimensions"] = first.get("outputDimensionality")
        asked["input_type"] = PURPOSES.get(first.get("taskType"))
    else:
        asked["input"] = sent.get("input", sent.get("texts", sent.get("prompt")))
        asked["dimensions"] = sent.get("dimensions", sent.get("output_dimension"))
        for name in ("input_type", "encoding_format", "truncate", "truncation"):
            asked[name] = sent.get(name)
    return {name: value for name, value in asked.items() if value is not None}


def _google_input(parts: list[dict[str, Any]]) -> object:
    if len(parts) == 1:
        return parts[0]["text"]
    content = []
    for part in parts:
        if "text" in part:
            content.append({"type": "text", "text": part["text"]})
        else:
            data = part["inline_data"]
            url = f"data:{data['mime_type']};base64,{data['data']}"
            content.append({"type": "image_url", "image_url": {"url": url}})
    return {"content": content}


def true_vectors(case: Recording) -> list[list[float]]:
    body = json.loads(case.body)
    if "data" in body:
        told = [item["embedding"] for item in sorted(body["data"], key=lambda item: item["index"])]
    elif isinstance(body.get("embeddings"), dict):
        told = body["embeddings"]["float"]
    else:
        told = body.get("embeddings") or [body["embedding"]]
    return [_true_vector(case, one) for one in told]


def _true_vector(case: Recording, told: Any) -> list[float]:
    if isinstance(told, dict):
        told = told["values"]
    if isinstance(told, list):
        return [float(number) for number in told]
    packed = base64.b64decode(told)
    if company(case) == "perplexity":
        return [float(number) for number in array("b", packed)]
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


def true_usage(case: Recording) -> dict[str, int] | None:
    """Tokens of the prompt, of images in it, and units; None if the provider counted nothing."""
    body = json.loads(case.body)
    if "usage" in body:
        return {"prompt": body["usage"]["total_tokens"]}
    if "usageMetadata" in body:
        counts = body["usageMetadata"]
        details = counts.get("promptTokenDetails") or counts.get("promptTokensDetails") or []
        image = sum(one["tokenCount"] for one in details if one["modality"] == "IMAGE")
        total = sum(one["tokenCount"] for one in details) or counts["promptTokenCount"]
        return {"prompt": total - image, "prompt_image": image}
    if "billed_units" in body.get("meta", {}):
        billed = body["meta"]["billed_units"]
        if "search_units" in billed:
            return {"prompt": 0, "requests": billed["search_units"]}
        return {"prompt": billed["input_tokens"]}
    return None


def replayed(case: Recording, chunk_bytes: int = 1 << 30) -> tuple[list[Any], Tally]:
    decoder = adapter_for(case).decoder(streamed=False)
    events = []
    for start in range(0, len(case.body), chunk_bytes):
        events += decoder.feed(case.body[start : start + chunk_bytes])
    events += decoder.finish()
    tally = Tally()
    tally.watch(events)
    return events, tally


def head_for(case: Recording, **changes: object) -> AnswerHead:
    dialect = Rerank() if "rerank" in case.path else Embeddings()
    asked = as_asked(case) | changes
    return AnswerHead(
        generation=GenerationId("gen-1"),
        model="acme/one",
        provider="Acme",
        created_s=0,
        request=dialect.decode(json.dumps(asked).encode()),
    )


def closing(tally: Tally) -> Closing:
    return Closing(usage=tally.usage or Usage(prompt=1), charge=FREE)


def test_there_are_recordings_of_every_kind() -> None:
    assert len(VECTORS) >= 40
    assert len(RANKINGS) >= 5
    assert len(REFUSALS) >= 7
    assert {company(case) for case in CASES} >= {"openai", "gemini", "vertex", "cohere", "voyage"}


@pytest.mark.parametrize("case", VECTORS, ids=repr)
def test_the_caller_gets_the_vectors_of_the_provider_in_either_spelling(case: Recording) -> None:
    truth = true_vectors(case)
    events, tally = replayed(case)
    body = Embeddings().whole(head_for(case, encoding_format="float"), events, closing(tally))
    answer = CreateEmbeddingResponse.model_validate_json(body, strict=True)
    assert [item.embedding for item in answer.data] == truth
    assert [item.index for item in answer.data] == list(range(len(truth)))

    body = Embeddings().whole(head_for(case, encoding_format="base64"), events, closing(tally))
    told = [base64.b64decode(item["embedding"]) for item in json.loads(body)["data"]]
    assert told == [struct.pack(f"<{len(vector)}f", *vector) for vector in truth]


@pytest.mark.parametrize("case", RANKINGS, ids=repr)
def test_the_caller_gets_the_ranking_of_the_provider_and_his_documents(case: Recording) -> None:
    events, tally = replayed(case)
    body = json.loads(Rerank().whole(head_for(case), events, closing(tally)))
    truth = [(one["index"], one["relevance_score"]) for one in json.loads(case.body)["results"]]
    assert [(one["index"], one["relevance_score"]) for one in body["results"]] == truth
    documents = case.request["documents"]
    assert [one["document"] for one in body["results"]] == [
        {"text": documents[index]} for index, _ in truth
    ]


@pytest.mark.parametrize("case", ANSWERS, ids=repr)
def test_the_counts_are_those_of_the_provider(case: Recording) -> None:
    _, tally = replayed(case)
    truth = true_usage(case)
    assert tally.usage == (None if truth is None else Usage(**truth))
    assert tally.finish == "stop", "an answer that has not ended is free"


@pytest.mark.parametrize("case", ANSWERS, ids=repr)
@pytest.mark.parametrize("chunk_bytes", [997, 65_536])
def test_any_chunking_gives_the_same_answer(case: Recording, chunk_bytes: int) -> None:
    assert replayed(case, chunk_bytes)[0] == replayed(case)[0]


KINDS = {400: FailureKind.AUTHENTICATION, 401: FailureKind.AUTHENTICATION}


@pytest.mark.parametrize("case", REFUSALS, ids=repr)
def test_a_refusal_means_what_it_means_in_a_chat(case: Recording) -> None:
    failure = adapter_for(case).failure(case.status, case.headers, case.body)
    assert failure.kind is KINDS.get(case.status, FailureKind.MODEL_NOT_FOUND)


# --- what we send ---------------------------------------------------------------------------------------


def sent_for(case: Recording) -> tuple[str, dict[str, Any]]:
    """(address, body) of the request that we make of the caller's."""
    name = company(case)
    model = case.request.get("model") or case.path.rpartition("/")[2].partition(":")[0]
    if "requests" in case.request:
        model = case.request["requests"][0]["model"]
    endpoint = msgspec.structs.replace(
        an_endpoint("acme"),
        id=EndpointId("acme:one"),
        model=ModelId("acme/one"),
        provider_model_id=model.removeprefix("models/"),
    )
    request = head_for(case).request
    assert request is not None
    credential = Credential(
        base_url=BASES.get(name, f"https://{name}.test/v1"), api_key="key", options={}
    )
    made = adapter_for(case).encode(request, endpoint, credential)
    return made.url, json.loads(made.body)


def normal(sent: dict[str, Any], case: Recording) -> dict[str, Any]:
    """Without what means nothing: nulls, and defaults that the recording's own client wrote."""
    body = {name: deepcopy(value) for name, value in sent.items() if value is not None}
    if company(case) == "voyage" and body.get("encoding_format") == "float":
        del body["encoding_format"]
    if "content" in body:
        body = {"requests": [body]}
    for one in body.get("requests", ()):
        one["content"] = {"parts": [_camel(part) for part in one["content"]["parts"]]}
        one.setdefault("model", "")
    if company(case) == "vertex":
        for one in body["requests"]:
            one["model"] = ""
    if company(case) == "perplexity" and isinstance(body["input"], str):
        body["input"] = [body["input"]]
    return body


def _camel(part: dict[str, Any]) -> dict[str, Any]:
    if "inline_data" in part:
        data = part["inline_data"]
        return {"inlineData": {"mimeType": data["mime_type"], "data": data["data"]}}
    return part


@pytest.mark.parametrize("case", [case for case in CASES if case.id not in NOT_SENT], ids=repr)
def test_we_send_what_the_provider_was_sent(case: Recording) -> None:
    url, body = sent_for(case)
    assert normal(body, case) == normal(case.request, case)
    ending = case.path.rpartition("/")[2]
    assert url.rpartition("/")[2].partition(":")[0] == ending.partition(":")[0]
    assert SENT_ELSEWHERE.get(company(case), ending) in url


@pytest.mark.parametrize("case", [case for case in CASES if company(case) == "openai"], ids=repr)
def test_what_we_send_to_openai_fits_its_clients_types(case: Recording) -> None:
    _, body = sent_for(case)
    TypeAdapter(EmbeddingCreateParams).validate_python(body)
