"""One generation as bytes: the payload of a journal's frame, and the column `generations.record`.

MessagePack, by position: half as long as by name, and cheaper at both ends. So the fields of
`core.generation` and `core.usage` keep their places for ever: a new one goes to the end, with a default,
and records from before it is there are read with that default.

The first records ("FLJ1" in a journal) are by name. They are still read, never written.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from fairlead.core.generation import Attribution, Generation
from fairlead.core.ids import AccountId, GenerationId, KeyId
from fairlead.core.money import NanoUSD
from fairlead.core.usage import Usage

__all__ = [
    "Front",
    "RecordImpossible",
    "RecordUnreadable",
    "front",
    "pack",
    "readable",
    "unpack",
    "unpack_first",
]


class Front(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The first fields of a generation, for those who pass many records on: half the work of all fields."""

    id: GenerationId
    account: AccountId
    key: KeyId
    created_s: float
    model: str
    endpoint: str
    provider: str
    outcome: str
    usage: Usage
    cost: NanoUSD


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Generation)
_FRONT_DECODER: Final = msgspec.msgpack.Decoder(Front)
_FIRST_DECODER: Final = msgspec.msgpack.Decoder(dict[str, Any])


class RecordImpossible(ValueError):
    """It cannot be kept: too long, a number beyond 64 bits, text that is not Unicode."""


class RecordUnreadable(ValueError):
    """These bytes are not a generation."""


def pack(generation: Generation) -> bytes:
    """Raises RecordImpossible."""
    try:
        return _ENCODER.encode(generation)
    except (OverflowError, UnicodeEncodeError) as error:
        raise RecordImpossible(str(error)) from error


def unpack(record: bytes) -> Generation:
    """Raises RecordUnreadable."""
    try:
        return _DECODER.decode(record)
    except msgspec.MsgspecError as error:
        raise RecordUnreadable(str(error)) from error


def front(record: bytes) -> Front:
    """As `unpack`, but looks no further than what is wanted. Raises RecordUnreadable."""
    try:
        return _FRONT_DECODER.decode(record)
    except msgspec.MsgspecError as error:
        raise RecordUnreadable(str(error)) from error


def unpack_first(record: bytes) -> Generation:
    """As `unpack`, for the first records. Raises RecordUnreadable."""
    try:
        named = _FIRST_DECODER.decode(record)
        named["usage"] = _in_order(Usage, named.get("usage", {}))
        if named.get("attribution") is not None:
            named["attribution"] = _in_order(Attribution, named["attribution"])
        return msgspec.convert(_in_order(Generation, named), Generation)
    except (msgspec.MsgspecError, AttributeError) as error:
        raise RecordUnreadable(str(error)) from error


def readable(generation: Generation) -> bytes:
    """The record as JSON by name, for people. Nothing reads it back."""
    attribution = generation.attribution
    named = msgspec.structs.asdict(generation) | {
        "usage": msgspec.structs.asdict(generation.usage),
        "attempts": [msgspec.structs.asdict(attempt) for attempt in generation.attempts],
        "attribution": None if attribution is None else msgspec.structs.asdict(attribution),
    }
    return msgspec.json.encode(named)


def _in_order(shape: type[msgspec.Struct], named: dict[str, Any]) -> list[Any]:
    """What is there by name, by position. A field that is missing and must not be fails to convert."""
    return [named.get(field.name, field.default) for field in msgspec.structs.fields(shape)]
