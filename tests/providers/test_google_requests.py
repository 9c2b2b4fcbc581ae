"""Every recorded request to Google, built again from what an OpenAI caller would have sent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from google.genai import types

from fairlead.core.catalog import Endpoint, Reasoning
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.pricing import PriceSheet
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.providers.base import Credential
from fairlead.providers.registry import PROVIDERS
from tests.providers.google_as_openai import as_openai, camel
from tests.recordings import Recording, load_native

# A temperature of 1000, which no dialect lets through.
REFUSED_BEFORE = {"vertex.generate_content-otel-31c5e484c7-0"}
CASES = [
    case
    for name in ("gemini", "vertex")
    for case in load_native(name)
    if ":countTokens" not in case.path and case.id not in REFUSED_BEFORE
]


def by_id(cases: Iterable[Recording]) -> list[object]:
    return [pytest.param(case, id=case.id) for case in cases]


def built(case: Recording) -> dict[str, Any]:
    """Our body for the recorded request."""
    body = {**as_openai(case.request), "stream": case.streamed}
    slug = "google-ai-studio" if case.provider == "gemini" else "google-vertex"
    model_id = case.path.partition("/models/")[2].partition(":")[0]
    asks_to_think = bool(case.request.get("generationConfig", {}).get("thinkingConfig"))
    endpoint = Endpoint(
        id=EndpointId(f"{slug}:{model_id}"),
        model=ModelId(f"google/{model_id}"),
        provider=ProviderSlug(slug),
        tag=slug,
        provider_model_id=model_id,
        context_length=1_000_000,
        max_completion_tokens=None,
        max_prompt_tokens=None,
        quantization="unknown",
        prices=PriceSheet(),
        price_version="v1",
        supported_parameters=frozenset(),
        reasoning=Reasoning(supported=asks_to_think, toggle=True),
    )
    request = OpenAIChat().decode(msgspec.json.encode(body))
    chat = PROVIDERS[slug].chat
    assert chat is not None
    sent = chat.encode(request, endpoint, Credential("https://example.test/v1beta", "key", {}))
    recorded = case.path.partition("/models/")[2].partition("?")[0]
    assert sent.url.endswith(recorded + ("?alt=sse" if case.streamed else ""))
    found: dict[str, Any] = json.loads(sent.body)
    return found


def test_there_is_something_to_build() -> None:
    assert len(CASES) == 471


@pytest.mark.parametrize("case", by_id(CASES))
def test_what_we_send_is_of_the_published_types(case: Recording) -> None:
    body = built(case)
    for content in body.pop("contents"):
        types.Content.model_validate_json(json.dumps(content))
    # The published type has all but the contents in one object.
    config = body.pop("generationConfig", {})
    types.GenerateContentConfig.model_validate_json(json.dumps({**config, **body}))


@pytest.mark.parametrize("case", by_id(CASES))
def test_what_we_send_means_what_was_recorded(case: Recording) -> None:
    sent, recorded = built(case), camel(case.request)
    if turns(recorded) or not instruction(recorded):
        assert turns(sent) == turns(recorded)
        assert instruction(sent) == instruction(recorded)
    else:  # instructions alone are what is asked
        assert turns(sent) == [("user", [("text", text, "") for text in instruction(recorded)])]
    assert functions(sent) == functions(recorded)
    thinking = recorded.get("generationConfig", {}).get("thinkingConfig")
    if thinking and thinking.get("thinkingBudget") != 0:
        thinking.setdefault("includeThoughts", True)  # our callers see thoughts unless they say no
    assert settings(sent) == settings(recorded)


def turns(body: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    """What each side says: text, calls and results, each with its signature. Ids of calls are not compared."""
    told: list[tuple[str, list[Any]]] = []
    for content in body["contents"]:
        said: list[Any] = []
        for part in content["parts"]:
            signature = part.get("thoughtSignature", "")
            if signature == "skip_thought_signature_validator":
                signature = ""  # recorded before Google asked for one
            if "functionCall" in part:
                call = part["functionCall"]
                said.append(("call", call["name"], call["args"], signature))
            elif "functionResponse" in part:
                result = part["functionResponse"]
                media = [blob_of(inner) for inner in result.get("parts", [])]
                said.append(("result", result["name"], result["response"], media))
            elif part.get("thought"):
                pass
            elif "text" in part:
                if said and said[-1][0] == "text" and content["role"] == "model":
                    text = said.pop()[1] + part["text"]
                    said.append(("text", text, signature))
                elif part["text"] or signature:
                    said.append(("text", part["text"], signature))
            elif "inlineData" in part or "fileData" in part:
                said.append(("media", *blob_of(part)))
        if not said:
            continue
        role = content.get("role", "user")
        if told and told[-1][0] == role:
            told[-1][1].extend(said)
        else:
            told.append((role, said))
    # Results stand before what the user says beside them.
    return [(role, sorted(said, key=lambda one: one[0] != "result")) for role, said in told]


def blob_of(part: dict[str, Any]) -> tuple[str, str]:
    blob = part.get("inlineData") or part["fileData"]
    kind = blob.get("mimeType", "").replace("mpeg", "mp3")
    return ("address", blob["fileUri"]) if "fileUri" in blob else (kind, blob["data"])


def instruction(body: dict[str, Any]) -> list[str]:
    return [part["text"] for part in body.get("systemInstruction", {}).get("parts", [])]


def functions(body: dict[str, Any]) -> Any:
    declared = [
        (function["name"], function.get("description") or None, len(_properties(function)))
        for tool in body.get("tools", [])
        for function in tool.get("functionDeclarations", [])
    ]
    calling = body.get("toolConfig", {}).get("functionCallingConfig", {})
    mode = calling.get("mode", "").upper().replace("VALIDATED", "AUTO")
    names = calling.get("allowedFunctionNames", [])
    return declared, mode if declared else "", names if len(names) == 1 else []


def _properties(function: dict[str, Any]) -> dict[str, Any]:
    schema = function.get("parametersJsonSchema") or function.get("parameters") or {}
    found: dict[str, Any] = schema.get("properties", {})
    return found


def settings(body: dict[str, Any]) -> dict[str, Any]:
    config = dict(body.get("generationConfig", {}))
    schema = config.pop("responseSchema", None) or config.pop("responseJsonSchema", None)
    config["has_schema"] = schema is not None
    thinking = config.pop("thinkingConfig", {})
    config["level"] = thinking.get("thinkingLevel", "").lower()
    config["budget"] = thinking.get("thinkingBudget")
    config["thoughts"] = thinking.get("includeThoughts", False)
    modalities = config.pop("responseModalities", None)
    config["modalities"] = [] if modalities == ["TEXT"] else modalities or []
    return config
