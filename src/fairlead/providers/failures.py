"""What every provider's failures have in common: which words a caller sees, and how long to wait."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from fairlead.core.errors import ErrorType, FailureKind
from fairlead.providers.base import ResponseHeaders

__all__ = [
    "BODY_BYTES_KEPT_MAX",
    "CODE_CHARACTERS_MAX",
    "MESSAGE_CHARACTERS_MAX",
    "precise_type",
    "retry_after_s",
    "shown_message",
    "too_large",
]

MESSAGE_CHARACTERS_MAX: Final = 2000
CODE_CHARACTERS_MAX: Final = 128
BODY_BYTES_KEPT_MAX: Final = 16 * 1024
RETRY_AFTER_S_MAX: Final = 3600.0  # a longer hint is as good as "not soon"

_KIND = FailureKind

# Kinds that the caller can mend, if he reads why.
_SHOWN: Final = frozenset(
    {_KIND.BAD_REQUEST, _KIND.CONTEXT_LENGTH, _KIND.TOO_LARGE, _KIND.CONTENT_POLICY, _KIND.IMAGE}
)
_OUR_WORDS: Final[Mapping[FailureKind, str]] = {
    _KIND.BAD_REQUEST: "The provider refused the request.",
    _KIND.CONTEXT_LENGTH: "The request is too long for the model.",
    _KIND.TOO_LARGE: "The request is too large for the provider.",
    _KIND.CONTENT_POLICY: "The provider refused the request for its content.",
    _KIND.IMAGE: "The provider could not use an image of the request.",
    _KIND.AUTHENTICATION: "The provider refused our credential.",
    _KIND.OUT_OF_QUOTA: "Our credit with the provider is used up.",
    _KIND.MODEL_NOT_FOUND: "The provider does not serve this model.",
    _KIND.RATE_LIMIT: "The provider limits the rate of requests; please retry later.",
    _KIND.OVERLOADED: "The provider is overloaded; please retry later.",
    _KIND.TIMEOUT: "The provider did not answer in time.",
    _KIND.SERVER: "The provider failed.",
}


def too_large(message: str) -> FailureKind:
    """What the status 413 means: some send it for the model's bound, most for one on the body's bytes."""
    return _KIND.CONTEXT_LENGTH if _OF_THE_MODEL.search(message) else _KIND.TOO_LARGE


_OF_THE_MODEL: Final = re.compile(r"token|context|prompt is too long", re.IGNORECASE)


def precise_type(kind: FailureKind, message: str, code: str = "") -> ErrorType | None:
    """What is wrong with an image or with one text, if that is told. code: the provider's word."""
    if code == "string_above_max_length":
        return ErrorType.STRING_TOO_LONG
    if kind is not _KIND.IMAGE:
        return None
    told = f"{code.replace('_', ' ')} {message}"
    return next((word for pattern, word in _ABOUT_IMAGES if pattern.search(told)), None)


# The first that matches counts.
_ABOUT_IMAGES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), word)
    for pattern, word in (
        (r"too small|minimum|must (be|have) at least", ErrorType.IMAGE_TOO_SMALL),
        (
            r"too (large|big|many pixels)|exceed|maximum|dimensions .{0,20}large",
            ErrorType.IMAGE_TOO_LARGE,
        ),
        (
            r"download|fetch|retriev|access(ing)? .{0,20}url|timeout while",
            ErrorType.IMAGE_DOWNLOAD_FAILED,
        ),
        (
            r"unsupported|not supported|(media|mime) ?type|format|extension",
            ErrorType.UNSUPPORTED_IMAGE_FORMAT,
        ),
    )
)


def shown_message(kind: FailureKind, message: str) -> str:
    """A caller who can mend the request reads why it was refused; all else is between us and the provider."""
    if kind in _SHOWN and message:
        return message[:MESSAGE_CHARACTERS_MAX]
    return _OUR_WORDS.get(kind, "The provider failed.")


def retry_after_s(headers: ResponseHeaders) -> float | None:
    """Seconds to wait. A date is of no use here: pure code has no clock."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name)
        if text is None:
            continue
        try:
            value = float(text) * scale
        except ValueError:
            continue
        if 0 <= value < float("inf"):
            return min(value, RETRY_AFTER_S_MAX)
    return None
