"""Vectors: how an answer holds them between provider and caller, and their two spellings.

An answer is one whole frame. Its vectors stay as the provider wrote them, byte for byte: a list of JSON
numbers, or base64 of little-endian 32-bit floats in a string. They are read only for a caller who wants the
other spelling.
"""

from __future__ import annotations

import binascii
import struct
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Final

import msgspec

from fairlead.core.chat import ChatEvent, Frame, WireFormat
from fairlead.core.usage import Usage
from fairlead.wire.wordless import wordless_events

__all__ = [
    "VectorInvalid",
    "as_base64",
    "as_numbers",
    "embeddings_frame",
    "numbers_vector",
    "vectors_of",
]

_FORMAT: Final = WireFormat.OPENAI_EMBEDDINGS
_FLOAT_BYTES: Final = 4

_encode: Final = msgspec.json.Encoder().encode
_read_numbers: Final = msgspec.json.Decoder(list[float]).decode
_read_text: Final = msgspec.json.Decoder(str).decode


class VectorInvalid(ValueError):
    """A vector is in neither spelling."""


def embeddings_frame(
    vectors: Sequence[msgspec.Raw],
    *,
    usage: Usage | None,
    answer_id: str | None = None,
    model: str | None = None,
    cost_usd: float | None = None,
) -> Frame:
    """A whole answer. vectors: in the order of the inputs."""
    return Frame(
        _FORMAT,
        {"vectors": tuple(vectors)},
        wordless_events(usage=usage, answer_id=answer_id, model=model, cost_usd=cost_usd),
        is_whole=True,
    )


def vectors_of(events: Sequence[ChatEvent]) -> tuple[msgspec.Raw, ...]:
    """The vectors of an answer, in the order of the inputs; none of anything else."""
    for event in events:
        if isinstance(event, Frame) and event.format is _FORMAT:
            vectors = event.fields["vectors"]
            assert isinstance(vectors, tuple)
            return vectors
    return ()


def numbers_vector(numbers: Sequence[float]) -> msgspec.Raw:
    return msgspec.Raw(_encode(numbers))


def as_numbers(vector: msgspec.Raw) -> msgspec.Raw:
    """As JSON numbers. Raises VectorInvalid."""
    if _is_list(vector):
        return vector
    try:
        packed = b64decode(_read_text(vector), validate=True)
        count, rest = divmod(len(packed), _FLOAT_BYTES)
        if rest:
            raise VectorInvalid(f"{len(packed)} bytes are no whole number of floats")
        return numbers_vector(struct.unpack(f"<{count}f", packed))
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise VectorInvalid(str(error)) from None


def as_base64(vector: msgspec.Raw) -> msgspec.Raw:
    """As base64 of little-endian 32-bit floats. Raises VectorInvalid."""
    if not _is_list(vector):
        return vector
    try:
        numbers = _read_numbers(vector)
        return msgspec.Raw(b'"%b"' % b64encode(struct.pack(f"<{len(numbers)}f", *numbers)))
    except (msgspec.DecodeError, OverflowError, struct.error, UnicodeDecodeError) as error:
        raise VectorInvalid(str(error)) from None


def _is_list(vector: msgspec.Raw) -> bool:
    return bytes(memoryview(vector)[:1]) == b"["
