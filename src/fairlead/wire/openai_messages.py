"""Messages that nobody has to change or read: the common ones, by far.

Plain is what every provider of the OpenAI format takes byte for byte: texts, images and calls, and no
field beside them. One pass of a compiled decoder that knows nothing else tells, and it steps over the
texts, because to read a text costs three times that. So most messages are never read at all: whoever
wants to know what is in `PlainMessages` makes it read them, and finds what the general decoder would say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal, overload

import msgspec

from fairlead.core.chat import Message

__all__ = ["PlainMessage", "PlainMessages", "is_plain", "plain_modalities"]


class _Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    pass


class _Text(_Plain, tag="text", tag_field="type"):
    text: msgspec.Raw


class _ImageUrl(_Plain):
    url: msgspec.Raw
    detail: Literal["auto", "low", "high"] | None = None


class _Image(_Plain, tag="image_url", tag_field="type"):
    image_url: _ImageUrl


class _Function(_Plain):
    name: str
    arguments: str


class _Call(_Plain):
    id: str
    type: Literal["function"]
    function: _Function


class _System(_Plain, tag="system", tag_field="role"):
    content: msgspec.Raw
    name: None = None


class _User(_Plain, tag="user", tag_field="role"):
    content: msgspec.Raw
    name: None = None


class _Assistant(_Plain, tag="assistant", tag_field="role"):
    content: msgspec.Raw
    tool_calls: Annotated[list[_Call], msgspec.Meta(min_length=1)] | msgspec.UnsetType = (
        msgspec.UNSET
    )


class _Tool(_Plain, tag="tool", tag_field="role"):
    content: msgspec.Raw
    tool_call_id: str
    name: str | None = None


PlainMessage = _System | _User | _Assistant | _Tool

_read_parts: Final = msgspec.json.Decoder(list[_Text | _Image]).decode
_read_message: Final = msgspec.json.Decoder(PlainMessage).decode
_read_messages: Final = msgspec.json.Decoder(list[Message]).decode
_QUOTE, _BRACKET, _N = b'"[n'
_MAY_BE_NULL: Final = (_Assistant, _Tool)
_NO_MODALITIES: Final[frozenset[str]] = frozenset()
_IMAGES: Final = frozenset({"image"})


def plain_modalities(messages: Sequence[PlainMessage]) -> frozenset[str]:
    """What they contain besides text. Raises msgspec.ValidationError if a content is not plain."""
    has_image = False
    for message in messages:
        opening = memoryview(message.content)[0]
        if opening == _QUOTE:
            continue
        if opening == _BRACKET:
            has_image |= _has_image(message.content)
        elif opening != _N or not isinstance(message, _MAY_BE_NULL):
            raise msgspec.ValidationError("this content is neither text nor a list")
    return _IMAGES if has_image else _NO_MODALITIES


def _has_image(content: msgspec.Raw) -> bool:
    has_image = False
    for part in _read_parts(content):
        is_image = isinstance(part, _Image)
        text = part.image_url.url if isinstance(part, _Image) else part.text
        if memoryview(text)[0] != _QUOTE:
            raise msgspec.ValidationError("this is no text")
        has_image |= is_image
    return has_image


def is_plain(message: msgspec.Raw) -> bool:
    try:
        plain_modalities((_read_message(message),))
    except msgspec.ValidationError:
        return False
    return True


class PlainMessages(Sequence[Message]):
    """Messages as they were written, read when somebody looks into them.

    raw: a list of which `plain_modalities` has said that it is plain. count: how many there are.
    """

    __slots__ = ("_count", "_raw", "_read")

    def __init__(self, raw: msgspec.Raw, count: int) -> None:
        self._raw = raw
        self._count = count
        self._read: list[Message] | None = None

    def _messages(self) -> list[Message]:
        if self._read is None:
            self._read = _read_messages(self._raw)
        return self._read

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Message: ...

    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...

    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        return self._messages()[index]

    def __iter__(self) -> Iterator[Message]:
        return iter(self._messages())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._messages() == list(other)

    __hash__ = None  # type: ignore[assignment] # as a list: equal to another by what is in it

    def __repr__(self) -> str:
        return repr(self._messages())
