"""Parts of a conversation as Converse's content blocks.

Converse takes files as bytes (base64 in JSON) or as an object in S3; it fetches no addresses, so those are
refused here, with the place where they stand.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from fairlead.core.chat import (
    AudioPart,
    CacheControl,
    FilePart,
    ImagePart,
    OtherPart,
    Part,
    RefusalPart,
    TextPart,
    VideoPart,
)
from fairlead.core.errors import ErrorType, RequestInvalid

__all__ = ["Block", "Documents", "cache_point", "content_blocks"]

Block = dict[str, object]

_NAME_CHARACTERS_MAX: Final = 180  # Converse allows 200; the rest is for telling equal names apart

_IMAGES: Final[Mapping[str, str]] = {
    "image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif",
    "image/webp": "webp",
}  # fmt: skip
_VIDEOS: Final[Mapping[str, str]] = {
    "video/mp4": "mp4", "video/quicktime": "mov", "video/mov": "mov", "video/webm": "webm",
    "video/x-matroska": "mkv", "video/mpeg": "mpeg", "video/x-flv": "flv", "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}  # fmt: skip
_DOCUMENTS: Final[Mapping[str, str]] = {
    "application/pdf": "pdf", "text/csv": "csv", "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html", "text/plain": "txt", "text/markdown": "md", "application/json": "txt",
}  # fmt: skip
_ENDINGS: Final[Mapping[str, str]] = {
    "htm": "html", "markdown": "md", "text": "txt", "json": "txt", "jpg": "jpeg", "3gp": "three_gp",
}  # fmt: skip
_DOCUMENT_FORMATS: Final = frozenset(_DOCUMENTS.values())
_AUDIO: Final[Mapping[str, str]] = {
    "mp3": "mp3", "wav": "wav", "aac": "aac", "flac": "flac", "ogg": "ogg", "m4a": "m4a",
    "opus": "opus", "webm": "webm", "pcm16": "pcm",
}  # fmt: skip
# Blocks that no other format has: a caller who writes one means Bedrock, and it goes as it is.
_CONVERSE_ONLY: Final = frozenset({"guardContent", "searchResult"})

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9\-()\[\]]+")
_decode: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Documents:
    """Names of the documents in one request: Converse wants them plain and unique."""

    __slots__ = ("_counts", "_used")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._used: set[str] = set()

    def name(self, filename: str | None) -> str:
        stem = (filename or "").rpartition("/")[2]
        stem = stem.rpartition(".")[0] or stem
        plain = _NOT_IN_NAMES.sub(" ", stem)[:_NAME_CHARACTERS_MAX].strip() or "Document"
        name = plain
        count = self._counts.get(plain, 0)
        while count == 0 or name in self._used:
            count += 1
            name = plain if count == 1 else f"{plain} ({count})"
        self._counts[plain] = count
        self._used.add(name)
        return name


def content_blocks(
    content: str | list[Part] | None, documents: Documents, path: str, *, takes_cache_points: bool
) -> list[Block]:
    """Blocks of one message. path: where the content stands, for errors.

    Empty text is left out, because Converse refuses it. Raises RequestInvalid for what it cannot take.
    """
    if content is None or isinstance(content, str):
        return [{"text": content}] if content else []
    blocks: list[Block] = []
    for position, part in enumerate(content):
        block = _block(part, documents, f"{path}[{position}]")
        if block is not None:
            blocks.append(block)
        if takes_cache_points and isinstance(part, TextPart | ImagePart | FilePart):
            if part.cache_control is not None and blocks:
                blocks.append(cache_point(part.cache_control))
    return blocks


def cache_point(mark: CacheControl) -> Block:
    """The mark after what is to be cached. Five minutes is what every model has, so it goes unsaid."""
    point = {"type": "default"}
    if mark.ttl is not None and mark.ttl != "5m":
        point["ttl"] = mark.ttl
    return {"cachePoint": point}


def _block(part: Part, documents: Documents, path: str) -> Block | None:
    match part:
        case TextPart():
            return {"text": part.text} if part.text else None
        case RefusalPart():
            return {"text": part.refusal} if part.refusal else None
        case ImagePart():
            return _file(part.image_url.url, None, documents, f"{path}.image_url.url", _IMAGE)
        case VideoPart():
            return _file(part.video_url.url, None, documents, f"{path}.video_url.url", _VIDEO)
        case FilePart():
            if part.file.file_data is None:
                raise RequestInvalid(
                    "Amazon Bedrock takes a file's data, not the id of an uploaded file.",
                    param=f"{path}.file.file_id",
                )
            return _file(
                part.file.file_data,
                part.file.filename,
                documents,
                f"{path}.file.file_data",
                _DOCUMENT,
            )
        case AudioPart():
            kind = _AUDIO.get(part.input_audio.format)
            if kind is None:
                raise RequestInvalid(
                    f"Amazon Bedrock takes no audio of the format {part.input_audio.format!r}.",
                    param=f"{path}.input_audio.format",
                )
            return {"audio": {"format": kind, "source": {"bytes": part.input_audio.data}}}
        case OtherPart():
            return _other(part, path)


def _other(part: OtherPart, path: str) -> Block:
    fields = _decode(part.part)
    for name in _CONVERSE_ONLY:
        if name in fields:
            return {name: fields[name]}
    raise RequestInvalid("Amazon Bedrock takes no part of this type.", param=f"{path}.type")


# What a file is meant to be, if it does not say: what the kind of its part says.
_IMAGE: Final = "image"
_VIDEO: Final = "video"
_DOCUMENT: Final = "document"
_MEDIA_TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    _IMAGE: _IMAGES,
    _VIDEO: _VIDEOS,
    _DOCUMENT: _DOCUMENTS,
}


def _file(url: str, filename: str | None, documents: Documents, path: str, meant: str) -> Block:
    """An image, a video or a document, by what its data says it is."""
    if url.startswith("s3://"):
        ending = _ending(url)
        source: Block = {"s3Location": {"uri": url}}
        kind = next(
            (kind for kind, types in _MEDIA_TYPES.items() if ending in types.values()), meant
        )
        filename = filename or url
        file_format: str | None = ending
    elif url.startswith("data:"):
        media_type, encoded = _read_data_url(url, path)
        source = {"bytes": encoded}
        kind = next((kind for kind, types in _MEDIA_TYPES.items() if media_type in types), meant)
        file_format = _MEDIA_TYPES[kind].get(media_type)
        if file_format is None and kind == _DOCUMENT:
            ending = _ending(filename or "")
            is_text = media_type.startswith("text/")
            file_format = ending if ending in _DOCUMENT_FORMATS else "txt" if is_text else None
    else:
        raise RequestInvalid(
            f"Amazon Bedrock fetches no addresses: send the {meant} itself, as a data URL.",
            param=path,
        )
    if not file_format:
        raise RequestInvalid(
            f"Amazon Bedrock does not take this type of {kind}.",
            param=path,
            error_type=ErrorType.UNSUPPORTED_IMAGE_FORMAT
            if kind == _IMAGE
            else ErrorType.INVALID_REQUEST,
        )
    if kind == _DOCUMENT:
        name = documents.name(filename)
        return {"document": {"format": file_format, "name": name, "source": source}}
    return {kind: {"format": file_format, "source": source}}


def _ending(name: str) -> str:
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    return _ENDINGS.get(ending, ending)


def _read_data_url(url: str, path: str) -> tuple[str, str]:
    """(media type, base64)."""
    head, comma, data = url.removeprefix("data:").partition(",")
    if not comma or not data:
        raise RequestInvalid("This is not a data URL with data in it.", param=path)
    media_type, *parameters = head.lower().split(";")
    if "base64" not in parameters:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return media_type.strip(), data
