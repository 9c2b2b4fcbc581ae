"""Reading a request that may name a preset.

A request that names none is decoded and that is all: nothing is asked, nothing is copied. One that names a
preset has it looked up, laid under it, and is read again as if its caller had written all of that. So whatever
a dialect refuses, and whatever fits an endpoint or not, is the same as for any request.

A request that cannot be read alone may be right with its preset, as one that chooses among the preset's tools:
so one that is refused is looked at for a name before it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from fairlead.core.chat import ChatRequest
from fairlead.core.errors import RequestInvalid
from fairlead.core.presets import PRESET_MARK, Fields, Named, active, named_by
from fairlead.dialects.preset_words import read_over_preset
from fairlead.gateway.ports import Caller
from fairlead.gateway.services import Services

__all__ = ["Decode", "read_alone", "read_with_preset"]

Headers = Mapping[bytes, bytes]
Decode = Callable[[bytes, Headers], ChatRequest]

_read_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_alone(decode: Decode, body: bytes, headers: Headers) -> ChatRequest | None:
    """The request; None: it names a preset. Raises RequestInvalid."""
    try:
        request = decode(body, headers)
    except RequestInvalid:
        if _naming(body) is not None:
            return None
        raise
    model = request.body.model
    if "preset" in request.fields or (model is not None and PRESET_MARK in model):
        return None
    return request


async def read_with_preset(
    dialect: str,
    decode: Decode,
    body: bytes,
    headers: Headers,
    *,
    caller: Caller,
    services: Services,
) -> ChatRequest:
    """The request with its preset. Raises RequestInvalid, and Overloaded if nobody can say what that is."""
    naming = _naming(body)
    if naming is None:  # `preset: null`, or what no preset could be
        return _unnamed(decode(body, headers))
    fields, named = naming
    found = () if services.presets is None else await services.presets.find(caller, named.slug)
    preset = active(named, found)
    return read_over_preset(dialect, lambda whole: decode(whole, headers), fields, preset, named)


def _naming(body: bytes) -> tuple[Fields, Named] | None:
    """The fields of a body that names a preset, and what it says of it."""
    try:
        str(
            body, "utf-8"
        )  # the decoder checks only what it reads, and merging reads less than dialects
        fields = _read_fields(body)
    except (ValueError, RecursionError):
        return None
    named = named_by(fields)
    return None if named is None else (fields, named)


def _unnamed(request: ChatRequest) -> ChatRequest:
    """Raises RequestInvalid for a preset that is no text."""
    if request.fields.get("preset", _NULL) != _NULL:
        raise RequestInvalid("`preset` must be text.", param="preset")
    return request


_NULL: Final = msgspec.Raw(b"null")
