"""Everything that can go wrong, by meaning. Three questions, answered by type, never by message.

    FairleadError                     who is to blame?   may we try elsewhere?   what does the caller see?
    ├── CallerError                   the caller         no                      4xx
    │   ├── RequestInvalid            body, field, model name                    400 with the field's path
    │   ├── PayloadTooLarge                                                      413
    │   ├── NotAuthenticated          positively unknown, missing or revoked key 401
    │   ├── PermissionDenied                                                     403
    │   ├── BudgetExhausted           credits, or a limit on spending            402 or 403
    │   ├── NotFound, MethodNotAllowed                                           404, 405
    │   ├── Conflict, Gone           not now, as things stand; not any more      409, 410
    │   ├── RateLimited               too many requests for a limit of ours      429 with Retry-After
    │   └── ModelUnavailable          nothing left to route to                   4xx, `availability`
    ├── UpstreamFailure               the provider       by kind, see FAILURES   by kind, see FAILURES
    ├── Overloaded                    us, for now        no                      503 with Retry-After
    └── (anything else)               us                 no                      500, message masked

The words of `ErrorType` are the public vocabulary: callers match on them, so they never change meaning.
An infrastructure fault never looks like the caller's: a provider that refuses *our* credential is a 502.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil
from typing import Final

__all__ = [
    "ERRORS_PAGE",
    "FAILURES",
    "HTTP_STATUS",
    "Availability",
    "BudgetExhausted",
    "CallerError",
    "Conflict",
    "ErrorType",
    "FailureKind",
    "FailureRule",
    "FairleadError",
    "Gone",
    "MethodNotAllowed",
    "ModelUnavailable",
    "NotAuthenticated",
    "NotFound",
    "Overloaded",
    "PayloadTooLarge",
    "PermissionDenied",
    "Problem",
    "RateLimited",
    "RequestInvalid",
    "UpstreamFailure",
    "whole_seconds",
]


class ErrorType(StrEnum):
    """What the caller is told, in one word."""

    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    MAX_TOKENS_EXCEEDED = "max_tokens_exceeded"
    TOKEN_LIMIT_EXCEEDED = "token_limit_exceeded"
    STRING_TOO_LONG = "string_too_long"
    INVALID_REQUEST = "invalid_request"
    INVALID_PROMPT = "invalid_prompt"
    CONTENT_POLICY_VIOLATION = "content_policy_violation"
    REFUSAL = "refusal"
    INVALID_IMAGE = "invalid_image"
    IMAGE_TOO_LARGE = "image_too_large"
    IMAGE_TOO_SMALL = "image_too_small"
    UNSUPPORTED_IMAGE_FORMAT = "unsupported_image_format"
    IMAGE_DOWNLOAD_FAILED = "image_download_failed"
    AUTHENTICATION = "authentication"
    PAYMENT_REQUIRED = "payment_required"
    PERMISSION_DENIED = "permission_denied"
    NOT_FOUND = "not_found"
    IMAGE_NOT_FOUND = "image_not_found"
    PRECONDITION_FAILED = "precondition_failed"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNPROCESSABLE = "unprocessable"
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"
    PROVIDER_OVERLOADED = "provider_overloaded"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    SERVER = "server"
    UNMAPPED = "unmapped"
    TIMEOUT = "timeout"


HTTP_STATUS: Final[dict[ErrorType, int]] = {
    ErrorType.CONTEXT_LENGTH_EXCEEDED: 400,
    ErrorType.MAX_TOKENS_EXCEEDED: 400,
    ErrorType.TOKEN_LIMIT_EXCEEDED: 400,
    ErrorType.STRING_TOO_LONG: 400,
    ErrorType.INVALID_REQUEST: 400,
    ErrorType.INVALID_PROMPT: 400,
    ErrorType.CONTENT_POLICY_VIOLATION: 400,
    ErrorType.REFUSAL: 400,
    ErrorType.INVALID_IMAGE: 400,
    ErrorType.IMAGE_TOO_LARGE: 400,
    ErrorType.IMAGE_TOO_SMALL: 400,
    ErrorType.UNSUPPORTED_IMAGE_FORMAT: 400,
    ErrorType.IMAGE_DOWNLOAD_FAILED: 400,
    ErrorType.AUTHENTICATION: 401,
    ErrorType.PAYMENT_REQUIRED: 402,
    ErrorType.PERMISSION_DENIED: 403,
    ErrorType.NOT_FOUND: 404,
    ErrorType.IMAGE_NOT_FOUND: 404,
    ErrorType.PRECONDITION_FAILED: 412,
    ErrorType.PAYLOAD_TOO_LARGE: 413,
    ErrorType.UNPROCESSABLE: 422,
    ErrorType.RATE_LIMIT_EXCEEDED: 429,
    ErrorType.PROVIDER_UNAVAILABLE: 502,
    ErrorType.PROVIDER_OVERLOADED: 503,
    ErrorType.SERVER: 500,
    ErrorType.UNMAPPED: 500,
    ErrorType.TIMEOUT: 504,
}
ERRORS_PAGE: Final = "/docs/errors"  # of the web app


@dataclass(frozen=True, slots=True)
class Availability:
    """Why no endpoint could answer, in the documented vocabulary (`error.availability`).

    docs_url: where that is explained, for people; by itself, a path at this installation.
    """

    code: str
    retryable: bool
    requested_models: tuple[str, ...]
    retry_after_s: int | None = None
    affected_providers: tuple[str, ...] | None = None
    excluded_by: tuple[str, ...] | None = None
    fallback_models: tuple[str, ...] | None = None
    constraint: tuple[str, str] | None = None  # (field, detail)
    docs_url: str = ERRORS_PAGE


@dataclass(frozen=True, slots=True)
class Problem:
    """One error as a caller sees it; a dialect puts it into its own envelope.

    metadata: free-form and safe to show; holds neither secrets nor prompts.
    param: path of the offending field, as "messages[0].content".
    headers: to be added to the response, names in lower case.
    router_metadata: how the call was routed, for callers who asked for it (core.router_metadata).
    """

    status: int
    error_type: ErrorType
    message: str
    metadata: dict[str, object] = field(default_factory=dict)
    param: str | None = None
    availability: Availability | None = None
    headers: tuple[tuple[str, str], ...] = ()
    router_metadata: Mapping[str, object] | None = None


class FairleadError(Exception):
    """Root of all expected errors. `problem()` is what the caller sees."""

    error_type: ErrorType = ErrorType.SERVER
    status: int | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def problem(self) -> Problem:
        return Problem(
            status=self.status or HTTP_STATUS[self.error_type],
            error_type=self.error_type,
            message=self.message,
        )


class CallerError(FairleadError):
    """The request cannot be served as it is; sending it elsewhere would not help."""

    error_type = ErrorType.INVALID_REQUEST


class RequestInvalid(CallerError):
    """The body is not what the dialect says. param: path of the field, None for the whole body."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        error_type: ErrorType = ErrorType.INVALID_REQUEST,
        availability: Availability | None = None,
    ) -> None:
        super().__init__(message)
        self.param = param
        self.error_type = error_type
        self.availability = availability

    def problem(self) -> Problem:
        return Problem(
            status=HTTP_STATUS[self.error_type],
            error_type=self.error_type,
            message=self.message,
            param=self.param,
            availability=self.availability,
        )


class PayloadTooLarge(CallerError):
    error_type = ErrorType.PAYLOAD_TOO_LARGE


class NotAuthenticated(CallerError):
    error_type = ErrorType.AUTHENTICATION


class PermissionDenied(CallerError):
    error_type = ErrorType.PERMISSION_DENIED


class BudgetExhausted(CallerError):
    """The call could cost more than may still be spent, or nothing may be spent any more.

    error_type: PAYMENT_REQUIRED where credits or the key's limit are short, PERMISSION_DENIED where others have
    set the limit. retry_after_s: when calls under way may have given back what they did not use.
    """

    def __init__(
        self,
        message: str,
        *,
        error_type: ErrorType = ErrorType.PAYMENT_REQUIRED,
        metadata: dict[str, object] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.metadata = metadata or {}
        self.retry_after_s = retry_after_s

    def problem(self) -> Problem:
        retry = self.retry_after_s
        return Problem(
            status=HTTP_STATUS[self.error_type],
            error_type=self.error_type,
            message=self.message,
            metadata=self.metadata,
            headers=() if retry is None else (("retry-after", str(retry)),),
        )


class NotFound(CallerError):
    error_type = ErrorType.NOT_FOUND


class Conflict(CallerError):
    """The request is right, but not as things stand."""

    status = 409


class Gone(CallerError):
    """It was there once and will not come back."""

    error_type = ErrorType.NOT_FOUND
    status = 410


class MethodNotAllowed(CallerError):
    """allowed: the methods that the path takes."""

    status = 405

    def __init__(self, message: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed

    def problem(self) -> Problem:
        return Problem(
            status=405,
            error_type=self.error_type,
            message=self.message,
            headers=(("allow", ", ".join(self.allowed)),),
        )


class RateLimited(CallerError):
    """One of our own limits, not a provider's.

    limit, remaining: requests. reset_ms: when the next one is possible, in Unix milliseconds, the unit that
    clients of this API expect. Many see no headers and read the three from `metadata.headers`, as text.
    """

    error_type = ErrorType.RATE_LIMIT_EXCEEDED

    def __init__(
        self, message: str, *, retry_after_s: int, limit: int, remaining: int, reset_ms: int
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.limit = limit
        self.remaining = remaining
        self.reset_ms = reset_ms

    def problem(self) -> Problem:
        shown = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_ms),
        }
        return Problem(
            status=HTTP_STATUS[self.error_type],
            error_type=self.error_type,
            message=self.message,
            metadata={"headers": shown},
            headers=(
                ("retry-after", str(self.retry_after_s)),
                *((name.lower(), value) for name, value in shown.items()),
            ),
        )


class ModelUnavailable(CallerError):
    """The model is known, but nothing may or can serve it now."""

    error_type = ErrorType.NOT_FOUND

    def __init__(
        self,
        message: str,
        *,
        availability: Availability,
        error_type: ErrorType = ErrorType.NOT_FOUND,
    ) -> None:
        super().__init__(message)
        self.availability = availability
        self.error_type = error_type

    def problem(self) -> Problem:
        return Problem(
            status=HTTP_STATUS[self.error_type],
            error_type=self.error_type,
            message=self.message,
            availability=self.availability,
        )


class Overloaded(FairleadError):
    """We cannot answer now: a store is away, or we are at a bound of our own. Never the caller's fault."""

    error_type = ErrorType.PROVIDER_OVERLOADED

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    def problem(self) -> Problem:
        return Problem(
            status=503,
            error_type=self.error_type,
            message=self.message,
            headers=(("retry-after", str(self.retry_after_s)),),
        )


class FailureKind(StrEnum):
    """What an upstream's failure means, whatever its status said."""

    BAD_REQUEST = "bad_request"
    CONTEXT_LENGTH = "context_length"
    TOO_LARGE = "too_large"  # the body, in bytes, whatever the model could read
    UNSUPPORTED = (
        "unsupported"  # the request cannot be put in this provider's terms: it was not asked
    )
    CONTENT_POLICY = "content_policy"
    IMAGE = "image"
    AUTHENTICATION = "authentication"  # our credential was refused
    OUT_OF_QUOTA = "out_of_quota"  # our credit there is used up
    MODEL_NOT_FOUND = "model_not_found"
    RATE_LIMIT = "rate_limit"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"  # no connection
    CUT = "cut"  # the answer broke off
    GARBAGE = "garbage"  # the answer made no sense
    EMPTY = "empty"  # a proper answer with nothing in it
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class FailureRule:
    """What follows from a kind of failure.

    elsewhere: another endpoint of the same model may well succeed.
    outage: it counts against the endpoint's health.
    """

    error_type: ErrorType
    elsewhere: bool
    outage: bool


FAILURES: Final[dict[FailureKind, FailureRule]] = {
    FailureKind.BAD_REQUEST: FailureRule(ErrorType.INVALID_REQUEST, elsewhere=False, outage=False),
    FailureKind.CONTEXT_LENGTH: FailureRule(
        ErrorType.CONTEXT_LENGTH_EXCEEDED, elsewhere=True, outage=False
    ),
    FailureKind.TOO_LARGE: FailureRule(ErrorType.PAYLOAD_TOO_LARGE, elsewhere=True, outage=False),
    FailureKind.UNSUPPORTED: FailureRule(ErrorType.INVALID_REQUEST, elsewhere=True, outage=False),
    FailureKind.CONTENT_POLICY: FailureRule(
        ErrorType.CONTENT_POLICY_VIOLATION, elsewhere=False, outage=False
    ),
    FailureKind.IMAGE: FailureRule(ErrorType.INVALID_IMAGE, elsewhere=False, outage=False),
    FailureKind.AUTHENTICATION: FailureRule(
        ErrorType.PROVIDER_UNAVAILABLE, elsewhere=True, outage=True
    ),
    FailureKind.OUT_OF_QUOTA: FailureRule(
        ErrorType.PROVIDER_UNAVAILABLE, elsewhere=True, outage=True
    ),
    FailureKind.MODEL_NOT_FOUND: FailureRule(
        ErrorType.PROVIDER_UNAVAILABLE, elsewhere=True, outage=True
    ),
    FailureKind.RATE_LIMIT: FailureRule(
        ErrorType.RATE_LIMIT_EXCEEDED, elsewhere=True, outage=False
    ),
    FailureKind.OVERLOADED: FailureRule(ErrorType.PROVIDER_OVERLOADED, elsewhere=True, outage=True),
    FailureKind.TIMEOUT: FailureRule(ErrorType.TIMEOUT, elsewhere=True, outage=True),
    FailureKind.UNREACHABLE: FailureRule(
        ErrorType.PROVIDER_UNAVAILABLE, elsewhere=True, outage=True
    ),
    FailureKind.CUT: FailureRule(ErrorType.PROVIDER_UNAVAILABLE, elsewhere=True, outage=True),
    FailureKind.GARBAGE: FailureRule(ErrorType.PROVIDER_UNAVAILABLE, elsewhere=True, outage=True),
    FailureKind.EMPTY: FailureRule(ErrorType.PROVIDER_UNAVAILABLE, elsewhere=True, outage=True),
    FailureKind.SERVER: FailureRule(ErrorType.PROVIDER_UNAVAILABLE, elsewhere=True, outage=True),
}


class UpstreamFailure(FairleadError):
    """An attempt failed at the provider, or on the way there.

    kind: what it means; decides what follows (FAILURES).
    status: the provider's HTTP status, None where there was none.
    message: the provider's own words where they may be shown (bad requests), ours otherwise.
    provider_code: the provider's word for it, shown to the caller as `provider_code`.
    retry_after_s: the provider's hint.
    body: what it said, for the owner of the credential only; never shown or logged by default.
    error_type: a word more precise than its kind's; None: that.
    param: path of the field that this provider does not take, where we know it.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: FailureKind,
        status: int | None = None,
        provider_code: str | None = None,
        retry_after_s: float | None = None,
        body: bytes = b"",
        error_type: ErrorType | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.provider_code = provider_code
        self.retry_after_s = retry_after_s
        self.body = body
        self.error_type = error_type or FAILURES[kind].error_type
        self.param = param

    def problem(self) -> Problem:
        metadata: dict[str, object] = {}
        if self.provider_code is not None:
            metadata["provider_code"] = self.provider_code
        headers: tuple[tuple[str, str], ...] = ()
        status = HTTP_STATUS[self.error_type]
        if self.retry_after_s is not None and status in (429, 503):
            headers = (("retry-after", str(whole_seconds(self.retry_after_s))),)
        return Problem(
            status=status,
            error_type=self.error_type,
            message=self.message,
            metadata=metadata,
            param=self.param,
            headers=headers,
        )


def whole_seconds(retry_after_s: float) -> int:
    """As `Retry-After` wants it, and never too early."""
    return max(1, ceil(retry_after_s))
