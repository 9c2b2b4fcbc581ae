"""What a refusal by Google means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.errors import FAILURES, FailureKind
from fairlead.providers.google_failures import WAIT_S_MAX, failure_inside, failure_of
from tests.recordings import RecordedHeaders

NO_HEADERS = RecordedHeaders({})
KIND = FailureKind
RPC = "type.googleapis.com/google.rpc."


def refusal(status: int, word: str, message: str = "", *details: dict[str, Any]) -> bytes:
    error = {"code": status, "message": message, "status": word, "details": list(details)}
    return json.dumps({"error": error}).encode()


def reason(word: str) -> dict[str, Any]:
    return {"@type": f"{RPC}ErrorInfo", "reason": word, "domain": "googleapis.com"}


def quota(*ids: str) -> dict[str, Any]:
    return {"@type": f"{RPC}QuotaFailure", "violations": [{"quotaId": one} for one in ids]}


RETRY = {"@type": f"{RPC}RetryInfo", "retryDelay": "38.5s"}
PLAN = "You exceeded your current quota, please check your plan and billing details."


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        # by reason
        (
            400,
            refusal(400, "INVALID_ARGUMENT", "No.", reason("API_KEY_INVALID")),
            KIND.AUTHENTICATION,
        ),
        (
            403,
            refusal(403, "PERMISSION_DENIED", "No.", reason("SERVICE_DISABLED")),
            KIND.AUTHENTICATION,
        ),
        (
            403,
            refusal(403, "PERMISSION_DENIED", "No.", reason("BILLING_DISABLED")),
            KIND.OUT_OF_QUOTA,
        ),
        # by word
        (401, refusal(401, "UNAUTHENTICATED", "No credentials."), KIND.AUTHENTICATION),
        (403, refusal(403, "PERMISSION_DENIED", "Not yours."), KIND.AUTHENTICATION),
        (404, refusal(404, "NOT_FOUND", "models/x is not found"), KIND.MODEL_NOT_FOUND),
        (500, refusal(500, "INTERNAL", "Oops."), KIND.SERVER),
        (503, refusal(503, "UNAVAILABLE", "The model is overloaded."), KIND.OVERLOADED),
        (504, refusal(504, "DEADLINE_EXCEEDED", "Too slow."), KIND.TIMEOUT),
        (499, refusal(499, "CANCELLED", "Gone."), KIND.SERVER),
        (501, refusal(501, "UNIMPLEMENTED", "Not here."), KIND.BAD_REQUEST),
        # by message
        (400, refusal(400, "INVALID_ARGUMENT", "API key expired. Renew it."), KIND.AUTHENTICATION),
        (
            400,
            refusal(
                400,
                "INVALID_ARGUMENT",
                "The input token count (3475108) exceeds the maximum number of tokens allowed (1048576).",
            ),
            KIND.CONTEXT_LENGTH,
        ),
        (
            400,
            refusal(
                400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."
            ),
            KIND.TOO_LARGE,
        ),
        (
            400,
            refusal(400, "INVALID_ARGUMENT", "Unable to process input image. Please retry."),
            KIND.IMAGE,
        ),
        (
            400,
            refusal(
                400, "INVALID_ARGUMENT", "The prompt violated Google's Responsible AI practices."
            ),
            KIND.CONTENT_POLICY,
        ),
        (400, refusal(400, "INVALID_ARGUMENT", "Invalid value at 'contents'"), KIND.BAD_REQUEST),
        (
            400,
            refusal(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
            KIND.AUTHENTICATION,
        ),
        (
            400,
            refusal(400, "FAILED_PRECONDITION", "Please enable billing on your project."),
            KIND.OUT_OF_QUOTA,
        ),
        (404, refusal(404, "NOT_FOUND", "File files/abc not found."), KIND.BAD_REQUEST),
        # limits
        (429, refusal(429, "RESOURCE_EXHAUSTED", "Resource exhausted."), KIND.RATE_LIMIT),
        (429, refusal(429, "RESOURCE_EXHAUSTED", PLAN, RETRY), KIND.RATE_LIMIT),
        (429, refusal(429, "RESOURCE_EXHAUSTED", PLAN), KIND.OUT_OF_QUOTA),
        (
            429,
            refusal(429, "RESOURCE_EXHAUSTED", PLAN, quota("RequestsPerMinutePerProject"), RETRY),
            KIND.RATE_LIMIT,
        ),
        (
            429,
            refusal(
                429,
                "RESOURCE_EXHAUSTED",
                PLAN,
                quota("RequestsPerMinutePerProject", "RequestsPerDayPerProject"),
                RETRY,
            ),
            KIND.OUT_OF_QUOTA,
        ),
        (
            429,
            refusal(
                429, "RESOURCE_EXHAUSTED", f"{PLAN}\n* Quota exceeded, limit: 0, model: x", RETRY
            ),
            KIND.OUT_OF_QUOTA,
        ),
        (
            429,
            refusal(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
            KIND.OUT_OF_QUOTA,
        ),
        # in a list, and in no form at all
        (429, b"[" + refusal(429, "RESOURCE_EXHAUSTED") + b"]", KIND.RATE_LIMIT),
        (503, b"<html>Error 503</html>", KIND.OVERLOADED),
        (502, b"", KIND.SERVER),
        (413, b"too large", KIND.TOO_LARGE),
        (418, b"{}", KIND.BAD_REQUEST),
    ],
)
def test_a_refusal_means_what_it_says(status: int, body: bytes, kind: FailureKind) -> None:
    failure = failure_of(status, NO_HEADERS, body)
    assert failure.kind is kind
    assert failure.status == status
    assert failure.body == body


def test_a_caller_who_can_mend_the_request_reads_why() -> None:
    told = failure_of(400, NO_HEADERS, refusal(400, "INVALID_ARGUMENT", "Wrong field `x`."))
    assert told.message == "Wrong field `x`."
    assert told.provider_code == "INVALID_ARGUMENT"
    hidden = failure_of(403, NO_HEADERS, refusal(403, "PERMISSION_DENIED", "project-123 denied"))
    assert "project-123" not in hidden.message
    keyed = failure_of(
        400, NO_HEADERS, refusal(400, "INVALID_ARGUMENT", "No", reason("API_KEY_INVALID"))
    )
    assert keyed.provider_code == "API_KEY_INVALID"


@pytest.mark.parametrize(
    ("headers", "body", "wait_s"),
    [
        ({}, refusal(429, "RESOURCE_EXHAUSTED", "No.", RETRY), 38.5),
        ({"retry-after": "7"}, refusal(429, "RESOURCE_EXHAUSTED", "No."), 7.0),
        ({"retry-after": "7"}, refusal(429, "RESOURCE_EXHAUSTED", "No.", RETRY), 38.5),
        ({}, refusal(429, "RESOURCE_EXHAUSTED", "Please retry in 55.576s."), 55.576),
        (
            {},
            refusal(429, "RESOURCE_EXHAUSTED", "", {"@type": "x", "retryDelay": "99999s"}),
            WAIT_S_MAX,
        ),
        ({}, refusal(429, "RESOURCE_EXHAUSTED", "", {"@type": "x", "retryDelay": "soon"}), None),
        ({}, refusal(429, "RESOURCE_EXHAUSTED", "No."), None),
    ],
)
def test_a_hint_how_long_to_wait_is_kept(
    headers: dict[str, str], body: bytes, wait_s: float | None
) -> None:
    assert failure_of(429, RecordedHeaders(headers), body).retry_after_s == wait_s


def test_an_error_inside_an_answer_has_its_own_status() -> None:
    failure = failure_inside(json.loads(refusal(503, "UNAVAILABLE", "busy")))
    assert (failure.kind, failure.status) == (KIND.OVERLOADED, 503)
    unnamed = failure_inside({"error": {"message": "oops"}})
    assert (unnamed.kind, unnamed.status) == (KIND.SERVER, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["error", "code", "message", "status", "details", "reason", "violations", "quotaId",
             "retryDelay", "metadata"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(value=JSON, status=st.integers(400, 599))
def test_any_body_means_something(value: Any, status: int) -> None:
    failure = failure_of(status, NO_HEADERS, json.dumps(value).encode())
    assert failure.kind in FAILURES
    assert failure.message
