"""Calls of JSON in, JSON out: what adapters share whose answers are never streamed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec

from fairlead.core.chat import Frame
from fairlead.core.errors import UpstreamFailure
from fairlead.providers.base import Credential, UpstreamRequest
from fairlead.providers.whole_body import WholeBody, garbage

__all__ = ["ANSWER_BYTES_MAX", "WholeJson", "garbage", "json_call", "read_json"]

# OpenAI takes 2,048 texts in a call; their longest vectors, as it writes them, are 157 MB.
ANSWER_BYTES_MAX: Final = 256 * 1024 * 1024

_Answer = TypeVar("_Answer")
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_HEADERS: Final = (("content-type", "application/json"), ("accept", "application/json"))


def json_call(
    credential: Credential,
    path: str,
    fields: Mapping[str, object],
    *,
    key_header: str = "authorization",
) -> UpstreamRequest:
    """path: below the provider's base. key_header: "authorization" means a bearer token."""
    url = credential.base_url.rstrip("/") + path
    version = credential.options.get("api_version")
    key = credential.api_key
    headers: tuple[tuple[str, str], ...] = _HEADERS
    if key:
        written = f"Bearer {key}" if key_header == "authorization" else key
        headers += ((key_header, written),)
    return UpstreamRequest(
        method="POST",
        url=f"{url}?api-version={version}" if version else url,
        headers=headers,
        body=_encode(fields),
    )


class WholeJson(WholeBody):
    """Decoder of one JSON body that makes one frame. read: that frame; raises UpstreamFailure."""

    __slots__ = ()

    def __init__(self, read: Callable[[bytes], Frame]) -> None:
        super().__init__(lambda body: [read(body)], bytes_max=ANSWER_BYTES_MAX)


def read_json(
    body: bytes,
    decode: Callable[[bytes], _Answer],
    failure_inside: Callable[[Mapping[str, object]], UpstreamFailure],
) -> _Answer:
    """A typed answer. What is none is the error that it says it is, or garbage: UpstreamFailure is raised."""
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        what = str(error)
    except (ValueError, RecursionError):
        raise garbage("it is not JSON") from None
    try:
        fields = _decode(body)  # what is wrong at its beginning may be no JSON at its end
    except (ValueError, RecursionError):
        raise garbage("it is not JSON") from None
    if isinstance(fields, dict) and fields.get("error"):
        raise failure_inside(fields)
    raise garbage(what)
