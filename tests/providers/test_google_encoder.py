"""What Google is asked, part by part."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from google.genai import types

from fairlead.core.answer import collect
from fairlead.core.catalog import Endpoint, Reasoning
from fairlead.core.errors import RequestInvalid
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.pricing import PriceSheet
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.dialects.openai_completions import OpenAICompletions
from fairlead.providers.base import Credential, UpstreamRequest
from fairlead.providers.google import GOOGLE_AI_STUDIO

KEY = Credential("https://example.test/v1beta/", "secret", {})
HELLO = [{"role": "user", "content": "Hello"}]
NEW, OLD, FIRST = "gemini-3-flash-preview", "gemini-2.5-flash", "gemini-1.5-pro"
PIXEL = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}


def endpoint(
    model_id: str = NEW,
    *,
    supported: frozenset[str] = frozenset(),
    reasoning: Reasoning = Reasoning(),  # noqa: B008 - immutable
) -> Endpoint:
    return Endpoint(
        id=EndpointId(f"google-ai-studio:{model_id}"),
        model=ModelId(f"google/{model_id}"),
        provider=ProviderSlug("google-ai-studio"),
        tag="google-ai-studio",
        provider_model_id=model_id,
        context_length=1_000_000,
        max_completion_tokens=10_000,
        max_prompt_tokens=None,
        quantization="unknown",
        prices=PriceSheet(),
        price_version="v1",
        supported_parameters=supported,
        reasoning=reasoning,
    )


def encode(fields: dict[str, Any], to: Endpoint) -> tuple[UpstreamRequest, dict[str, Any]]:
    request = OpenAIChat().decode(msgspec.json.encode({"messages": HELLO, **fields}))
    assert GOOGLE_AI_STUDIO.chat is not None
    sent = GOOGLE_AI_STUDIO.chat.encode(request, to, KEY)
    body = json.loads(sent.body)
    for content in body["contents"]:
        types.Content.model_validate_json(json.dumps(content))
    config = {name: value for name, value in body.items() if name != "contents"}
    flat = {**config.pop("generationConfig", {}), **config}
    types.GenerateContentConfig.model_validate_json(json.dumps(flat))
    return sent, body


def sent(fields: dict[str, Any], model_id: str = NEW, **about: Any) -> dict[str, Any]:
    return encode(fields, endpoint(model_id, **about))[1]


def contents(messages: list[dict[str, Any]], model_id: str = NEW) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sent({"messages": messages}, model_id)["contents"]
    return found


def test_the_key_is_in_a_header_and_never_in_the_address() -> None:
    written, body = encode({}, endpoint())
    assert written.url == f"https://example.test/v1beta/models/{NEW}:generateContent"
    assert dict(written.headers)["x-goog-api-key"] == "secret"
    assert body == {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    streamed, _ = encode({"stream": True}, endpoint("tunedModels/ours"))
    assert streamed.url == (
        "https://example.test/v1beta/tunedModels/ours:streamGenerateContent?alt=sse"
    )


def test_a_prompt_is_one_turn_and_several_are_refused() -> None:
    assert GOOGLE_AI_STUDIO.chat is not None
    request = OpenAICompletions().decode(b'{"prompt": "Once"}')
    body = json.loads(GOOGLE_AI_STUDIO.chat.encode(request, endpoint(), KEY).body)
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Once"}]}]
    several = OpenAICompletions().decode(b'{"prompt": ["a", "b"]}')
    with pytest.raises(RequestInvalid):
        GOOGLE_AI_STUDIO.chat.encode(several, endpoint(), KEY)


# --- the conversation -------------------------------------------------------------------------------------


def test_instructions_stand_apart_and_turns_of_one_side_are_one() -> None:
    body = sent(
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "One", "name": "Ada"},
                {"role": "user", "content": [{"type": "text", "text": "Two"}]},
                {"role": "assistant", "content": "Yes"},
                {"role": "developer", "content": "And kind."},
                {"role": "user", "content": "Three"},
            ]
        }
    )
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "And kind."}]}
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "Ada: One"}, {"text": "Two"}]},
        {"role": "model", "parts": [{"text": "Yes"}]},
        {"role": "user", "parts": [{"text": "Three"}]},
    ]


def test_instructions_alone_are_what_is_asked() -> None:
    body = sent({"messages": [{"role": "system", "content": "Say hello."}]})
    assert body == {"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/webp;base64,{PIXEL}"}},
            {"inlineData": {"mimeType": "image/webp", "data": PIXEL}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x.test/a.PNG?size=1"}},
            {"fileData": {"mimeType": "image/png", "fileUri": "https://x.test/a.PNG?size=1"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "gs://bucket/picture"}},
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "gs://bucket/picture"}},
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:;base64,JVBE"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        ),
        (
            {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain,a%20b"}},
            {"inlineData": {"mimeType": "text/plain", "data": "YSBi"}},
        ),
        (
            {"type": "file", "file": {"filename": "n.csv", "file_data": "https://x.test/download"}},
            {"fileData": {"mimeType": "text/csv", "fileUri": "https://x.test/download"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://youtu.be/abc"}},
            {"fileData": {"mimeType": "video/mp4", "fileUri": "https://youtu.be/abc"}},
        ),
    ],
)
def test_every_kind_of_part_has_its_place(part: dict[str, Any], expected: dict[str, Any]) -> None:
    assert contents([{"role": "user", "content": [part]}])[0]["parts"] == [expected]


def test_a_file_of_another_provider_is_refused_by_name() -> None:
    part = {"type": "file", "file": {"file_id": "file-abc"}}
    with pytest.raises(RequestInvalid) as caught:
        contents([{"role": "user", "content": [part]}])
    assert caught.value.param == "messages[0].content[0].file"


CALLS = [
    {"id": "a", "type": "function", "function": {"name": "add", "arguments": '{"x": 1.0}'}},
    {"id": "b", "type": "function", "function": {"name": "now", "arguments": ""}},
    {"id": "c", "type": "function", "function": {"name": "bad", "arguments": "{oops"}},
]


def test_calls_and_their_results_find_each_other() -> None:
    turns = contents(
        [
            *HELLO,
            {"role": "assistant", "content": None, "tool_calls": CALLS},
            {"role": "tool", "tool_call_id": "b", "content": "noon"},
            {"role": "tool", "tool_call_id": "a", "content": '{"sum": 2}'},
            {"role": "tool", "tool_call_id": "c", "content": "no JSON", "is_error": True},
            {"role": "user", "content": "Well?"},
        ],
        OLD,
    )
    assert turns[1] == {
        "role": "model",
        "parts": [
            {"functionCall": {"id": "a", "name": "add", "args": {"x": 1.0}}},
            {"functionCall": {"id": "b", "name": "now", "args": {}}},
            {"functionCall": {"id": "c", "name": "bad", "args": {"arguments": "{oops"}}},
        ],
    }
    assert turns[2] == {
        "role": "user",
        "parts": [
            {"functionResponse": {"id": "b", "name": "now", "response": {"output": "noon"}}},
            {"functionResponse": {"id": "a", "name": "add", "response": {"sum": 2}}},
            {"functionResponse": {"id": "c", "name": "bad", "response": {"error": "no JSON"}}},
            {"text": "Well?"},
        ],
    }


def test_the_forerunners_of_tools_work_as_well() -> None:
    turns = contents(
        [
            *HELLO,
            {"role": "assistant", "function_call": {"name": "now", "arguments": "{}"}},
            {"role": "function", "name": "now", "content": "noon"},
        ],
        OLD,
    )
    assert turns[1]["parts"] == [{"functionCall": {"name": "now", "args": {}}}]
    assert turns[2]["parts"] == [
        {"functionResponse": {"name": "now", "response": {"output": "noon"}}}
    ]


@pytest.mark.parametrize(
    "text", ['{"a": {"$ref": "#/x"}}', '{"id": 12345678901234567890}', "[1]", "{"]
)
def test_a_result_that_would_not_survive_as_an_object_stays_text(text: str) -> None:
    answered = [
        *HELLO,
        {"role": "assistant", "tool_calls": CALLS[:1]},
        {"role": "tool", "tool_call_id": "a", "content": text},
    ]
    response = contents(answered)[2]["parts"][0]["functionResponse"]["response"]
    assert response == {"output": text}


def test_a_result_without_its_call_is_refused_by_name() -> None:
    with pytest.raises(RequestInvalid) as caught:
        contents([*HELLO, {"role": "tool", "tool_call_id": "gone", "content": "x"}])
    assert caught.value.param == "messages[1].tool_call_id"


def test_images_of_results_are_inside_where_the_model_takes_them() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    answered = [
        *HELLO,
        {"role": "assistant", "tool_calls": CALLS[:1]},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "See"}, image]},
    ]
    blob = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}
    response = {"id": "a", "name": "add", "response": {"output": "See"}}
    assert contents(answered, NEW)[2]["parts"] == [
        {"functionResponse": {**response, "parts": [blob]}}
    ]
    assert contents(answered, OLD)[2]["parts"] == [{"functionResponse": response}, blob]


# --- thoughts that come back ------------------------------------------------------------------------------


def test_a_call_of_another_models_has_the_documented_stand_in_for_a_signature() -> None:
    answered = [*HELLO, {"role": "assistant", "tool_calls": CALLS[:2]}]
    signed = contents(answered, NEW)[1]["parts"]
    assert signed[0]["thoughtSignature"] == "skip_thought_signature_validator"
    assert "thoughtSignature" not in signed[1]
    assert "thoughtSignature" not in contents(answered, OLD)[1]["parts"][0]


def test_signatures_of_other_formats_stay_here() -> None:
    details = [
        {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1", "id": "a"},
        {"type": "reasoning.text", "text": "Hm", "signature": "y", "format": "anthropic-claude-v1"},
    ]
    said = {"role": "assistant", "content": "Yes", "reasoning_details": details}
    assert contents([*HELLO, said])[1]["parts"] == [{"text": "Yes"}]


def test_what_was_answered_goes_back_with_each_signature_at_its_part() -> None:
    """A whole turn: decoded, told to an OpenAI caller, sent back by him."""
    parts = [
        {"text": "Think", "thought": True},
        {"text": "ing", "thought": True, "thoughtSignature": "Uw=="},
        {"text": "Look:"},
        {"text": "", "thoughtSignature": "VA=="},
        {"inlineData": {"mimeType": "image/png", "data": PIXEL}, "thoughtSignature": "SQ=="},
        {"functionCall": {"name": "add", "args": {"x": 1}}, "thoughtSignature": "QQ=="},
        {"functionCall": {"name": "add", "args": {"x": 2}, "id": "theirs"}},
    ]
    answer = {
        "candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP"}],
        "responseId": "r",
    }
    assert GOOGLE_AI_STUDIO.chat is not None
    decoder = GOOGLE_AI_STUDIO.chat.decoder(streamed=False)
    (choice,) = collect(decoder.feed(json.dumps(answer).encode()) + decoder.finish()).choices
    message = {
        "role": "assistant",
        "content": choice.text,
        "images": choice.images,
        "reasoning_details": choice.reasoning_details,
        "tool_calls": [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in choice.calls
        ],
    }
    calls = [call.id for call in choice.calls]
    assert contents([*HELLO, message])[1]["parts"] == [
        {"text": "Thinking", "thought": True, "thoughtSignature": "Uw=="},
        {"text": "Look:", "thoughtSignature": "VA=="},
        {"inlineData": {"mimeType": "image/png", "data": PIXEL}, "thoughtSignature": "SQ=="},
        {
            "functionCall": {"id": calls[0], "name": "add", "args": {"x": 1}},
            "thoughtSignature": "QQ==",
        },
        {"functionCall": {"id": "theirs", "name": "add", "args": {"x": 2}}},
    ]


# --- what the answer shall be -----------------------------------------------------------------------------


def config(fields: dict[str, Any], model_id: str = NEW, **about: Any) -> dict[str, Any]:
    found: dict[str, Any] = sent(fields, model_id, **about).get("generationConfig", {})
    return found


def test_parameters_have_their_names() -> None:
    assert config(
        {
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 40,
            "max_tokens": 100,
            "stop": "END",
            "n": 2,
            "seed": 2**31 + 5,
            "presence_penalty": 0.1,
            "frequency_penalty": 0.2,
            "logprobs": True,
            "top_logprobs": 3,
            "min_p": 0.1,
            "logit_bias": {"1": 1},
            "user": "somebody",
        }
    ) == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "maxOutputTokens": 100,
        "stopSequences": ["END"],
        "candidateCount": 2,
        "seed": 5,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 3,
    }


def test_what_the_endpoint_does_not_support_is_dropped() -> None:
    fields = {
        "temperature": 0.5, "max_tokens": 9, "top_k": 3, "seed": 1, "logprobs": True,
        "tools": [{"type": "function", "function": {"name": "now"}}],
        "response_format": {"type": "json_object"}, "web_search_options": {},
    }  # fmt: skip
    body = sent(fields, supported=frozenset({"temperature"}))
    assert body["generationConfig"] == {"temperature": 0.5}
    assert "tools" not in body


@pytest.mark.parametrize(
    ("tier", "theirs"),
    [("flex", None), ("fast", None), ("default", "standard"), ("auto", None)],
)
def test_a_tier_is_not_asked_for_at_a_usual_endpoint(tier: str, theirs: str | None) -> None:
    assert sent({"service_tier": tier}).get("serviceTier") == theirs


def test_images_and_speech_can_be_asked_for() -> None:
    assert config(
        {"modalities": ["text", "image"], "image_config": {"aspect_ratio": "1:1", "other": 1}}
    ) == {"responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"aspectRatio": "1:1"}}
    assert config(
        {"modalities": ["text", "audio"], "audio": {"voice": "Kore", "format": "wav"}}
    ) == {
        "responseModalities": ["AUDIO"],
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
    }
    assert config({"modalities": ["text"]}) == {}


FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
TOOL = {"type": "function", "function": {"name": "f", "description": "F.", "parameters": SCHEMA}}


def test_a_schema_is_sent_as_the_generation_takes_it() -> None:
    json_kind = {"responseMimeType": "application/json"}
    assert config({"response_format": FORMAT}, OLD) == {**json_kind, "responseJsonSchema": SCHEMA}
    subset = {
        "type": "OBJECT",
        "properties": {"a": {"type": "STRING", "nullable": True}},
        "propertyOrdering": ["a"],
    }
    assert config({"response_format": FORMAT}, FIRST) == {**json_kind, "responseSchema": subset}
    assert config({"response_format": {"type": "json_object"}}) == json_kind
    assert config({"response_format": {"type": "text"}}) == {}
    assert sent({"tools": [TOOL]}, OLD)["tools"] == [
        {
            "functionDeclarations": [
                {"name": "f", "description": "F.", "parametersJsonSchema": SCHEMA}
            ]
        }
    ]
    assert sent({"tools": [TOOL]}, FIRST)["tools"] == [
        {"functionDeclarations": [{"name": "f", "description": "F.", "parameters": subset}]}
    ]


def test_a_function_without_parameters_has_none() -> None:
    for parameters in ({}, {"type": "object", "properties": {}}, None):
        tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
        (first,) = sent({"tools": [tool]}, FIRST)["tools"][0]["functionDeclarations"]
        assert first == {"name": "f"}


def test_json_beside_functions_is_asked_for_in_words_where_it_cannot_be_set() -> None:
    body = sent({"response_format": FORMAT, "tools": [TOOL]}, OLD)
    assert "generationConfig" not in body
    assert (
        json.dumps(SCHEMA, separators=(",", ":")) in body["systemInstruction"]["parts"][0]["text"]
    )
    body = sent({"response_format": FORMAT, "tools": [TOOL]}, NEW)
    assert body["generationConfig"]["responseJsonSchema"] == SCHEMA
    assert "systemInstruction" not in body


def test_a_schema_that_cannot_be_sent_is_refused_by_name() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": ["no", "schema"]}}
    with pytest.raises(RequestInvalid) as caught:
        sent({"tools": [TOOL, tool]})
    assert caught.value.param == "tools[1].function.parameters"


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "f"}},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_a_choice_of_tools_has_its_mode(choice: Any, calling: dict[str, Any]) -> None:
    body = sent({"tools": [TOOL], "tool_choice": choice, "parallel_tool_calls": False})
    assert body["toolConfig"] == {"functionCallingConfig": calling}
    assert "toolConfig" not in sent({"tools": [], "tool_choice": choice})


def test_web_search_is_googles_own_tool_but_not_beside_functions() -> None:
    asked = {"web_search_options": {"search_context_size": "low"}}
    assert sent(asked)["tools"] == [{"googleSearch": {}}]
    assert "googleSearch" not in json.dumps(sent({**asked, "tools": [TOOL]}))


# --- thinking ---------------------------------------------------------------------------------------------

LEVELS = Reasoning(supported=True, efforts=("high", "medium", "low", "minimal"))
TWO_LEVELS = Reasoning(supported=True, efforts=("high", "low"))
BUDGET = Reasoning(supported=True, toggle=True, budget_min=0, budget_max=24_576)
ALWAYS = Reasoning(supported=True, budget_min=128, budget_max=32_768)


@pytest.mark.parametrize(
    ("model_id", "reasoning", "wish", "expected"),
    [
        (NEW, LEVELS, None, {"includeThoughts": True}),
        (NEW, LEVELS, {"effort": "low"}, {"includeThoughts": True, "thinkingLevel": "low"}),
        (NEW, LEVELS, {"effort": "xhigh"}, {"includeThoughts": True, "thinkingLevel": "high"}),
        (NEW, LEVELS, {"enabled": True}, {"includeThoughts": True, "thinkingLevel": "medium"}),
        (NEW, LEVELS, {"effort": "none"}, {"thinkingLevel": "minimal"}),
        (NEW, LEVELS, {"max_tokens": 900}, {"includeThoughts": True, "thinkingBudget": 900}),
        (NEW, LEVELS, {"exclude": True}, {}),
        (NEW, LEVELS, {"effort": "high", "exclude": True}, {"thinkingLevel": "high"}),
        (NEW, TWO_LEVELS, {"effort": "minimal"}, {"includeThoughts": True, "thinkingLevel": "low"}),
        (
            "gemini-3.8-flash",
            Reasoning(supported=True),
            {"effort": "max"},
            {"includeThoughts": True, "thinkingLevel": "high"},
        ),
        (OLD, BUDGET, {"effort": "high"}, {"includeThoughts": True, "thinkingBudget": 8000}),
        (OLD, BUDGET, {"effort": "minimal"}, {"includeThoughts": True, "thinkingBudget": 1000}),
        (OLD, BUDGET, {"max_tokens": 90_000}, {"includeThoughts": True, "thinkingBudget": 24_576}),
        (OLD, BUDGET, {"enabled": False}, {"thinkingBudget": 0}),
        (OLD, ALWAYS, {"enabled": False}, {"thinkingBudget": 128}),
        ("gemini-2.0-flash", Reasoning(), None, {}),
        (
            "gemma-4-26b-a4b-it",
            Reasoning(supported=True, toggle=True),
            {"effort": "low"},
            {"includeThoughts": True, "thinkingLevel": "minimal"},
        ),
    ],
)
def test_reasoning_is_a_level_or_a_budget(
    model_id: str, reasoning: Reasoning, wish: dict[str, Any] | None, expected: dict[str, Any]
) -> None:
    fields = {} if wish is None else {"reasoning": wish}
    found = config(fields, model_id, reasoning=reasoning).get("thinkingConfig", {})
    assert found == expected


def test_an_effort_is_a_share_of_the_callers_limit() -> None:
    fields = {"reasoning": {"effort": "medium"}, "max_tokens": 4000}
    assert config(fields, OLD, reasoning=BUDGET)["thinkingConfig"]["thinkingBudget"] == 2000


def test_a_model_that_does_not_reason_is_not_asked_to() -> None:
    wish = {"reasoning": {"effort": "high"}}
    assert config(wish, OLD, supported=frozenset({"temperature"})) == {}


def test_a_model_that_always_reasons_cannot_be_told_not_to() -> None:
    always = Reasoning(supported=True, mandatory=True)
    with pytest.raises(RequestInvalid) as caught:
        sent({"reasoning": {"effort": "none"}}, reasoning=always)
    assert caught.value.param == "reasoning.effort"
