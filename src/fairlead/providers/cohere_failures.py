"""What a refusal of Cohere means, and an error that ends one of its answers.

A body says little: `{"id": ..., "message": "..."}`. The status is the kind, and the message refines it.

Source: https://docs.cohere.com/reference/errors (read 2026-11-21), and recorded traffic.
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

__all__ = ["BY_STATUS", "failure_at_end", "failure_of"]

_KIND = FailureKind

BY_STATUS: Final[Mapping[int, FailureKind]] = {
    401: _KIND.AUTHENTICATION,
    402: _KIND.OUT_OF_QUOTA,
    403: _KIND.AUTHENTICATION,
    404: _KIND.MODEL_NOT_FOUND,
    408: _KIND.TIMEOUT,
    413: _KIND.TOO_LARGE,
    429: _KIND.RATE_LIMIT,
    498: _KIND.AUTHENTICATION,  # "invalid token"
    499: _KIND.SERVER,  # it thinks that we hung up
    503: _KIND.OVERLOADED,
    504: _KIND.TIMEOUT,
}
# What a message says, by the kind that its status stands for. The first that matches counts.
_MESSAGES: Final[Mapping[FailureKind, tuple[tuple[re.Pattern[str], FailureKind], ...]]] = {
    _KIND.BAD_REQUEST: tuple(
        (re.compile(pattern, re.IGNORECASE), kind)
        for pattern, kind in (
            ("too many tokens|context (length|window)|too long", _KIND.CONTEXT_LENGTH),
            ("blocked (input|output)|content (policy|filter)|safety", _KIND.CONTENT_POLICY),
            (
                "model .{0,80}(not found|was removed|does not exist|deprecated)",
                _KIND.MODEL_NOT_FOUND,
            ),
            ("image.{0,60}(invalid|unsupported|could not|failed|too (large|small))", _KIND.IMAGE),
            ("(invalid|unsupported|could not (load|decode|download)) .{0,20}image", _KIND.IMAGE),
            ("invalid api (token|key)", _KIND.AUTHENTICATION),
        )
    ),
    _KIND.RATE_LIMIT: (
        # A trial's calls of the month are used up: waiting a minute does not help.
        (re.compile("calls / month|monthly|billing|spend", re.IGNORECASE), _KIND.OUT_OF_QUOTA),
    ),
}

# How an answer may end badly. Another endpoint's sampling may well do better.
_AT_END: Final[Mapping[str, FailureKind]] = {
    "TIMEOUT": _KIND.TIMEOUT,
    "ERROR_TOXIC": _KIND.CONTENT_POLICY,
}


def failure_of(status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
    """What a response with an error status means. Any bytes are understood, if only by their status."""
    message = _message(body)
    kind = _kind_of(status, message)
    return UpstreamFailure(
        shown_message(kind, message),
        kind=kind,
        error_type=precise_type(kind, message),
        status=status,
        retry_after_s=retry_after_s(headers),
        body=body[:BODY_BYTES_KEPT_MAX],
    )


def failure_at_end(finish_reason: str, error_type: str | None) -> UpstreamFailure:
    """What it means that an answer ended with an error."""
    kind = _AT_END.get(finish_reason, _KIND.SERVER)
    return UpstreamFailure(
        shown_message(kind, ""),
        kind=kind,
        provider_code=(error_type or finish_reason)[:CODE_CHARACTERS_MAX],
    )


def _kind_of(status: int, message: str) -> FailureKind:
    known = too_large(message) if status == 413 else BY_STATUS.get(status)
    if known is None:
        known = _KIND.BAD_REQUEST if 400 <= status < 500 else _KIND.SERVER
    for pattern, kind in _MESSAGES.get(known, ()):
        if pattern.search(message):
            return kind
    return known


def _message(body: bytes) -> str:
    try:
        fields = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return ""
    message = fields.get("message") if isinstance(fields, dict) else None
    return message.strip() if isinstance(message, str) else ""
