"""Reading a request for embeddings, in OpenAI's format with the documented parts for images and sound.

One vector comes of each input, so an input is never dropped and never split: what cannot be read is refused,
with the path of the input. Fields that we do not know travel on to providers of the same format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from fairlead.core.chat import (
    ABSENT,
    AudioData,
    AudioPart,
    ChatBody,
    FileData,
    FilePart,
    ImagePart,
    ImageUrl,
    ProviderPreferences,
    TextPart,
    VideoPart,
    VideoUrl,
    WireFormat,
)
from fairlead.core.errors import RequestInvalid
from fairlead.core.retrieval import EmbeddingInput, EmbeddingPart, EmbeddingsRequest
from fairlead.dialects.reading import not_json, wrong, wrong_type

__all__ = ["USER_CHARACTERS_MAX", "read_embeddings_request", "read_raw_fields"]

USER_CHARACTERS_MAX: Final = 256


class _Text(msgspec.Struct, frozen=True, tag="text", tag_field="type"):
    text: str


class _Url(msgspec.Struct, frozen=True):
    url: str


class _Image(msgspec.Struct, frozen=True, tag="image_url", tag_field="type"):
    image_url: _Url


class _Media(msgspec.Struct, frozen=True):
    """data: a data URL, or base64 alone. format: as "wav"; needed where the data does not say it."""

    data: str
    format: str | None = None


class _Audio(msgspec.Struct, frozen=True, tag="input_audio", tag_field="type"):
    input_audio: _Media


class _Video(msgspec.Struct, frozen=True, tag="input_video", tag_field="type"):
    input_video: _Media


class _File(msgspec.Struct, frozen=True, tag="input_file", tag_field="type"):
    input_file: _Media


_Part = _Text | _Image | _Audio | _Video | _File


class _Content(msgspec.Struct, frozen=True):
    content: list[_Part]


_Item = str | int | list[int] | _Content


class _Body(msgspec.Struct, frozen=True):
    """What we act on."""

    input: str | list[_Item]
    model: str | None = None
    models: msgspec.Raw = ABSENT
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] | None = None
    input_type: str | None = None
    user: str | None = None
    provider: ProviderPreferences | str | None = None
    session_id: str | None = None
    stream: bool | None = None


_read_body: Final = msgspec.json.Decoder(_Body).decode
_read_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_raw_fields(body: bytes) -> dict[str, msgspec.Raw]:
    """The top-level fields as they were written. Raises RequestInvalid if there are none to read."""
    try:
        str(body, "utf-8")  # the decoder checks only what it reads
        return _read_fields(body)
    except msgspec.ValidationError as error:
        raise wrong_type(error) from None
    except (ValueError, RecursionError) as error:
        raise not_json(body, error) from None


def read_embeddings_request(body: bytes) -> EmbeddingsRequest:
    """Decode a body. Raises RequestInvalid with the path of the first field that is wrong."""
    fields = read_raw_fields(body)
    try:
        asked = _read_body(body)
    except msgspec.ValidationError as error:
        raise wrong_type(error) from None
    _check(asked)
    inputs = _inputs(asked.input)
    return EmbeddingsRequest(
        source=WireFormat.OPENAI_EMBEDDINGS,
        fields=fields,
        body=ChatBody(
            model=asked.model,
            prompt=_to_count(inputs),
            provider=asked.provider,
            user=asked.user,
            session_id=asked.session_id,
        ),
        reasoning=None,
        modalities=frozenset(_modalities(inputs)),
        characters=0,
        inputs=inputs,
        dimensions=asked.dimensions,
        encoding=asked.encoding_format or "float",
        input_type=asked.input_type,
    )


def _check(asked: _Body) -> None:
    if bytes(asked.models) not in (b"", b"null"):
        raise wrong("models", "is not taken here: vectors of different models cannot be compared")
    if asked.stream:
        raise wrong("stream", "must not be true: embeddings are not streamed")
    if asked.dimensions is not None and asked.dimensions < 1:
        raise wrong("dimensions", f"must be at least 1, not {asked.dimensions}")
    if asked.user is not None and len(asked.user) > USER_CHARACTERS_MAX:
        raise wrong("user", f"must have at most {USER_CHARACTERS_MAX} characters")


# --- inputs -------------------------------------------------------------------------------------------


def _inputs(given: str | list[_Item]) -> tuple[EmbeddingInput, ...]:
    if isinstance(given, str):
        return (_text(given, "input"),)
    if not given:
        raise wrong("input", "must not be an empty list")
    kind = type(given[0])
    for position, item in enumerate(given):
        if type(item) is not kind:
            raise wrong(f"input[{position}]", "must be of the same kind as those before it")
    if kind is int:
        return (_tokens(given, "input"),)
    return tuple(_input(item, f"input[{position}]") for position, item in enumerate(given))


def _input(item: _Item, at: str) -> EmbeddingInput:
    if isinstance(item, str):
        return _text(item, at)
    if isinstance(item, list):
        return _tokens(item, at)
    assert isinstance(item, _Content), "a list of numbers is one input"
    if not item.content:
        raise wrong(f"{at}.content", "must hold at least one part")
    return tuple(
        _part(part, f"{at}.content[{position}]") for position, part in enumerate(item.content)
    )


def _text(text: str, at: str) -> str:
    if not text:
        raise wrong(at, "must not be empty")
    return text


def _tokens(numbers: Sequence[_Item], at: str) -> tuple[int, ...]:
    tokens = tuple(number for number in numbers if isinstance(number, int))
    if not tokens:
        raise wrong(at, "must hold at least one token")
    if min(tokens) < 0:
        raise wrong(at, "must hold numbers of tokens, which are not negative")
    return tokens


def _part(part: _Part, at: str) -> EmbeddingPart:
    match part:
        case _Text():
            return TextPart(_text(part.text, f"{at}.text"))
        case _Image():
            return ImagePart(ImageUrl(part.image_url.url))
        case _Audio():
            return AudioPart(_audio(part.input_audio, f"{at}.input_audio"))
        case _Video():
            return VideoPart(VideoUrl(_url(part.input_video, "video", "mp4")))
        case _File():
            return FilePart(FileData(file_data=_url(part.input_file, "application", "pdf")))


def _audio(media: _Media, at: str) -> AudioData:
    head, comma, data = media.data.partition(",")
    if not (comma and head.startswith("data:")):
        head, data = "", media.data
    kind = media.format or head.partition(";")[0].rpartition("/")[2]
    if not kind:
        raise RequestInvalid(f"`{at}.format` is required.", param=f"{at}.format")
    return AudioData(data=data, format=kind)


def _url(media: _Media, kind: str, usual: str) -> str:
    if media.data.startswith(("data:", "http://", "https://")):
        return media.data
    return f"data:{kind}/{media.format or usual};base64,{media.data}"


# --- what is counted ----------------------------------------------------------------------------------


def _to_count(inputs: tuple[EmbeddingInput, ...]) -> list[str | int | list[int]]:
    """The texts, for an estimate of what they cost where a provider does not say it."""
    texts: list[str | int | list[int]] = []
    for item in inputs:
        if isinstance(item, str):
            texts.append(item)
        else:
            texts += (part.text for part in item if isinstance(part, TextPart))
    return texts


_MODALITIES: Final[Mapping[type, str]] = {
    ImagePart: "image",
    AudioPart: "audio",
    VideoPart: "video",
    FilePart: "file",
}


def _modalities(inputs: tuple[EmbeddingInput, ...]) -> set[str]:
    """What the inputs hold besides text."""
    return {
        _MODALITIES[type(part)]
        for item in inputs
        if not isinstance(item, str)
        for part in item
        if type(part) in _MODALITIES
    }
