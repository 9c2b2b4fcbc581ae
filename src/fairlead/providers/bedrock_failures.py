"""What a refusal of Bedrock means, before an answer and inside a stream.

Bedrock names its errors: in the header `x-amzn-errortype` (`Name:namespace`), in the body's `__type`
(`namespace#Name`), or as the type of an exception in a stream, which begins with a small letter. Behind a
proxy the name may be lost; then the status and the message are left.

ValidationException is what the model itself refused, too, so there the message counts.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
(read 2026-11-21), and recorded traffic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.providers.base import ResponseHeaders
from fairlead.providers.failures import (
    BODY_BYTES_KEPT_MAX,
    CODE_CHARACTERS_MAX,
    precise_type,
    retry_after_s,
    shown_message,
    too_large,
)

__all__ = ["BY_NAME", "BY_STATUS", "failure_inside", "failure_of"]

_KIND = FailureKind

# By name, in small letters and without "exception".
BY_NAME: Final[Mapping[str, FailureKind]] = {
    "throttling": _KIND.RATE_LIMIT,
    "toomanyrequests": _KIND.RATE_LIMIT,
    "requestlimitexceeded": _KIND.RATE_LIMIT,
    "servicequotaexceeded": _KIND.RATE_LIMIT,  # a quota that fills again, not our money
    "limitexceeded": _KIND.RATE_LIMIT,
    "modelnotready": _KIND.OVERLOADED,
    "serviceunavailable": _KIND.OVERLOADED,
    "slowdown": _KIND.OVERLOADED,
    "modeltimeout": _KIND.TIMEOUT,
    "requesttimeout": _KIND.TIMEOUT,
    "modelerror": _KIND.SERVER,
    "modelstreamerror": _KIND.SERVER,
    "internalserver": _KIND.SERVER,
    "internalfailure": _KIND.SERVER,
    "resourcenotfound": _KIND.MODEL_NOT_FOUND,
    "unknownoperation": _KIND.MODEL_NOT_FOUND,
    "accessdenied": _KIND.AUTHENTICATION,
    "notauthorized": _KIND.AUTHENTICATION,
    "unauthorized": _KIND.AUTHENTICATION,
    "unrecognizedclient": _KIND.AUTHENTICATION,
    "invalidclienttokenid": _KIND.AUTHENTICATION,
    "expiredtoken": _KIND.AUTHENTICATION,
    "requestexpired": _KIND.AUTHENTICATION,
    "invalidsignature": _KIND.AUTHENTICATION,
    "signaturedoesnotmatch": _KIND.AUTHENTICATION,
    "incompletesignature": _KIND.AUTHENTICATION,
    "missingauthenticationtoken": _KIND.AUTHENTICATION,
    "optinrequired": _KIND.AUTHENTICATION,
    "serialization": _KIND.BAD_REQUEST,
    "conflict": _KIND.BAD_REQUEST,
    "validation": _KIND.BAD_REQUEST,
}
BY_STATUS: Final[Mapping[int, FailureKind]] = {
    401: _KIND.AUTHENTICATION,
    403: _KIND.AUTHENTICATION,
    404: _KIND.MODEL_NOT_FOUND,
    408: _KIND.TIMEOUT,
    413: _KIND.TOO_LARGE,
    424: _KIND.SERVER,
    429: _KIND.RATE_LIMIT,
    503: _KIND.OVERLOADED,
    504: _KIND.TIMEOUT,
}

# What the message of a refused request says. The first that matches counts.
_MESSAGES: Final[tuple[tuple[FailureKind, tuple[str, ...]], ...]] = (
    (
        _KIND.CONTEXT_LENGTH,
        (
            "(input|prompt) is too long",
            "too many input tokens",
            "input tokens? exceed",
            "exceeds? (the )?max(imum)? (length|number|tokens|input|context)",
            "(maximum )?context (length|limit|window)",
            "expected maxlength",
        ),
    ),
    (
        _KIND.MODEL_NOT_FOUND,
        (
            "on-demand throughput isn.t supported",
            "model identifier is invalid",
            "model.{0,120}(not found|does not exist|end of (its )?life|marked .{0,40}legacy)",
            "access to the model",
            "use case details have not been submitted",
            "operation not allowed",
            "not (available|supported) in (this|your) (region|account)",
        ),
    ),
    (
        _KIND.CONTENT_POLICY,
        (
            "content (filter|policy)",
            "blocked by .{0,30}(filter|guardrail|polic)",
            "usage polic",
            "responsible ai",
        ),
    ),
    (
        _KIND.IMAGE,
        (
            "(could not|cannot|unable to|failed to) (process|decode|read) .{0,20}image",
            "image.{0,60}(exceed|too (large|small|many)|invalid|corrupt|not (valid|supported)|match)",
            "invalid image",
        ),
    ),
    (_KIND.RATE_LIMIT, ("too many (tokens|requests)", "rate exceeded")),
)
_MEANINGS: Final = tuple(
    (re.compile("|".join(patterns), re.IGNORECASE), kind) for kind, patterns in _MESSAGES
)
_READ_FOR_MEANING: Final = frozenset({_KIND.BAD_REQUEST, _KIND.MODEL_NOT_FOUND})
_NO_ACCESS_TO_MODEL: Final = re.compile(
    r"access to the model|model access|legacy|not available for this account", re.IGNORECASE
)
_WANTS_NO_CACHE: Final = re.compile(r"prompt caching", re.IGNORECASE)


def failure_of(status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
    """What a response with an error status means. Any bytes are understood, if only by their status."""
    named, message = _read(body)
    name = _plain_name(headers.get("x-amzn-errortype") or named)
    kind = _kind_of(name, status, message)
    return UpstreamFailure(
        shown_message(kind, message),
        kind=kind,
        error_type=precise_type(kind, message, name),
        status=status,
        provider_code=name or None,
        retry_after_s=retry_after_s(headers),
        body=body[:BODY_BYTES_KEPT_MAX],
    )


def failure_inside(exception_type: str, payload: bytes) -> UpstreamFailure:
    """What an exception in a stream means. payload: its JSON body."""
    _, message = _read(payload)
    name = _plain_name(exception_type)
    kind = _kind_of(name, 500, message)
    return UpstreamFailure(
        shown_message(kind, message),
        kind=kind,
        error_type=precise_type(kind, message, name),
        provider_code=name[:1].upper() + name[1:] or None,
        body=payload[:BODY_BYTES_KEPT_MAX],
    )


def _kind_of(name: str, status: int, message: str) -> FailureKind:
    known = BY_NAME.get(name.lower().removesuffix("exception"))
    if known is _KIND.AUTHENTICATION:
        if _WANTS_NO_CACHE.search(message):
            return _KIND.BAD_REQUEST
        return _KIND.MODEL_NOT_FOUND if _NO_ACCESS_TO_MODEL.search(message) else known
    if known is None:
        known = too_large(message) if status == 413 else BY_STATUS.get(status)
    if known is None:
        known = _KIND.BAD_REQUEST if 400 <= status < 500 else _KIND.SERVER
    if known in _READ_FOR_MEANING:
        for pattern, kind in _MEANINGS:
            if pattern.search(message):
                return kind
    return known


def _plain_name(name: str) -> str:
    """`com.amazon#ThrottlingException` and `ThrottlingException:http://...` alike."""
    return name.partition(":")[0].rpartition("#")[2].strip()[:CODE_CHARACTERS_MAX]


def _read(body: bytes) -> tuple[str, str]:
    """(name, message) of an error body; "" for what it does not say."""
    try:
        fields = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(fields, dict):
        return "", ""
    name = fields.get("__type") or fields.get("code")
    message = fields.get("message") or fields.get("Message") or fields.get("originalMessage")
    return _text(name), _text(message)


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
