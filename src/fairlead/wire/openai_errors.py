"""Errors in the OpenAI envelope with the gateway's extensions, alone or inside an answer.

`error.code` is the HTTP status as a number, on every path: the clients that check types check this one.
`type` and `param` are there because OpenAI's own SDKs show them. Where there is an `availability`, its
documented examples put `error_type` and `http_status` straight into `error`, so they are in both places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fairlead.core.errors import Availability, ErrorType, Problem

__all__ = ["availability_fields", "error_fields", "problem_fields", "router_metadata_field"]

_MASKED: Final = "Internal server error."
_OURS: Final = frozenset({ErrorType.SERVER, ErrorType.UNMAPPED})


def problem_fields(problem: Problem) -> dict[str, object]:
    """The body of an error that comes instead of an answer."""
    error = error_fields(problem)
    error["type"] = problem.error_type.value
    error["param"] = problem.param
    if problem.availability is not None:
        error["error_type"] = problem.error_type.value
        error["http_status"] = problem.status
    return {"error": error, **router_metadata_field(problem.router_metadata)}


def error_fields(problem: Problem) -> dict[str, object]:
    """The `error` object. A fault of our own says nothing about its cause."""
    is_masked = problem.error_type in _OURS
    metadata: dict[str, object] = {"error_type": problem.error_type.value}
    for name, value in problem.metadata.items():
        if not (is_masked and name == "provider_code"):
            metadata.setdefault(name, value)
    error: dict[str, object] = {
        "code": problem.status,
        "message": _MASKED if is_masked else problem.message,
        "metadata": metadata,
    }
    if problem.availability is not None:
        error["availability"] = availability_fields(problem.availability)
    return error


def router_metadata_field(metadata: Mapping[str, object] | None) -> dict[str, object]:
    """How the call was routed, under the name that it has in every format; nothing if nobody asked."""
    return {} if metadata is None else {"openrouter_metadata": metadata}


def availability_fields(availability: Availability) -> dict[str, object]:
    """The `availability` object, the same in every format."""
    fields: dict[str, object] = {
        "code": availability.code,
        "retryable": availability.retryable,
        "requested_models": availability.requested_models,
        "docs_url": availability.docs_url,
    }
    if availability.retry_after_s is not None:
        fields["retry_after"] = availability.retry_after_s
    lists = {
        "affected_providers": availability.affected_providers,
        "excluded_by": availability.excluded_by,
        "fallback_models": availability.fallback_models,
    }
    fields.update({name: names for name, names in lists.items() if names is not None})
    if availability.constraint is not None:
        field, detail = availability.constraint
        fields["constraint"] = {"field": field, "detail": detail}
    return fields
