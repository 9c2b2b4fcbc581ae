"""What Bedrock's refusals mean."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.errors import FAILURES, FailureKind, UpstreamFailure
from fairlead.providers.bedrock_failures import failure_of
from tests.recordings import RecordedHeaders

KIND = FailureKind


def refuse(
    status: int, name: str = "", message: str = "", *, in_body: bool = False
) -> UpstreamFailure:
    headers = {} if in_body or not name else {"x-amzn-errortype": f"{name}:http://internal.test/"}
    body = {"message": message, **({"__type": f"com.test#{name}"} if in_body else {})}
    return failure_of(status, RecordedHeaders(headers), json.dumps(body).encode())


@pytest.mark.parametrize("in_body", [False, True])
@pytest.mark.parametrize(
    ("status", "name", "message", "kind"),
    [
        (429, "ThrottlingException", "Too many tokens, please wait.", KIND.RATE_LIMIT),
        (400, "ThrottlingException", "Rate exceeded", KIND.RATE_LIMIT),
        (400, "ServiceQuotaExceededException", "Your quota", KIND.RATE_LIMIT),
        (429, "ModelNotReadyException", "The model is not ready", KIND.OVERLOADED),
        (503, "ServiceUnavailableException", "", KIND.OVERLOADED),
        (500, "InternalServerException", "", KIND.SERVER),
        (424, "ModelErrorException", "The model failed", KIND.SERVER),
        (408, "ModelTimeoutException", "", KIND.TIMEOUT),
        (
            404,
            "ResourceNotFoundException",
            "This model version has reached the end of its life.",
            KIND.MODEL_NOT_FOUND,
        ),
        (
            404,
            "ResourceNotFoundException",
            "Model use case details have not been submitted for this account.",
            KIND.MODEL_NOT_FOUND,
        ),
        (
            403,
            "AccessDeniedException",
            "You don't have access to the model with the specified model ID.",
            KIND.MODEL_NOT_FOUND,
        ),
        (
            403,
            "AccessDeniedException",
            "User is not authorized to perform: bedrock:InvokeModel",
            KIND.AUTHENTICATION,
        ),
        (
            403,
            "AccessDeniedException",
            "Your request did not allow prompt caching.",
            KIND.BAD_REQUEST,
        ),
        (
            403,
            "ExpiredTokenException",
            "The security token included in the request is expired",
            KIND.AUTHENTICATION,
        ),
        (403, "UnrecognizedClientException", "The security token is invalid.", KIND.AUTHENTICATION),
        (
            403,
            "InvalidSignatureException",
            "The request signature does not match",
            KIND.AUTHENTICATION,
        ),
        (403, "IncompleteSignature", "", KIND.AUTHENTICATION),
        (400, "ValidationException", "Input is too long for requested model.", KIND.CONTEXT_LENGTH),
        (
            400,
            "ValidationException",
            "The model returned the following errors: prompt is too long: 210000 tokens > 200000 maximum",
            KIND.CONTEXT_LENGTH,
        ),
        (
            400,
            "ValidationException",
            "input length and `max_tokens` exceed context limit: 1 + 2 > 3",
            KIND.CONTEXT_LENGTH,
        ),
        (
            400,
            "ValidationException",
            "Invocation of model ID anthropic.x with on-demand throughput isn\u2019t supported. Retry",
            KIND.MODEL_NOT_FOUND,
        ),
        (400, "ValidationException", "Operation not allowed", KIND.MODEL_NOT_FOUND),
        (
            400,
            "ValidationException",
            "The provided model identifier is invalid.",
            KIND.MODEL_NOT_FOUND,
        ),
        (
            400,
            "ValidationException",
            "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum",
            KIND.IMAGE,
        ),
        (
            400,
            "ValidationException",
            "The model returned the following errors: Could not process image",
            KIND.IMAGE,
        ),
        (
            400,
            "ValidationException",
            "Output blocked by content filtering policy",
            KIND.CONTENT_POLICY,
        ),
        (400, "ValidationException", "1 validation error detected", KIND.BAD_REQUEST),
        (400, "SerializationException", "", KIND.BAD_REQUEST),
    ],
)
def test_a_name_and_a_message_have_their_meaning(
    status: int, name: str, message: str, kind: FailureKind, *, in_body: bool
) -> None:
    failure = refuse(status, name, message, in_body=in_body)
    assert failure.kind is kind
    assert (failure.provider_code, failure.status) == (name, status)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, KIND.BAD_REQUEST),
        (401, KIND.AUTHENTICATION),
        (403, KIND.AUTHENTICATION),
        (404, KIND.MODEL_NOT_FOUND),
        (408, KIND.TIMEOUT),
        (413, KIND.TOO_LARGE),
        (424, KIND.SERVER),
        (429, KIND.RATE_LIMIT),
        (500, KIND.SERVER),
        (502, KIND.SERVER),
        (503, KIND.OVERLOADED),
        (504, KIND.TIMEOUT),
    ],
)
def test_without_a_name_the_status_counts(status: int, kind: FailureKind) -> None:
    assert refuse(status).kind is kind
    assert failure_of(status, RecordedHeaders({}), b"<html>").kind is kind


def test_only_what_the_caller_can_mend_is_shown() -> None:
    assert refuse(400, "ValidationException", "Bad field").message == "Bad field"
    secret = "User arn:aws:iam::123:user/x is not authorized"
    assert "arn" not in refuse(403, "AccessDeniedException", secret).message


def test_a_hint_to_wait_is_kept() -> None:
    headers = RecordedHeaders({"retry-after": "7"})
    assert failure_of(429, headers, b"{}").retry_after_s == 7


@given(st.integers(300, 599), st.binary(max_size=100), st.text(max_size=30))
def test_any_refusal_has_a_meaning(status: int, body: bytes, name: str) -> None:
    failure = failure_of(status, RecordedHeaders({"x-amzn-errortype": name}), body)
    assert failure.kind in FAILURES
