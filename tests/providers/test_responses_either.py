"""One provider, two formats: the model says what is sent, the answer says how it is read."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.chat import ChatEvent
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.providers.base import ChatDecoder, Credential
from fairlead.providers.compatible import OpenAIFormatChat
from fairlead.providers.openai_encoder import Row
from fairlead.providers.registry import PROVIDERS
from fairlead.providers.responses import ResponsesFormatChat
from fairlead.providers.responses_either import ChatOrResponses
from fairlead.providers.responses_encoder import ResponsesRow
from fairlead.testing.builders import an_endpoint
from tests.recordings import Recording, load, load_native

CHAT = OpenAIFormatChat(Row("recorded"))
RESPONSES = ResponsesFormatChat(ResponsesRow("recorded"))
EITHER = ChatOrResponses(CHAT, RESPONSES, lambda model: model.endswith("-pro"))
KEY = Credential("https://example.test/v1", "secret", {})

SAID = [case for case in load("openai") if case.status == 200]
RESPONDED = [case for case in load_native("responses") if case.status == 200]
SHORT = [
    next(case for case in cases if case.is_sse is is_sse)
    for cases in (SAID, RESPONDED)
    for is_sse in (True, False)
]


def read(decoder: ChatDecoder, body: bytes, cuts: Iterable[int] = ()) -> list[ChatEvent] | str:
    """The events, or what kind of failure it was."""
    places = [0, *sorted({cut % (len(body) + 1) for cut in cuts}), len(body)]
    events: list[ChatEvent] = []
    try:
        for start, end in itertools.pairwise(places):
            events += decoder.feed(body[start:end])
        return events + decoder.finish()
    except UpstreamFailure as failure:
        return failure.kind.value


def test_there_are_answers_of_both() -> None:
    assert len(SAID) > 200
    assert len(RESPONDED) > 400


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in [*SAID, *RESPONDED]])
def test_an_answer_is_read_as_what_it_is(case: Recording) -> None:
    own = CHAT if case in SAID else RESPONSES
    told = read(EITHER.decoder(streamed=case.is_sse), case.body)
    assert told == read(own.decoder(streamed=case.is_sse), case.body)


@given(st.sampled_from(SHORT), st.lists(st.integers(0, 1 << 20), max_size=6))
def test_any_chunking_gives_the_same_events(case: Recording, cuts: list[int]) -> None:
    told = read(EITHER.decoder(streamed=case.is_sse), case.body, cuts)
    own = CHAT if case in SAID else RESPONSES
    assert told == read(own.decoder(streamed=case.is_sse), case.body, cuts)


@given(st.binary(max_size=60), st.booleans())
def test_arbitrary_bytes_end_as_with_the_chat_format(body: bytes, streamed: bool) -> None:
    told = read(EITHER.decoder(streamed=streamed), body)
    assert told == read(CHAT.decoder(streamed=streamed), body)


def test_an_error_before_any_answer_is_understood() -> None:
    error = {"type": "error", "code": "rate_limit_exceeded", "message": "Slow.", "param": None}
    body = b"data: " + json.dumps(error).encode() + b"\n\n"
    assert read(EITHER.decoder(streamed=True), body) == FailureKind.RATE_LIMIT.value


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gpt-5", "/chat/completions"),
        ("o3-mini", "/chat/completions"),
        ("gpt-5-chat-latest", "/chat/completions"),
        ("gpt-5-codex", "/responses"),
        ("gpt-5.1-codex-max", "/responses"),
        ("gpt-5.3-codex-spark", "/responses"),
        ("codex-mini", "/responses"),
        ("o1-pro", "/responses"),
        ("o3-pro-2025-06-10", "/responses"),
        ("o4-mini-deep-research", "/responses"),
    ],
)
def test_openai_is_asked_in_the_format_that_it_offers_a_model_in(model: str, path: str) -> None:
    chat = PROVIDERS["openai"].chat
    assert chat is not None
    request = OpenAIChat().decode(b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}')
    sent = chat.encode(request, an_endpoint("openai", model=f"openai/{model}"), KEY)
    assert sent.url == f"https://example.test/v1{path}"
    assert json.loads(sent.body)["model"] == model


def test_the_refusal_of_either_is_understood() -> None:
    body = b'{"error":{"code":"model_not_found","message":"No such model."}}'
    failure = EITHER.failure(404, SAID[0].headers, body)
    assert failure.kind is FailureKind.MODEL_NOT_FOUND
