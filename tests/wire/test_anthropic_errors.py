"""Errors as callers of the Messages format know them."""

from __future__ import annotations

import pytest

from fairlead.core.errors import HTTP_STATUS, Availability, ErrorType, Problem, RequestInvalid
from fairlead.wire.anthropic_errors import error_word, problem_fields

# What the official SDKs and the published document list.
WORDS = {
    "invalid_request_error", "authentication_error", "permission_error", "not_found_error",
    "rate_limit_error", "api_error", "overloaded_error", "billing_error", "timeout_error",
}  # fmt: skip


@pytest.mark.parametrize(
    ("error_type", "word"),
    [
        (ErrorType.AUTHENTICATION, "authentication_error"),
        (ErrorType.PAYMENT_REQUIRED, "billing_error"),
        (ErrorType.PERMISSION_DENIED, "permission_error"),
        (ErrorType.NOT_FOUND, "not_found_error"),
        (ErrorType.RATE_LIMIT_EXCEEDED, "rate_limit_error"),
        (ErrorType.PROVIDER_OVERLOADED, "overloaded_error"),
        (ErrorType.PROVIDER_UNAVAILABLE, "api_error"),
        (ErrorType.SERVER, "api_error"),
        (ErrorType.TIMEOUT, "timeout_error"),
        (ErrorType.CONTEXT_LENGTH_EXCEEDED, "invalid_request_error"),
        (ErrorType.PAYLOAD_TOO_LARGE, "invalid_request_error"),
    ],
)
def test_each_meaning_has_its_word(error_type: ErrorType, word: str) -> None:
    assert error_word(error_type) == word


def test_every_meaning_has_a_word_that_callers_know() -> None:
    for error_type, status in HTTP_STATUS.items():
        word = error_word(error_type)
        assert word in WORDS
        assert (word in ("api_error", "overloaded_error", "timeout_error")) == (status >= 500)


def test_the_envelope_is_the_documented_one() -> None:
    problem = Problem(429, ErrorType.RATE_LIMIT_EXCEEDED, "Slowly.", {"provider_name": "A"})
    assert problem_fields(problem, "gen-1") == {
        "type": "error",
        "error": {
            "type": "rate_limit_error",
            "message": "Slowly.",
            "error_type": "rate_limit_exceeded",
        },
        "request_id": "gen-1",
        "metadata": {"provider_name": "A"},
    }


def test_a_call_that_was_never_made_has_no_id() -> None:
    problem = RequestInvalid("Wrong.", param="model").problem()
    assert problem_fields(problem, None)["request_id"] is None
    assert problem_fields(problem, "")["request_id"] is None
    assert "metadata" not in problem_fields(problem, None)


def test_a_fault_of_ours_says_nothing_about_its_cause() -> None:
    problem = Problem(500, ErrorType.SERVER, "psql: secret", {"provider_code": "x"})
    told = str(problem_fields(problem, "gen-1"))
    assert "secret" not in told
    assert "provider_code" not in told


def test_availability_is_told_inside_the_error() -> None:
    availability = Availability("capacity_exhausted", True, ("a/b",), retry_after_s=3)
    problem = RequestInvalid("None left.", availability=availability).problem()
    error = problem_fields(problem, None)["error"]
    assert isinstance(error, dict)
    assert error["http_status"] == 400
    assert error["availability"]["code"] == "capacity_exhausted"
    assert error["availability"]["retry_after"] == 3
