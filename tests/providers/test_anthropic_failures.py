"""What refusals in the Messages format mean, whatever their status says; and what a caller may read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.providers.anthropic_failures import failure_inside, failure_of
from tests.recordings import RecordedHeaders, Recording, load_native

K = FailureKind
REFUSALS = [case for case in load_native("anthropic") if case.status != 200]


def error(kind: str, message: str = "No.", code: str | None = None) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": kind, "message": message}
    if code is not None:
        fields["details"] = {"error_code": code}
    return {"type": "error", "error": fields, "request_id": "req_1"}


def failure(
    status: int, body: dict[str, Any] | bytes, headers: dict[str, str] | None = None
) -> UpstreamFailure:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return failure_of(status, RecordedHeaders(headers or {}), raw)


INVALID = "invalid_request_error"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error(INVALID, "max_tokens: Field required"), K.BAD_REQUEST),
        (
            400,
            error(INVALID, "prompt is too long: 210000 tokens > 200000 maximum"),
            K.CONTEXT_LENGTH,
        ),
        (
            400,
            error(INVALID, "input length and `max_tokens` exceed context limit: 1 + 2 > 2"),
            K.CONTEXT_LENGTH,
        ),
        (413, error("request_too_large", "Request exceeds the maximum size"), K.TOO_LARGE),
        (413, b"<html>413 Request Entity Too Large</html>", K.TOO_LARGE),
        (
            400,
            error(INVALID, "Your credit balance is too low to access the Anthropic API."),
            K.OUT_OF_QUOTA,
        ),
        (
            400,
            error(INVALID, "You have reached your specified API usage limits."),
            K.OUT_OF_QUOTA,
        ),
        (402, error("billing_error"), K.OUT_OF_QUOTA),
        (403, error("permission_error", "No.", "enforced_spend_limit_reached"), K.OUT_OF_QUOTA),
        (
            400,
            error(INVALID, "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum"),
            K.IMAGE,
        ),
        (400, error(INVALID, "Could not process image"), K.IMAGE),
        (400, error(INVALID, "Too big.", "image_dimensions_too_large"), K.IMAGE),
        (400, error(INVALID, "Output blocked by content filtering policy"), K.CONTENT_POLICY),
        (400, error(INVALID, "This organization has been disabled."), K.AUTHENTICATION),
        (401, error("authentication_error", "invalid x-api-key"), K.AUTHENTICATION),
        (403, error("permission_error"), K.AUTHENTICATION),
        (404, error("not_found_error", "model: claude-0"), K.MODEL_NOT_FOUND),
        (404, error("not_found_error", "File not found: file_1"), K.BAD_REQUEST),
        (404, b"", K.MODEL_NOT_FOUND),
        (408, b"", K.TIMEOUT),
        (409, error("conflict_error"), K.BAD_REQUEST),
        (429, error("rate_limit_error"), K.RATE_LIMIT),
        (500, error("api_error", "Internal server error"), K.SERVER),
        (500, error("api_error", "Overloaded"), K.OVERLOADED),
        (502, b"<html>bad gateway</html>", K.SERVER),
        (503, b"", K.OVERLOADED),
        (504, error("timeout_error"), K.TIMEOUT),
        (529, error("overloaded_error", "Overloaded"), K.OVERLOADED),
        (529, b"", K.OVERLOADED),
        (418, b"", K.BAD_REQUEST),
    ],
)
def test_a_refusal_is_understood_by_its_meaning(
    status: int, body: dict[str, Any] | bytes, kind: FailureKind
) -> None:
    found = failure(status, body)
    assert found.kind is kind
    assert found.status == status


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (error("overloaded_error", "Overloaded"), K.OVERLOADED),
        (error("api_error", "Internal server error"), K.SERVER),
        (error("rate_limit_error"), K.RATE_LIMIT),
        (error("timeout_error"), K.TIMEOUT),
        (error(INVALID, "Output blocked by content filtering policy"), K.CONTENT_POLICY),
        (error(INVALID, "messages: wrong"), K.BAD_REQUEST),
        (error("new_error"), K.SERVER),
        ({"type": "error"}, K.SERVER),
        ({"error": "out of service"}, K.SERVER),
    ],
)
def test_an_error_inside_an_answer_is_understood_without_a_status(
    event: dict[str, Any], kind: FailureKind
) -> None:
    found = failure_inside(event)
    assert (found.kind, found.status) == (kind, None)


def expected_kind(case: Recording) -> FailureKind:
    """By eye: what the recorded words mean."""
    text = case.body.decode()
    meanings = {
        "prompt is too long": K.CONTEXT_LENGTH,
        "invalid x-api-key": K.AUTHENTICATION,
        "model: ": K.MODEL_NOT_FOUND,
        "non-empty content": K.BAD_REQUEST,
        "does not support effort": K.BAD_REQUEST,
    }
    return next(kind for words, kind in meanings.items() if words in text)


def test_there_are_recorded_refusals() -> None:
    assert len(REFUSALS) > 15


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in REFUSALS])
def test_a_recorded_refusal_is_understood(case: Recording) -> None:
    found = failure_of(case.status, case.headers, case.body)
    assert found.kind is expected_kind(case)
    said = json.loads(case.body)["error"]
    assert found.provider_code == said["type"]
    is_shown = found.kind in (K.CONTEXT_LENGTH, K.BAD_REQUEST)
    assert (found.message == said["message"]) is is_shown


def test_the_hint_when_to_retry_is_kept() -> None:
    assert failure(429, error("rate_limit_error"), {"retry-after": "7"}).retry_after_s == 7
    assert failure(529, error("overloaded_error"), {}).retry_after_s is None


def test_the_precise_code_is_shown_before_the_type() -> None:
    body = error("permission_error", "No.", "contract_spend_limit_reached")
    assert failure(403, body).provider_code == "contract_spend_limit_reached"
    assert failure(403, error("permission_error")).provider_code == "permission_error"
    assert failure(502, b"<html>").provider_code is None


def test_what_is_between_us_and_the_provider_is_not_shown() -> None:
    secret = "Your credit balance is too low; see account 123"
    assert "123" not in failure(400, error(INVALID, secret)).message
    assert b"123" in failure(400, error(INVALID, secret)).body


@given(status=st.integers(300, 599), body=st.binary(max_size=100))
def test_any_bytes_are_understood(status: int, body: bytes) -> None:
    assert failure(status, body).kind in FailureKind
