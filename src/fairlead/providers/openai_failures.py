"""What a refusal in the OpenAI format means, whatever its status says.

The shapes seen: `{"error": {...}}` (most), `{"error": "text", "code": "text"}` (xAI), an error in a list
(Google), `{"message": ..., "statusCode": ...}` (AI/ML API), `{"detail": ...}` (Python servers), and an
upstream's own body as text in `error.metadata.raw` (OpenRouter). `code` may be a word, a number, a number
as text, null or absent.

A meaning is looked for in this order: the provider's words for it, then what the message says, then the
status. Messages are only matched for what no provider gives a word for.
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

__all__ = ["BY_STATUS", "BY_WORD", "failure_inside", "failure_of"]

_KIND = FailureKind

BY_WORD: Final[Mapping[str, FailureKind]] = {
    "context_length_exceeded": _KIND.CONTEXT_LENGTH,
    "too_many_prompt_tokens": _KIND.CONTEXT_LENGTH,
    "string_above_max_length": _KIND.CONTEXT_LENGTH,
    "request_too_large": _KIND.TOO_LARGE,
    "context_window_exceeded": _KIND.CONTEXT_LENGTH,
    "exceed_context_size_error": _KIND.CONTEXT_LENGTH,
    "1261": _KIND.CONTEXT_LENGTH,
    "content_policy_violation": _KIND.CONTENT_POLICY,
    "content_filter": _KIND.CONTENT_POLICY,
    "content_policy": _KIND.CONTENT_POLICY,
    "moderation_blocked": _KIND.CONTENT_POLICY,
    "responsibleaipolicyviolation": _KIND.CONTENT_POLICY,
    "data_inspection_failed": _KIND.CONTENT_POLICY,
    "datainspectionfailed": _KIND.CONTENT_POLICY,
    "cyber_policy_violation": _KIND.CONTENT_POLICY,
    "1301": _KIND.CONTENT_POLICY,
    "invalid_image": _KIND.IMAGE,
    "invalid_image_format": _KIND.IMAGE,
    "invalid_image_url": _KIND.IMAGE,
    "invalid_base64_image": _KIND.IMAGE,
    "image_parse_error": _KIND.IMAGE,
    "image_too_large": _KIND.IMAGE,
    "image_too_small": _KIND.IMAGE,
    "image_file_too_large": _KIND.IMAGE,
    "unsupported_image_media_type": _KIND.IMAGE,
    "unsupported_image_format": _KIND.IMAGE,
    "image_content_policy_violation": _KIND.CONTENT_POLICY,
    "failed_to_download_image": _KIND.IMAGE,
    "image_download_failed": _KIND.IMAGE,
    "invalid_api_key": _KIND.AUTHENTICATION,
    "authentication_error": _KIND.AUTHENTICATION,
    "invalid_authentication": _KIND.AUTHENTICATION,
    "invalid_authentication_error": _KIND.AUTHENTICATION,
    "incorrect_api_key_error": _KIND.AUTHENTICATION,
    "account_deactivated": _KIND.AUTHENTICATION,
    "unauthorized": _KIND.AUTHENTICATION,
    "wrong_api_key": _KIND.AUTHENTICATION,
    "insufficient_quota": _KIND.OUT_OF_QUOTA,
    "billing_hard_limit_reached": _KIND.OUT_OF_QUOTA,
    "billing_not_active": _KIND.OUT_OF_QUOTA,
    "exceeded_current_quota_error": _KIND.OUT_OF_QUOTA,
    "insufficient_balance": _KIND.OUT_OF_QUOTA,
    "insufficient_credits": _KIND.OUT_OF_QUOTA,
    "payment_required": _KIND.OUT_OF_QUOTA,
    "credit_limit": _KIND.OUT_OF_QUOTA,
    "arrearage": _KIND.OUT_OF_QUOTA,
    "not_enough_balance": _KIND.OUT_OF_QUOTA,
    "1113": _KIND.OUT_OF_QUOTA,
    "model_not_found": _KIND.MODEL_NOT_FOUND,
    "model_not_available": _KIND.MODEL_NOT_FOUND,
    "model_decommissioned": _KIND.MODEL_NOT_FOUND,
    "model_deprecated": _KIND.MODEL_NOT_FOUND,
    "unknown_model": _KIND.MODEL_NOT_FOUND,
    "invalid_model": _KIND.MODEL_NOT_FOUND,
    "deploymentnotfound": _KIND.MODEL_NOT_FOUND,
    "resource_not_found_error": _KIND.MODEL_NOT_FOUND,
    "1211": _KIND.MODEL_NOT_FOUND,
    "rate_limit_exceeded": _KIND.RATE_LIMIT,
    "rate_limit_error": _KIND.RATE_LIMIT,
    "rate_limit_reached_error": _KIND.RATE_LIMIT,
    "too_many_requests": _KIND.RATE_LIMIT,
    "too_many_requests_error": _KIND.RATE_LIMIT,
    "throttling": _KIND.RATE_LIMIT,
    "1302": _KIND.RATE_LIMIT,
    "1303": _KIND.RATE_LIMIT,
    "overloaded_error": _KIND.OVERLOADED,
    "engine_overloaded": _KIND.OVERLOADED,
    "engine_overloaded_error": _KIND.OVERLOADED,
    "server_overloaded": _KIND.OVERLOADED,
    "capacity_exceeded": _KIND.OVERLOADED,
    "service_unavailable": _KIND.OVERLOADED,
    "1305": _KIND.OVERLOADED,
    "timeout": _KIND.TIMEOUT,
    # Groq: the model wrote a tool call that is none. Another endpoint's sampling may well do better.
    "tool_use_failed": _KIND.SERVER,
    "server_error": _KIND.SERVER,
    "internal_error": _KIND.SERVER,
    "internal_server_error": _KIND.SERVER,
    "api_error": _KIND.SERVER,
}

BY_STATUS: Final[Mapping[int, FailureKind]] = {
    400: _KIND.BAD_REQUEST,
    401: _KIND.AUTHENTICATION,
    402: _KIND.OUT_OF_QUOTA,
    403: _KIND.AUTHENTICATION,
    404: _KIND.MODEL_NOT_FOUND,
    408: _KIND.TIMEOUT,
    410: _KIND.MODEL_NOT_FOUND,
    413: _KIND.TOO_LARGE,
    415: _KIND.BAD_REQUEST,
    422: _KIND.BAD_REQUEST,
    429: _KIND.RATE_LIMIT,
    451: _KIND.CONTENT_POLICY,
    498: _KIND.OVERLOADED,  # Groq: flex capacity is used up
    503: _KIND.OVERLOADED,
    504: _KIND.TIMEOUT,
    522: _KIND.TIMEOUT,
    524: _KIND.TIMEOUT,
    529: _KIND.OVERLOADED,
}

# What only a message says, for requests that were refused as such. The first that matches counts.
_MESSAGES: Final[tuple[tuple[FailureKind, tuple[str, ...]], ...]] = (
    (
        _KIND.CONTEXT_LENGTH,
        (
            "context (length|window|size)",
            "maximum context",
            "max(imum)? (input|prompt) (length|tokens)",
            "(prompt|input|request|messages) (is |are )?too (long|large)",
            "length of .{0,40} is too long",
            "too many (input |prompt )?tokens",
            "reduce the length",
            "input tokens? exceed",
        ),
    ),
    (
        _KIND.CONTENT_POLICY,
        (
            "content (management )?policy",
            "content filter",
            "flagged",
            "moderation",
            "unsafe content",
        ),
    ),
    (
        _KIND.OUT_OF_QUOTA,
        (
            "insufficient (balance|credits?|funds|quota)",
            "out of credits",
            "(credit|quota|balance)s? ((is|has been|have been) )?(exhausted|used up|too low|exceeded)",
            "exceeded your current quota",
            "add more credits",
            "run out of (credits|balance)",
        ),
    ),
    (
        _KIND.AUTHENTICATION,
        (
            "(invalid|incorrect|wrong|missing|expired) (api[ -]?key|authentication|credentials|token)",
            "(api[ -]?key|credentials) (is |are )?(invalid|not valid|incorrect|expired)",
            "no api[ -]?key",
        ),
    ),
    (
        _KIND.MODEL_NOT_FOUND,
        (
            "model.{0,80}(does not exist|not found|not exist|deprecated|decommissioned|no longer)",
            "model.{0,80}(is not available|unavailable)",
            "(unknown|no such|invalid) model",
            "no endpoints found",
            "not a (chat|valid) model",
        ),
    ),
    (
        _KIND.IMAGE,
        (
            "image.{0,60}(invalid|unsupported|could not|cannot|failed|too (large|small)|corrupt)",
            "(invalid|unsupported|corrupt|download)[a-z]* (the )?image",
        ),
    ),
)
_REFUSALS: Final = tuple(
    (re.compile("|".join(patterns), re.IGNORECASE), kind) for kind, patterns in _MESSAGES
)
_NOT_THE_MODEL: Final = re.compile(r"is not supported (in|with|by|for) this model", re.IGNORECASE)
_TOO_MANY_TOKENS_A_MINUTE: Final = re.compile(r"per (minute|day|hour)|\b(TPM|RPM|TPD|RPD)\b")


@dataclass(frozen=True, slots=True)
class _Said:
    """What an error body says, shape aside. words: its codes and types, most precise first, lower case."""

    message: str
    words: tuple[str, ...]
    status: int | None
    provider_code: str | None


def failure_of(status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
    """What a response with an error status means. Any bytes are understood, if only by their status."""
    said = _read(body)
    kind = _kind_of(status, said)
    return UpstreamFailure(
        shown_message(kind, said.message),
        kind=kind,
        error_type=precise_type(kind, said.message, said.provider_code or ""),
        status=status,
        provider_code=said.provider_code,
        retry_after_s=retry_after_s(headers),
        body=body[:BODY_BYTES_KEPT_MAX],
    )


def failure_inside(fields: Mapping[str, object]) -> UpstreamFailure:
    """What an error under status 200 means: its own code is the status."""
    said = _said(fields)
    status = said.status or 502
    kind = _kind_of(status, said)
    return UpstreamFailure(
        shown_message(kind, said.message),
        kind=kind,
        error_type=precise_type(kind, said.message, said.provider_code or ""),
        status=said.status,
        provider_code=said.provider_code,
    )


def _kind_of(status: int, said: _Said) -> FailureKind:
    for word in said.words:
        known = BY_WORD.get(word)
        if known is not None:
            if known in (
                _KIND.CONTEXT_LENGTH,
                _KIND.TOO_LARGE,
            ) and _TOO_MANY_TOKENS_A_MINUTE.search(said.message):
                return _KIND.RATE_LIMIT
            return known
    if status == 429:
        return (
            _KIND.OUT_OF_QUOTA if _match(said.message) is _KIND.OUT_OF_QUOTA else _KIND.RATE_LIMIT
        )
    if status in (400, 403, 404, 413, 422):
        if status == 404 and _NOT_THE_MODEL.search(said.message):
            return _KIND.BAD_REQUEST
        if status == 413:
            per_minute = _TOO_MANY_TOKENS_A_MINUTE.search(said.message)
            return _KIND.RATE_LIMIT if per_minute else too_large(said.message)
        matched = _match(said.message)
        if matched is not None:
            return matched
    known = BY_STATUS.get(status)
    if known is not None:
        return known
    return _KIND.BAD_REQUEST if 400 <= status < 500 else _KIND.SERVER


def _match(message: str) -> FailureKind | None:
    for pattern, kind in _REFUSALS:
        if pattern.search(message):
            return kind
    return None


def _read(body: bytes) -> _Said:
    try:
        fields = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        text = body[: MESSAGE_CHARACTERS_MAX * 4].decode("utf-8", "replace").strip()
        is_markup = text.startswith("<")  # a proxy's page says nothing to a caller
        return _Said("" if is_markup else text, (), None, None)
    if isinstance(fields, list) and fields:
        fields = fields[0]
    return _said(fields) if isinstance(fields, dict) else _Said("", (), None, None)


def _said(fields: Mapping[str, object]) -> _Said:
    error = fields.get("error")
    inner: Mapping[str, object] = error if isinstance(error, dict) else fields
    message = _text(inner.get("message"))
    if not message:
        message = _text(error) or _text(fields.get("message")) or _text(fields.get("detail"))
    if not message:
        message = _first_detail(fields.get("detail"))
    codes = (
        inner.get("code"), inner.get("type"), inner.get("status"),
        fields.get("code"), fields.get("type"), inner.get("error_type"),
        _inner_code(inner), _code_in(inner.get("metadata")),
    )  # fmt: skip
    words = tuple(
        dict.fromkeys(str(code).lower() for code in codes if isinstance(code, str | int) and code)
    )
    nested = _nested(inner.get("metadata"))
    if nested is not None:
        message = nested.message or message
        words = (*nested.words, *words)
    shown_code = next((c for c in codes if isinstance(c, str) and c and not c.isdigit()), None)
    if shown_code is None:  # a number is a word too, unless it only repeats the status
        shown_code = next((w for w in words if w.isdigit() and len(w) != 3), None)
    return _Said(
        message=message,
        words=words,
        status=_status_in(inner) or _status_in(fields),
        provider_code=shown_code[:CODE_CHARACTERS_MAX] if shown_code is not None else None,
    )


def _nested(metadata: object) -> _Said | None:
    """An upstream's own error body, as text inside an aggregator's."""
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if not isinstance(raw, str) or not raw.strip():
        return None
    return _read(raw.encode("utf-8", "replace"))


def _inner_code(error: Mapping[str, object]) -> object:
    """Azure puts the precise word one level deeper."""
    inner = error.get("innererror") or error.get("inner_error")
    return inner.get("code") if isinstance(inner, dict) else None


def _code_in(metadata: object) -> object:
    return metadata.get("error_type") if isinstance(metadata, dict) else None


def _status_in(fields: Mapping[str, object]) -> int | None:
    for name in ("code", "status_code", "statusCode", "status"):
        value = fields.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
            return value
    return None


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _first_detail(detail: object) -> str:
    """Python servers list what was wrong: [{"loc": [...], "msg": "..."}]."""
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        return _text(detail[0].get("msg"))
    return _text(detail.get("message")) if isinstance(detail, dict) else ""
