"""Errors in the Anthropic Messages envelope, alone or inside a stream.

The format's own word stands in `error.type`, ours in `error.error_type`; what else is known is beside them.
Source: https://docs.claude.com/en/api/errors (read 2026-11-21). There a body that is too large is a
`request_too_large`; callers of a gateway match on a closed list that lacks it, so it is an invalid request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fairlead.core.errors import ErrorType, Problem
from fairlead.wire.openai_errors import availability_fields, router_metadata_field

__all__ = ["error_word", "problem_fields"]

_MASKED: Final = "Internal server error."
_OURS: Final = frozenset({ErrorType.SERVER, ErrorType.UNMAPPED})
_INVALID: Final = "invalid_request_error"
_WORDS: Final[Mapping[ErrorType, str]] = {
    ErrorType.AUTHENTICATION: "authentication_error",
    ErrorType.PAYMENT_REQUIRED: "billing_error",
    ErrorType.PERMISSION_DENIED: "permission_error",
    ErrorType.NOT_FOUND: "not_found_error",
    ErrorType.IMAGE_NOT_FOUND: "not_found_error",
    ErrorType.RATE_LIMIT_EXCEEDED: "rate_limit_error",
    ErrorType.PROVIDER_OVERLOADED: "overloaded_error",
    ErrorType.TIMEOUT: "timeout_error",
    ErrorType.PROVIDER_UNAVAILABLE: "api_error",
    ErrorType.SERVER: "api_error",
    ErrorType.UNMAPPED: "api_error",
}


def error_word(error_type: ErrorType) -> str:
    """The format's word for what went wrong: whatever has none of its own is the caller's to mend."""
    return _WORDS.get(error_type, _INVALID)


def problem_fields(problem: Problem, request_id: str | None) -> dict[str, object]:
    """The body of an error, and the data of an `error` event. A fault of our own hides its cause.

    request_id: the generation's id; None if the call never got one.
    """
    is_masked = problem.error_type in _OURS
    error: dict[str, object] = {
        "type": error_word(problem.error_type),
        "message": _MASKED if is_masked else problem.message,
        "error_type": problem.error_type.value,
    }
    if problem.availability is not None:
        error["http_status"] = problem.status
        error["availability"] = availability_fields(problem.availability)
    fields: dict[str, object] = {"type": "error", "error": error, "request_id": request_id or None}
    metadata = {
        name: value
        for name, value in problem.metadata.items()
        if not (is_masked and name == "provider_code")
    }
    if metadata:
        fields["metadata"] = metadata
    fields.update(router_metadata_field(problem.router_metadata))
    return fields
