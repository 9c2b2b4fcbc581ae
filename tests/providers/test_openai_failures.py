"""What refusals mean, by their words, their message or their status; and what a caller may read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.providers.openai_failures import failure_of
from tests.recordings import RecordedHeaders

NO_HEADERS = RecordedHeaders({})
K = FailureKind


def failure(status: int, body: Any, headers: dict[str, str] | None = None) -> UpstreamFailure:
    return failure_of(status, RecordedHeaders(headers or {}), json.dumps(body).encode())


def openai(code: object, message: str = "No.", kind: object = "invalid_request_error") -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, openai("context_length_exceeded"), K.CONTEXT_LENGTH),
        (
            400,
            openai(None, "This model's maximum context length is 8192 tokens."),
            K.CONTEXT_LENGTH,
        ),
        (413, openai(None, "Request too large for model on tokens per minute (TPM)"), K.RATE_LIMIT),
        (413, {"error": "Payload too large"}, K.TOO_LARGE),
        (400, openai("content_policy_violation"), K.CONTENT_POLICY),
        (400, openai("content_filter", "The response was filtered"), K.CONTENT_POLICY),
        (400, openai("DataInspectionFailed"), K.CONTENT_POLICY),
        (400, openai("invalid_image_url"), K.IMAGE),
        (400, openai("unsupported_parameter"), K.BAD_REQUEST),
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, K.BAD_REQUEST),
        (401, openai("invalid_api_key"), K.AUTHENTICATION),
        (403, openai(None, "Forbidden"), K.AUTHENTICATION),
        (402, {"error": {"message": "Insufficient credits", "code": 402}}, K.OUT_OF_QUOTA),
        (403, {"message": "You've run out of credits.", "statusCode": 403}, K.OUT_OF_QUOTA),
        (429, openai("insufficient_quota"), K.OUT_OF_QUOTA),
        (429, openai(None, "You exceeded your current quota"), K.OUT_OF_QUOTA),
        (429, openai("rate_limit_exceeded"), K.RATE_LIMIT),
        (429, {"error": {"code": "1302", "message": "too fast"}}, K.RATE_LIMIT),
        (429, {"error": {"code": "1113", "message": "no balance"}}, K.OUT_OF_QUOTA),
        (404, openai("model_not_found"), K.MODEL_NOT_FOUND),
        (400, openai(None, "The model `x` does not exist"), K.MODEL_NOT_FOUND),
        (400, {"error": "Model not found: x", "code": "bad"}, K.MODEL_NOT_FOUND),
        (404, openai(None, "tools is not supported in this model"), K.BAD_REQUEST),
        (503, openai(None, "x"), K.OVERLOADED),
        (529, {}, K.OVERLOADED),
        (498, {}, K.OVERLOADED),
        (500, openai(None, "maximum context"), K.SERVER),
        (502, {}, K.SERVER),
        (504, {}, K.TIMEOUT),
        (408, {}, K.TIMEOUT),
        (524, {}, K.TIMEOUT),
        (418, {}, K.BAD_REQUEST),
        (302, {}, K.SERVER),
        (
            400,
            [{"error": {"code": 400, "message": "API key not valid", "status": "X"}}],
            K.AUTHENTICATION,
        ),
        (
            400,
            {
                "error": {
                    "code": 400,
                    "message": "Provider returned error",
                    "metadata": {"raw": json.dumps(openai("context_length_exceeded", "Too long"))},
                }
            },
            K.CONTEXT_LENGTH,
        ),
    ],
)
def test_a_refusal_means(status: int, body: Any, kind: FailureKind) -> None:
    assert failure(status, body).kind is kind


def test_the_callers_own_fault_is_told_in_the_providers_words() -> None:
    told = failure(400, openai("unsupported_parameter", "Unsupported parameter: 'stop'."))
    assert told.message == "Unsupported parameter: 'stop'."
    assert told.provider_code == "unsupported_parameter"


def test_an_aggregators_upstream_is_quoted_rather_than_the_aggregator() -> None:
    raw = json.dumps({"error": "Model x does not support effort.", "code": "Invalid argument"})
    body = {"error": {"code": 400, "message": "Provider returned error", "metadata": {"raw": raw}}}
    assert failure(400, body).message == "Model x does not support effort."


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_trouble_between_us_and_the_provider_stays_there(status: int) -> None:
    told = failure(status, openai(None, "Incorrect key sk-abc of organisation org-1"))
    assert "sk-abc" not in told.message
    assert "org-1" not in told.message


def test_a_proxys_page_is_not_quoted() -> None:
    told = failure_of(400, NO_HEADERS, b"<html><body>Bad gateway</body></html>")
    assert "<" not in told.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1e9"}, 3600.0),
        ({}, None),
    ],
)
def test_the_hint_when_to_retry_is_in_seconds(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert failure(429, {}, headers).retry_after_s == seconds


@given(st.integers(300, 599), st.binary(max_size=200))
def test_any_bytes_are_some_failure(status: int, body: bytes) -> None:
    told = failure_of(status, NO_HEADERS, body)
    assert told.message
    assert told.problem().status >= 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "code",
                    "message",
                    "type",
                    "metadata",
                    "raw",
                    "detail",
                    "innererror",
                    "status",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(st.integers(300, 599), JSON)
def test_any_json_is_some_failure(status: int, body: Any) -> None:
    assert isinstance(failure(status, body), UpstreamFailure)
