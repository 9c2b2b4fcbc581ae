"""What a refusal by Google means: `google.rpc.Status`, whatever the HTTP status says.

`{"error": {"code": 400, "message": "...", "status": "INVALID_ARGUMENT", "details": [...]}}`, sometimes in a
list of one. A meaning is looked for in this order: the reason in `ErrorInfo`, the word in `status` (with the
message, where one word says many things), then the HTTP status.

`RESOURCE_EXHAUSTED` says two things: a limit per minute, that passes by itself, and a plan or credit that is
used up. The violated quota tells them apart; where none is named, a wait that is named means the first.

Sources (read 2026-11-21): https://cloud.google.com/apis/design/errors,
https://ai.google.dev/gemini-api/docs/troubleshooting, https://ai.google.dev/gemini-api/docs/rate-limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.providers.base import ResponseHeaders
from fairlead.providers.failures import (
    BODY_BYTES_KEPT_MAX,
    CODE_CHARACTERS_MAX,
    MESSAGE_CHARACTERS_MAX,
    precise_type,
    retry_after_s,
    shown_message,
    too_large,
)

__all__ = ["BY_REASON", "BY_STATUS", "BY_WORD", "failure_inside", "failure_of"]

DETAILS_MAX: Final = 32
WAIT_S_MAX: Final = 3600.0  # a longer hint is as good as "not soon"

_KIND = FailureKind

BY_REASON: Final[Mapping[str, FailureKind]] = {
    "API_KEY_INVALID": _KIND.AUTHENTICATION,
    "API_KEY_EXPIRED": _KIND.AUTHENTICATION,
    "API_KEY_SERVICE_BLOCKED": _KIND.AUTHENTICATION,
    "API_KEY_HTTP_REFERRER_BLOCKED": _KIND.AUTHENTICATION,
    "API_KEY_IP_ADDRESS_BLOCKED": _KIND.AUTHENTICATION,
    "ACCESS_TOKEN_EXPIRED": _KIND.AUTHENTICATION,
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": _KIND.AUTHENTICATION,
    "ACCESS_TOKEN_TYPE_UNSUPPORTED": _KIND.AUTHENTICATION,
    "ACCOUNT_STATE_INVALID": _KIND.AUTHENTICATION,
    "CONSUMER_INVALID": _KIND.AUTHENTICATION,
    "CONSUMER_SUSPENDED": _KIND.AUTHENTICATION,
    "CREDENTIALS_MISSING": _KIND.AUTHENTICATION,
    "IAM_PERMISSION_DENIED": _KIND.AUTHENTICATION,
    "SERVICE_DISABLED": _KIND.AUTHENTICATION,
    "USER_PROJECT_DENIED": _KIND.AUTHENTICATION,
    "BILLING_DISABLED": _KIND.OUT_OF_QUOTA,
}
BY_WORD: Final[Mapping[str, FailureKind]] = {
    "INVALID_ARGUMENT": _KIND.BAD_REQUEST,
    "FAILED_PRECONDITION": _KIND.BAD_REQUEST,
    "OUT_OF_RANGE": _KIND.BAD_REQUEST,
    "ALREADY_EXISTS": _KIND.BAD_REQUEST,
    "UNIMPLEMENTED": _KIND.BAD_REQUEST,
    "UNAUTHENTICATED": _KIND.AUTHENTICATION,
    "PERMISSION_DENIED": _KIND.AUTHENTICATION,
    "NOT_FOUND": _KIND.MODEL_NOT_FOUND,
    "RESOURCE_EXHAUSTED": _KIND.RATE_LIMIT,
    "UNAVAILABLE": _KIND.OVERLOADED,
    "DEADLINE_EXCEEDED": _KIND.TIMEOUT,
    "CANCELLED": _KIND.SERVER,
    "ABORTED": _KIND.SERVER,
    "INTERNAL": _KIND.SERVER,
    "UNKNOWN": _KIND.SERVER,
    "DATA_LOSS": _KIND.SERVER,
}
BY_STATUS: Final[Mapping[int, FailureKind]] = {
    401: _KIND.AUTHENTICATION,
    402: _KIND.OUT_OF_QUOTA,
    403: _KIND.AUTHENTICATION,
    404: _KIND.MODEL_NOT_FOUND,
    408: _KIND.TIMEOUT,
    413: _KIND.TOO_LARGE,
    429: _KIND.RATE_LIMIT,
    499: _KIND.SERVER,
    503: _KIND.OVERLOADED,
    504: _KIND.TIMEOUT,
}

# What only a message says, for requests that were refused as such. The first that matches counts.
_MESSAGES: Final[tuple[tuple[FailureKind, tuple[str, ...]], ...]] = (
    (
        _KIND.CONTEXT_LENGTH,
        (
            "token count.{0,80}exceeds the maximum",
            "exceeds? the maximum number of (input )?tokens",
            "(input|prompt|context).{0,30} too (long|large)",
        ),
    ),
    (
        _KIND.AUTHENTICATION,
        (
            "api[ -]?key.{0,40}(not valid|invalid|expired|not found|leaked|suspended|missing)",
            "(location|region|country) is not supported",
        ),
    ),
    (_KIND.OUT_OF_QUOTA, ("enable billing", "billing (to be|is not) enabled", "billing account")),
    (
        _KIND.CONTENT_POLICY,
        (
            "responsible ai",
            "usage guidelines",
            "prohibited (content|use)",
            "blocked (by|due to|for).{0,40}(safety|policy|filter|content)",
            "safety (filter|reasons|settings? block)",
        ),
    ),
    (
        _KIND.IMAGE,
        (
            "unable to process (the )?(input )?image",
            "image.{0,60}(is )?(not valid|invalid|unsupported|corrupt|too (large|small))",
            "unsupported mime type: image",
        ),
    ),
    (_KIND.MODEL_NOT_FOUND, ("models?/?.{0,120}(is|was) not found",)),
)
_REFUSALS: Final = tuple(
    (re.compile("|".join(patterns), re.IGNORECASE), kind) for kind, patterns in _MESSAGES
)
_REFUSED_AS_SUCH: Final = frozenset({_KIND.BAD_REQUEST, _KIND.AUTHENTICATION})
_NOT_A_MODEL: Final = re.compile(r"\b(file|cached ?content)s?\b[^.]{0,120}not found", re.IGNORECASE)
_USED_UP: Final = re.compile(
    r"credits?.{0,30}(depleted|used up|exhausted)|spend(ing)? (cap|limit)|billing account",
    re.IGNORECASE,
)
_PAYLOAD: Final = re.compile(r"payload size exceeds", re.IGNORECASE)
_PLAN: Final = re.compile("check your plan and billing", re.IGNORECASE)
_NO_QUOTA_AT_ALL: Final = re.compile(r"\blimit: 0\b")
_RETRY_IN: Final = re.compile(r"retry in (\d+(?:\.\d+)?)s", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Said:
    """What an error says. word: of `google.rpc.Code`; reasons: of `ErrorInfo`; quotas: those violated."""

    message: str = ""
    word: str = ""
    status: int | None = None
    reasons: tuple[str, ...] = ()
    quotas: tuple[str, ...] = ()
    wait_s: float | None = None


def failure_of(status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
    """What a response with an error status means. Any bytes are understood, if only by their status."""
    said = _read(body)
    return _failure(status, said, hint_s=retry_after_s(headers), body=body)


def failure_inside(fields: Mapping[str, object]) -> UpstreamFailure:
    """What an error under status 200 means: its own code is the status."""
    said = _said(fields)
    failure = _failure(said.status or 502, said, hint_s=None, body=b"")
    failure.status = said.status
    return failure


def _failure(status: int, said: _Said, *, hint_s: float | None, body: bytes) -> UpstreamFailure:
    kind = _kind_of(status, said)
    code = next(iter(said.reasons), "") or said.word
    wait_s = said.wait_s if said.wait_s is not None else hint_s
    return UpstreamFailure(
        shown_message(kind, said.message),
        kind=kind,
        error_type=precise_type(kind, said.message, code),
        status=status,
        provider_code=code[:CODE_CHARACTERS_MAX] or None,
        retry_after_s=wait_s,
        body=body[:BODY_BYTES_KEPT_MAX],
    )


def _kind_of(status: int, said: _Said) -> FailureKind:
    for reason in said.reasons:
        if reason in BY_REASON:
            return BY_REASON[reason]
    kind = BY_WORD.get(said.word) or BY_STATUS.get(status)
    if status == 413 or _PAYLOAD.search(said.message):
        return too_large(said.message)
    if kind is None:
        kind = _KIND.BAD_REQUEST if 400 <= status < 500 else _KIND.SERVER
    if kind is _KIND.RATE_LIMIT:
        return _limit(said)
    if kind is _KIND.MODEL_NOT_FOUND and _NOT_A_MODEL.search(said.message):
        return _KIND.BAD_REQUEST
    if kind in _REFUSED_AS_SUCH:
        for pattern, meant in _REFUSALS:
            if pattern.search(said.message):
                return meant
    return kind


def _limit(said: _Said) -> FailureKind:
    """A limit that passes by itself, or a plan that is used up."""
    if _USED_UP.search(said.message) or _NO_QUOTA_AT_ALL.search(said.message):
        return _KIND.OUT_OF_QUOTA
    if said.quotas:
        lasts = any("PerDay" in quota or "PerMonth" in quota for quota in said.quotas)
        return _KIND.OUT_OF_QUOTA if lasts else _KIND.RATE_LIMIT
    if _PLAN.search(said.message) and said.wait_s is None:
        return _KIND.OUT_OF_QUOTA
    return _KIND.RATE_LIMIT


# --- reading ------------------------------------------------------------------------------------------------


def _read(body: bytes) -> _Said:
    try:
        fields = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        text = body[: MESSAGE_CHARACTERS_MAX * 4].decode("utf-8", "replace").strip()
        is_markup = text.startswith("<")  # a proxy's page says nothing to a caller
        return _Said("" if is_markup else text)
    if isinstance(fields, list) and fields:
        fields = fields[0]
    return _said(fields) if isinstance(fields, dict) else _Said()


def _said(fields: Mapping[str, object]) -> _Said:
    error = fields.get("error")
    if isinstance(error, str):
        return _Said(error)
    inner = error if isinstance(error, dict) else fields
    message, word, code = inner.get("message"), inner.get("status"), inner.get("code")
    text = message.strip() if isinstance(message, str) else ""
    details = inner.get("details")
    reasons: list[str] = []
    quotas: list[str] = []
    wait_s = _told_wait(text)
    for detail in (details if isinstance(details, list) else [])[:DETAILS_MAX]:
        if not isinstance(detail, dict):
            continue
        if isinstance(reason := detail.get("reason"), str):
            reasons.append(reason)
        quotas += _violated(detail)
        delay_s = _seconds(detail.get("retryDelay"))
        wait_s = wait_s if delay_s is None else delay_s
    has_status = isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599
    return _Said(
        message=text,
        word=word if isinstance(word, str) else "",
        status=code if has_status and isinstance(code, int) else None,
        reasons=tuple(reasons),
        quotas=tuple(quotas),
        wait_s=wait_s,
    )


def _violated(detail: Mapping[str, object]) -> list[str]:
    """Names of the quotas that a `QuotaFailure`, or an `ErrorInfo` about one, holds."""
    violations = detail.get("violations")
    names: list[object] = [
        violation.get("quotaId")
        for violation in (violations if isinstance(violations, list) else [])[:DETAILS_MAX]
        if isinstance(violation, dict)
    ]
    metadata = detail.get("metadata")
    if isinstance(metadata, dict):
        names.append(metadata.get("quota_limit"))
    return [name for name in names if isinstance(name, str)]


def _told_wait(message: str) -> float | None:
    told = _RETRY_IN.search(message)
    return min(float(told[1]), WAIT_S_MAX) if told else None


def _seconds(text: object) -> float | None:
    """ "38s", or "38" of a header. A date is of no use here: pure code has no clock."""
    if not isinstance(text, str):
        return None
    try:
        value = float(text.removesuffix("s"))
    except ValueError:
        return None
    return min(value, WAIT_S_MAX) if 0 <= value < float("inf") else None
