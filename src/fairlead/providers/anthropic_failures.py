"""What a refusal in the Anthropic Messages format means, whatever its status says.

`{"type": "error", "error": {"type": ..., "message": ...}, "request_id": ...}`, sometimes with a precise
`error.details.error_code`; a proxy in front may send a page or plain text instead. The same object comes as
the last event of a stream, without a status.

A meaning is looked for in this order: the precise code, the type, then the status. The type
`invalid_request_error` stands for too much to mean anything by itself: used-up credit, a prompt that is too
long, a bad image and a wrong field all have it, and only the message tells them apart.

Source: https://docs.claude.com/en/api/errors (read 2026-11-21), and refusals seen in the wild.
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

__all__ = ["BY_CODE", "BY_STATUS", "BY_TYPE", "failure_inside", "failure_of"]

_KIND = FailureKind

BY_CODE: Final[Mapping[str, FailureKind]] = {
    "image_dimensions_too_large": _KIND.IMAGE,
    "request_body_too_large_after_decoding": _KIND.TOO_LARGE,
    "contract_spend_limit_reached": _KIND.OUT_OF_QUOTA,
    "enforced_spend_limit_reached": _KIND.OUT_OF_QUOTA,
    "linked_organization_spend_limit_reached": _KIND.OUT_OF_QUOTA,
    "linked_organization_billing_unavailable": _KIND.OUT_OF_QUOTA,
    "user_profile_not_billable": _KIND.OUT_OF_QUOTA,
    "organization_on_hold": _KIND.AUTHENTICATION,
    "ramp_limit_exceeded": _KIND.RATE_LIMIT,
    "cmek_key_disabled": _KIND.SERVER,
    "cmek_key_unreachable": _KIND.SERVER,
    "cmek_key_network_blocked": _KIND.SERVER,
    "cmek_context_unavailable": _KIND.SERVER,
}

BY_TYPE: Final[Mapping[str, FailureKind]] = {
    "authentication_error": _KIND.AUTHENTICATION,
    "permission_error": _KIND.AUTHENTICATION,
    "billing_error": _KIND.OUT_OF_QUOTA,
    "not_found_error": _KIND.MODEL_NOT_FOUND,
    "request_too_large": _KIND.TOO_LARGE,
    "rate_limit_error": _KIND.RATE_LIMIT,
    "overloaded_error": _KIND.OVERLOADED,
    "timeout_error": _KIND.TIMEOUT,
    "api_error": _KIND.SERVER,
}

BY_STATUS: Final[Mapping[int, FailureKind]] = {
    401: _KIND.AUTHENTICATION,
    402: _KIND.OUT_OF_QUOTA,
    403: _KIND.AUTHENTICATION,
    404: _KIND.MODEL_NOT_FOUND,
    408: _KIND.TIMEOUT,
    413: _KIND.TOO_LARGE,
    429: _KIND.RATE_LIMIT,
    503: _KIND.OVERLOADED,
    504: _KIND.TIMEOUT,
    524: _KIND.TIMEOUT,
    529: _KIND.OVERLOADED,
}

# What only a message says. The first that matches counts.
_MESSAGES: Final[tuple[tuple[FailureKind, tuple[str, ...]], ...]] = (
    (
        _KIND.OUT_OF_QUOTA,
        (
            "credit balance is too low",
            "reached your specified .{0,20}usage limits",
            "insufficient credits?",
            "spend(ing)? limit",
        ),
    ),
    (
        _KIND.CONTEXT_LENGTH,
        (
            "prompt is too long",
            "exceeds? (the )?(model's )?(maximum )?context",
            "context (window|length) (is )?exceeded",
            "too many total text bytes",
            "maximum of [0-9,]+ pdf pages",
        ),
    ),
    (
        _KIND.CONTENT_POLICY,
        (
            "content filter",
            "(usage|content|acceptable use) polic",
        ),
    ),
    (
        _KIND.IMAGE,
        (
            r"\.image\.source",
            "image (dimensions|exceeds|was specified|does not match)",
            "(could not|unable to|failed to) (process|download|load|decode|fetch) (the )?image",
        ),
    ),
    (
        _KIND.AUTHENTICATION,
        (
            "organization has been disabled",
            "credential is only authorized",
            "x-api-key",
        ),
    ),
    (
        _KIND.MODEL_NOT_FOUND,
        (
            "^model:",
            r"model .{0,80}\b(is not available|does not exist|not found|retired|no longer)",
        ),
    ),
)
_REFUSALS: Final = tuple(
    (re.compile("|".join(patterns), re.IGNORECASE), kind) for kind, patterns in _MESSAGES
)
# Other things than models are looked for by the names in a request.
_NOT_THE_MODEL: Final = re.compile(r"\b(file|container|skill|thread)s?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Said:
    """What an error body says. type, code: its words, "" where it has none."""

    message: str = ""
    type: str = ""
    code: str = ""


def failure_of(status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
    """What a response with an error status means. Any bytes are understood, if only by their status."""
    said = _read(body)
    kind = _kind_of(status, said)
    return UpstreamFailure(
        shown_message(kind, said.message),
        kind=kind,
        error_type=precise_type(kind, said.message, _provider_code(said) or ""),
        status=status,
        provider_code=_provider_code(said),
        retry_after_s=retry_after_s(headers),
        body=body[:BODY_BYTES_KEPT_MAX],
    )


def failure_inside(fields: Mapping[str, object]) -> UpstreamFailure:
    """What an error under status 200 means: an `error` event, or a body that is one."""
    said = _said(fields)
    kind = _kind_of(None, said)
    return UpstreamFailure(
        shown_message(kind, said.message),
        kind=kind,
        error_type=precise_type(kind, said.message, _provider_code(said) or ""),
        provider_code=_provider_code(said),
    )


def _kind_of(status: int | None, said: _Said) -> FailureKind:
    precise = BY_CODE.get(said.code)
    if precise is not None:
        return precise
    if said.type == "not_found_error" and _NOT_THE_MODEL.search(said.message):
        return _KIND.BAD_REQUEST
    if said.type == "api_error" and said.message.lower() == "overloaded":
        return _KIND.OVERLOADED
    known = BY_TYPE.get(said.type)
    if known is None and said.type != "invalid_request_error":
        known = too_large(said.message) if status == 413 else BY_STATUS.get(status or 0)
    if known is not None:
        return known
    if status is None or 400 <= status < 500:
        for pattern, kind in _REFUSALS:
            if pattern.search(said.message):
                return kind
    if status is None:
        return _KIND.BAD_REQUEST if said.type == "invalid_request_error" else _KIND.SERVER
    return _KIND.BAD_REQUEST if 400 <= status < 500 else _KIND.SERVER


def _provider_code(said: _Said) -> str | None:
    return (said.code or said.type)[:CODE_CHARACTERS_MAX] or None


def _read(body: bytes) -> _Said:
    try:
        fields = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        text = body[: MESSAGE_CHARACTERS_MAX * 4].decode("utf-8", "replace").strip()
        is_markup = text.startswith("<")  # a proxy's page says nothing to a caller
        return _Said() if is_markup else _Said(text)
    return _said(fields) if isinstance(fields, dict) else _Said()


def _said(fields: Mapping[str, object]) -> _Said:
    error = fields.get("error")
    inner: Mapping[str, object] = error if isinstance(error, dict) else fields
    details = inner.get("details")
    kind = _text(inner.get("type"))
    return _Said(
        message=_text(inner.get("message")) or _text(error) or _text(fields.get("message")),
        type="" if kind == "error" else kind,
        code=_text(details.get("error_code")) if isinstance(details, dict) else "",
    )


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
