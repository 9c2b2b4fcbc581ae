"""Requests for embeddings are read precisely, and vectors leave in the spelling that was asked for."""

from __future__ import annotations

import contextlib
import json
import struct
from base64 import b64decode, b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.chat import AudioPart, Frame, ImagePart, TextPart, VideoPart
from fairlead.core.errors import FailureKind, RequestInvalid, UpstreamFailure
from fairlead.core.ids import GenerationId
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import Charge
from fairlead.core.retrieval import EmbeddingsRequest
from fairlead.core.usage import Usage
from fairlead.dialects.base import AnswerHead, Closing
from fairlead.dialects.embeddings import Embeddings
from fairlead.wire.embeddings import (
    VectorInvalid,
    as_base64,
    as_numbers,
    embeddings_frame,
    numbers_vector,
)

EMBEDDINGS = Embeddings()
CLOSING = Closing(
    usage=Usage(prompt=8),
    charge=Charge(total=NanoUSD(160), prompt=NanoUSD(160), completion=NanoUSD(0)),
)


def decode(**fields: Any) -> EmbeddingsRequest:
    return EMBEDDINGS.decode(json.dumps({"model": "m", "input": "Hi", **fields}).encode())


def head(request: EmbeddingsRequest | None) -> AnswerHead:
    return AnswerHead(GenerationId("gen-1"), "acme/one", "Acme", 0, request=request)


def told(request: EmbeddingsRequest, *vectors: msgspec.Raw, closing: Closing = CLOSING) -> Any:
    frame = embeddings_frame(vectors, usage=closing.usage)
    return json.loads(EMBEDDINGS.whole(head(request), [frame], closing))


@pytest.mark.parametrize(
    ("given_input", "inputs"),
    [
        ("Hi", ("Hi",)),
        (["Hi", "there"], ("Hi", "there")),
        ([1, 2, 3], ((1, 2, 3),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
        ([{"content": [{"type": "text", "text": "Hi"}]}], ((TextPart("Hi"),),)),
    ],
)
def test_every_kind_of_input_is_read(given_input: object, inputs: object) -> None:
    assert decode(input=given_input).inputs == inputs


def test_parts_are_read_as_a_chat_has_them() -> None:
    content = [
        {"type": "text", "text": "Hi"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "input_audio", "input_audio": {"data": "data:audio/wav;base64,AA=="}},
        {"type": "input_video", "input_video": {"data": "AA==", "format": "webm"}},
        {"type": "input_file", "input_file": {"data": "AA=="}},
    ]
    request = decode(input=[{"content": content}])
    [parts] = request.inputs
    kinds = [type(part) for part in parts]
    assert kinds[:2] == [TextPart, ImagePart]
    audio, video = parts[2], parts[3]
    assert isinstance(audio, AudioPart)
    assert (audio.input_audio.data, audio.input_audio.format) == ("AA==", "wav")
    assert isinstance(video, VideoPart)
    assert video.video_url.url == "data:video/webm;base64,AA=="
    assert request.modalities == {"image", "audio", "video", "file"}
    assert request.body.prompt == ["Hi"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", 1]}, "input[1]"),
        ({"input": [1, -1]}, "input"),
        ({"input": [[1], []]}, "input[1]"),
        ({"input": None}, "input"),
        ({"input": {}}, "input"),
        ({"input": [{"content": []}]}, "input[0].content"),
        ({"input": [{"content": [{"type": "text", "text": ""}]}]}, "input[0].content[0].text"),
        ({"input": [{"content": [{"type": "smell"}]}]}, "input[0].content[0].type"),
        ({"input": [{}]}, "input[0].content"),
        (
            {"input": [{"content": [{"type": "input_audio", "input_audio": {"data": "AA"}}]}]},
            "input[0].content[0].input_audio.format",
        ),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": "8"}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"stream": True}, "stream"),
        ({"models": ["a/b"]}, "models"),
        ({"user": "u" * 257}, "user"),
        ({"provider": {"order": "x"}}, "provider.order"),
    ],
)
def test_what_is_wrong_is_said_with_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        decode(**fields)
    assert caught.value.param == param


def test_a_body_without_input_says_so() -> None:
    with pytest.raises(RequestInvalid, match="`input` is required"):
        EMBEDDINGS.decode(b'{"model":"m"}')


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_bytes_end_in_anything_but_a_request_or_a_refusal(body: bytes) -> None:
    with contextlib.suppress(RequestInvalid):
        assert EMBEDDINGS.decode(body).inputs


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["content", "type", "text", "data"]), inner, max_size=3)
    ),
)


@given(_JSON)
def test_any_input_is_read_or_refused(given_input: object) -> None:
    with contextlib.suppress(RequestInvalid):
        assert decode(input=given_input).inputs


FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20)


@given(FLOATS)
def test_either_spelling_of_a_vector_is_the_same_vector(numbers: list[float]) -> None:
    as_written = numbers_vector(numbers)
    packed = as_base64(as_written)
    assert b64decode(msgspec.json.decode(packed)) == struct.pack(f"<{len(numbers)}f", *numbers)
    assert msgspec.json.decode(as_numbers(packed)) == numbers
    assert as_base64(packed) is packed
    assert as_numbers(as_written) is as_written


@pytest.mark.parametrize("raw", [b'["a"]', b"[1e300]", b"[[1]]", b"[null]"])
def test_a_list_that_is_no_vector_is_told_apart(raw: bytes) -> None:
    with pytest.raises(VectorInvalid):
        as_base64(msgspec.Raw(raw))


@pytest.mark.parametrize("raw", [b'"?"', b'"AAA="', b"{}", b'"AA"'])
def test_a_text_that_is_no_vector_is_told_apart(raw: bytes) -> None:
    with pytest.raises(VectorInvalid):
        as_numbers(msgspec.Raw(raw))


def test_the_answer_has_the_documented_form() -> None:
    raw = msgspec.Raw(b"[0.25,  -1e-1]")
    assert told(decode(), raw) == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.1]}],
        "model": "acme/one",
        "provider": "Acme",
        "id": "gen-1",
        "usage": {
            "prompt_tokens": 8,
            "total_tokens": 8,
            "cost": 1.6e-7,
            "is_byok": False,
            "cost_details": {
                "upstream_inference_cost": None,
                "upstream_inference_prompt_cost": 1.6e-7,
                "upstream_inference_completions_cost": 0,
            },
        },
    }


def test_numbers_leave_as_they_were_written() -> None:
    raw = msgspec.Raw(b"[0.10000000000000000001,\n  1e-05]")
    body = EMBEDDINGS.whole(head(decode()), [embeddings_frame([raw], usage=None)], CLOSING)
    assert bytes(raw) in body


def test_tokens_are_told_by_kind_where_there_are_several() -> None:
    closing = msgspec.structs.replace(CLOSING, usage=Usage(prompt=3, prompt_image=258))
    usage = told(decode(), msgspec.Raw(b"[1]"), closing=closing)["usage"]
    assert usage["prompt_tokens"] == 261
    assert usage["prompt_tokens_details"] == {"text_tokens": 3, "image_tokens": 258}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_an_answer_with_another_number_of_vectors_is_garbage(count: int) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        told(decode(input=["a", "b"]), *[msgspec.Raw(b"[1]")] * count)
    assert caught.value.kind is FailureKind.GARBAGE


def test_a_vector_that_cannot_be_spelt_otherwise_is_garbage() -> None:
    request = decode(encoding_format="base64")
    with pytest.raises(UpstreamFailure) as caught:
        told(request, msgspec.Raw(b'["a"]'))
    assert caught.value.kind is FailureKind.GARBAGE


def test_base64_of_the_provider_becomes_numbers_for_who_wants_them() -> None:
    packed = b64encode(struct.pack("<2f", 0.5, -2)).decode()
    answer = told(decode(encoding_format="float"), msgspec.Raw(json.dumps(packed).encode()))
    assert answer["data"][0]["embedding"] == [0.5, -2.0]


def test_nothing_is_streamed() -> None:
    stream = EMBEDDINGS.stream(head(None))
    frame: Frame = embeddings_frame([], usage=None)
    problem = UpstreamFailure("no", kind=FailureKind.SERVER).problem()
    assert stream.feed([frame]) == stream.close(CLOSING) == stream.fail(problem, None) == b""
    assert json.loads(EMBEDDINGS.partial(head(None), [], problem, CLOSING))["error"]["code"] == 502
