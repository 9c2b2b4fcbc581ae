"""What Google answers, in the cases that were not recorded."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from fairlead.core.answer import Answer, collect
from fairlead.core.chat import ChatEvent, FinishReason, UsageReported
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.usage import Usage
from fairlead.providers.google_citations import citations
from fairlead.providers.google_decoder import GoogleStreamDecoder, GoogleWholeDecoder
from fairlead.providers.google_usage import read_counts, usage_of


def said(*parts: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    candidate: dict[str, Any] = {"content": {"parts": list(parts)}, "index": index, **more}
    if finish is not None:
        candidate["finishReason"] = finish
    return json.dumps({"candidates": [candidate], "responseId": "r"}).encode()


def stream(*objects: bytes) -> bytes:
    return b"".join(b"data: " + one + b"\r\n\r\n" for one in objects)


def read_stream(*objects: bytes) -> Answer:
    decoder = GoogleStreamDecoder()
    return collect(decoder.feed(stream(*objects)) + decoder.finish())


def read_whole(body: bytes) -> Answer:
    decoder = GoogleWholeDecoder()
    return collect(decoder.feed(body) + decoder.finish())


def failed(decoder: GoogleStreamDecoder | GoogleWholeDecoder, body: bytes) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        decoder.feed(body) + decoder.finish()
    return caught.value


# --- ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("STOP", FinishReason.STOP),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("SAFETY", FinishReason.CONTENT_FILTER),
        ("RECITATION", FinishReason.CONTENT_FILTER),
        ("PROHIBITED_CONTENT", FinishReason.CONTENT_FILTER),
        ("SPII", FinishReason.CONTENT_FILTER),
        ("SOMETHING_NEW", FinishReason.STOP),
    ],
)
def test_a_finish_reason_has_its_word(native: str, reason: FinishReason) -> None:
    (choice,) = read_stream(said({"text": "Hi"}), said(finish=native)).choices
    assert (choice.finish, choice.native_finish) == (reason, native)


@pytest.mark.parametrize(
    ("native", "kind"),
    [
        ("MALFORMED_FUNCTION_CALL", FailureKind.SERVER),
        ("UNEXPECTED_TOOL_CALL", FailureKind.SERVER),
        ("OTHER", FailureKind.SERVER),
        ("NO_IMAGE", FailureKind.SERVER),
        ("MISSING_THOUGHT_SIGNATURE", FailureKind.BAD_REQUEST),
    ],
)
def test_an_answer_that_failed_is_a_failure(native: str, kind: FailureKind) -> None:
    for failure in (
        failed(GoogleStreamDecoder(), stream(said(finish=native))),
        failed(GoogleWholeDecoder(), said(finish=native)),
    ):
        assert (failure.kind, failure.provider_code) == (kind, native)


def test_a_finish_reason_in_every_chunk_is_one_end() -> None:
    """As the first generation tells it."""
    answer = read_stream(said({"text": "a"}, finish="STOP"), said({"text": "b"}, finish="STOP"))
    assert answer.choices[0].text == "ab"
    assert answer.choices[0].finish is FinishReason.STOP


def test_an_unspecified_reason_is_no_end() -> None:
    body = stream(said({"text": "a"}, finish="FINISH_REASON_UNSPECIFIED"))
    assert failed(GoogleStreamDecoder(), body).kind is FailureKind.CUT


def test_several_choices_end_each_for_itself() -> None:
    answer = read_stream(
        said({"text": "a"}), said({"text": "b"}, index=1, finish="MAX_TOKENS"), said(finish="STOP")
    )
    assert [(c.index, c.text, c.finish) for c in answer.choices] == [
        (0, "a", FinishReason.STOP),
        (1, "b", FinishReason.LENGTH),
    ]
    one_ended = stream(said({"text": "a"}), said({"text": "b"}, index=1, finish="STOP"))
    assert failed(GoogleStreamDecoder(), one_ended).kind is FailureKind.CUT


@pytest.mark.parametrize("feedback", [{"blockReason": "SAFETY"}, {"blockReason": "OTHER"}])
def test_a_refused_prompt_is_told_before_anything_is_said(feedback: dict[str, str]) -> None:
    body = json.dumps(
        {"promptFeedback": feedback, "usageMetadata": {"promptTokenCount": 5}}
    ).encode()
    for failure in (
        failed(GoogleStreamDecoder(), stream(body)),
        failed(GoogleWholeDecoder(), body),
    ):
        assert failure.kind is FailureKind.CONTENT_POLICY
        assert failure.provider_code == feedback["blockReason"]


def test_an_answer_without_candidates_is_empty() -> None:
    assert failed(GoogleWholeDecoder(), b'{"responseId": "r"}').kind is FailureKind.EMPTY
    assert failed(GoogleWholeDecoder(), b"  ").kind is FailureKind.EMPTY
    assert failed(GoogleStreamDecoder(), b"").kind is FailureKind.CUT


# --- errors -----------------------------------------------------------------------------------------------

ERROR = b'{"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}'
PRINTED = json.dumps(json.loads(ERROR), indent=2).encode()


@pytest.mark.parametrize(
    "body",
    [
        stream(said({"text": "a"}), ERROR),
        stream(said({"text": "a"})) + PRINTED,
        stream(said({"text": "a"})) + b"[" + PRINTED + b"\n]\n",
    ],
)
def test_an_error_in_the_middle_of_a_stream_comes_after_what_was_said(body: bytes) -> None:
    for size in (len(body), 1, 7):
        decoder = GoogleStreamDecoder()
        events, failure = until_failure(decoder, body, size)
        assert collect(events).choices[0].text == "a"
        assert failure.kind is FailureKind.OVERLOADED
        assert failure.provider_code == "UNAVAILABLE"


def until_failure(
    decoder: GoogleStreamDecoder, body: bytes, size: int
) -> tuple[list[ChatEvent], UpstreamFailure]:
    events: list[ChatEvent] = []
    try:
        for at in range(0, len(body), size):
            events += decoder.feed(body[at : at + size])
        decoder.finish()
    except UpstreamFailure as failure:
        return events, failure
    raise AssertionError("it did not fail")


def test_an_error_in_place_of_an_answer_is_read() -> None:
    for decoder in (GoogleStreamDecoder(), GoogleWholeDecoder()):
        assert failed(decoder, PRINTED).kind is FailureKind.OVERLOADED


@pytest.mark.parametrize(
    "body",
    [
        b'{"candidates": 1}',
        b'{"candidates": [{"index": 1000, "finishReason": "STOP"}]}',
        b'{"candidates": [{"content": {"parts": [{"functionCall": {"args": {"a": \xff}}}]}}]}',
        b'{"candidates": [{"content": {"parts": [{"functionCall": {"args": {"a": "\xff"}}}]}}]}',
        b'{"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "audio/x", "data": "A"}}]}}]}',
        b'{"candidates":' + b"[" * 100_000,
    ],
)
def test_what_makes_no_sense_is_garbage(body: bytes) -> None:
    assert failed(GoogleWholeDecoder(), body).kind is FailureKind.GARBAGE
    assert failed(GoogleStreamDecoder(), stream(body)).kind is FailureKind.GARBAGE


# --- calls, media, probabilities --------------------------------------------------------------------------


def test_a_call_without_an_id_gets_the_same_one_each_time() -> None:
    call = {"functionCall": {"name": "now", "args": {}}}
    first, second = (read_stream(said(call, call, finish="STOP")).choices[0] for _ in range(2))
    assert [one.id for one in first.calls] == [one.id for one in second.calls]
    assert len({one.id for one in first.calls}) == 2
    assert [one.arguments for one in first.calls] == ["{}", "{}"]


def test_arguments_are_passed_as_written_but_for_spaces() -> None:
    call = b'{"name":"f","args":{"a" : 1.0,\n "b":[ 1e3 ]}}'
    part = b'{"content":{"parts":[{"functionCall":%b}]},"finishReason":"STOP"}' % call
    body = b'{"candidates":[%b]}' % part
    assert read_whole(body).choices[0].calls[0].arguments == '{"a":1.0,"b":[1e3]}'
    none = said({"functionCall": {"name": "f"}}, finish="STOP")
    assert read_whole(none).choices[0].calls[0].arguments == "{}"


def test_audio_in_pieces_is_one_sound() -> None:
    """Its pieces are joined as text, so that none but the last may be padded."""
    sound = bytes(range(256)) * 3
    pieces = [sound[:100], sound[100:101], sound[101:500], sound[500:]]
    chunks = [
        said(
            {
                "inlineData": {
                    "mimeType": "audio/L16;rate=24000",
                    "data": base64.b64encode(p).decode(),
                }
            }
        )
        for p in pieces
    ]
    answer = read_stream(*chunks, said(finish="STOP"))
    audio = answer.choices[0].audio
    assert isinstance(audio, dict)
    assert base64.b64decode(audio["data"], validate=True) == sound


def test_images_come_as_data_urls_in_the_usual_alphabet() -> None:
    answer = read_whole(
        said(
            {"inlineData": {"mimeType": "image/png", "data": "-_8="}},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thought": True},
            {"fileData": {"fileUri": "https://x.test/a.png"}},
            finish="STOP",
        )
    )
    assert answer.choices[0].images == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,+/8="}},
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
    ]


def test_probabilities_have_the_chat_dialects_shape() -> None:
    result = {
        "chosenCandidates": [{"token": "é", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.5}, {"token": "e"}]}],
    }
    answer = read_whole(said({"text": "é"}, finish="STOP", logprobsResult=result))
    (raw,) = answer.choices[0].logprobs
    accent = {"token": "é", "logprob": -0.5, "bytes": [195, 169]}
    plain = {"token": "e", "logprob": 0.0, "bytes": [101]}
    assert msgspec.json.decode(raw) == {
        "content": [{**accent, "top_logprobs": [accent, plain]}],
        "refusal": None,
    }


# --- citations --------------------------------------------------------------------------------------------

TEXT = "Zürich is in Switzerland."
WEB = {"groundingChunks": [{"web": {"uri": "https://a.test", "title": "A"}}]}


def cited(segment: dict[str, Any]) -> tuple[int, int]:
    supports = [{"segment": segment, "groundingChunkIndices": [0, 7]}]
    (found,) = citations(TEXT, {**WEB, "groundingSupports": supports}, {})
    place = found["url_citation"]
    assert isinstance(place, dict)
    assert (place["url"], place["title"]) == ("https://a.test", "A")
    return place["start_index"], place["end_index"]


def test_places_in_bytes_become_places_in_characters() -> None:
    assert cited({"endIndex": 7, "text": "Zürich"}) == (0, 6)
    assert cited({"startIndex": 14, "endIndex": 25, "text": "Switzerland"}) == (13, 24)
    assert cited({"startIndex": 2, "endIndex": 9, "text": "Switzerland"}) == (13, 24)
    assert cited({"startIndex": 2, "endIndex": 900, "text": "elsewhere"}) == (0, 0)


def test_sources_that_nothing_refers_to_are_told_without_a_place() -> None:
    (found,) = citations(TEXT, WEB, {})
    assert found == {
        "type": "url_citation",
        "url_citation": {"url": "https://a.test", "title": "A", "start_index": 0, "end_index": 0},
    }
    assert not citations(TEXT, {"groundingChunks": [{"retrievedContext": {"text": "x"}}]}, {})


@pytest.mark.parametrize("name", ["citations", "citationSources"])
def test_recited_passages_name_their_source(name: str) -> None:
    answer = read_stream(
        said({"text": TEXT}),
        said(
            finish="RECITATION",
            citationMetadata={name: [{"startIndex": 0, "endIndex": 7, "uri": "https://b.test"}]},
        ),
    )
    assert answer.choices[0].annotations == [
        {
            "type": "url_citation",
            "url_citation": {
                "url": "https://b.test",
                "title": "https://b.test",
                "start_index": 0,
                "end_index": 6,
            },
        }
    ]


# --- usage ------------------------------------------------------------------------------------------------


def read_usage(told: dict[str, Any]) -> Usage | None:
    counts = read_counts(msgspec.Raw(json.dumps(told).encode()))
    return None if counts is None else usage_of(counts)


@pytest.mark.parametrize(
    "told", [{}, {"totalTokenCount": -1}, {"promptTokenCount": "9"}, {"promptTokenCount": 10**12}]
)
def test_what_is_no_count_is_none(told: dict[str, Any]) -> None:
    assert read_usage(told) is None


def test_every_kind_of_token_has_its_own_bucket() -> None:
    usage = read_usage(
        {
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 600,
            "candidatesTokenCount": 200,
            "thoughtsTokenCount": 50,
            "toolUsePromptTokenCount": 30,
            "totalTokenCount": 1280,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 300},
                {"modality": "AUDIO", "tokenCount": 250},
                {"modality": "IMAGE", "tokenCount": 350},
                {"modality": "VIDEO", "tokenCount": 60},
                {"modality": "DOCUMENT", "tokenCount": 40},
            ],
            "cacheTokensDetails": [
                {"modality": "AUDIO", "tokenCount": 200},
                {"modality": "IMAGE", "tokenCount": 350},
                {"modality": "TEXT", "tokenCount": 50},
            ],
            "candidatesTokensDetails": [
                {"modality": "TEXT", "tokenCount": 20},
                {"modality": "IMAGE", "tokenCount": 150},
                {"modality": "AUDIO", "tokenCount": 30},
            ],
        }
    )
    assert usage == Usage(
        prompt=320,
        cache_read=600,
        prompt_audio=50,
        prompt_video=60,
        completion=20,
        reasoning=50,
        completion_image=150,
        completion_audio=30,
    )
    assert usage.total_tokens == 1280


def test_what_the_total_has_on_top_was_thought() -> None:
    usage = read_usage({"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 40})
    assert usage is not None
    assert (usage.reasoning, usage.total_tokens) == (25, 40)


def test_a_later_report_replaces_an_earlier_one_as_a_whole() -> None:
    """Google counts anew after a search of its own, and ends with an object that counts nothing."""
    counts = [
        {"promptTokenCount": 9, "candidatesTokenCount": 15, "totalTokenCount": 24},
        {"promptTokenCount": 9, "totalTokenCount": 9},
        {"trafficType": "ON_DEMAND"},
    ]
    decoder = GoogleStreamDecoder()
    objects = [
        {"candidates": [{"content": {"parts": [{"text": "a"}]}}], "usageMetadata": one}
        for one in counts
    ]
    body = stream(*(json.dumps(one).encode() for one in objects), said(finish="STOP"))
    events = decoder.feed(body) + decoder.finish()
    reports = [event.usage.total_tokens for event in events if isinstance(event, UsageReported)]
    assert reports == [24, 9]


@pytest.mark.parametrize(
    ("told", "tier"),
    [
        ({"serviceTier": "standard"}, "default"),
        ({"serviceTier": "priority"}, "priority"),
        ({"trafficType": "ON_DEMAND_FLEX"}, "flex"),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, None),
    ],
)
def test_the_tier_that_served_is_told(told: dict[str, str], tier: str | None) -> None:
    body = {"candidates": [{"finishReason": "STOP"}], "usageMetadata": told}
    answer = read_whole(json.dumps(body).encode())
    assert answer.started is not None
    assert answer.started.service_tier == tier
