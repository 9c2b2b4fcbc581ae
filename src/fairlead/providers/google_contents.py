"""A conversation as Google's `contents`: turns of `user` and `model`, each a list of parts.

Where the formats differ:

- system messages, wherever they stand, are one `systemInstruction`; messages of one side that follow each
  other are one turn, so that results of parallel calls stand together, as Google insists;
- results name their function, not only the call: the name is found from the call's id;
- arguments and results are JSON objects here. A result that is one stays one; any other text becomes
  `{"output": text}`, or `{"error": text}` if the tool failed;
- a thought signature goes back to the part that it came with (`_Signatures`).

Sources (read 2026-11-21): https://ai.google.dev/api/caching#Content,
https://ai.google.dev/gemini-api/docs/thought-signatures.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never
from urllib.parse import unquote_to_bytes

import msgspec

from fairlead.core.chat import (
    AssistantMessage,
    AudioPart,
    DeveloperMessage,
    FileData,
    FilePart,
    FunctionCall,
    FunctionMessage,
    ImagePart,
    Message,
    OtherPart,
    Part,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
    VideoPart,
)
from fairlead.core.errors import RequestInvalid
from fairlead.providers.google_models import Generation

__all__ = ["REASONING_FORMAT", "Conversation", "conversation", "image_signature_id"]

REASONING_FORMAT: Final = "google-gemini-v1"

# What Google documents for calls that another model made: they have no signature that it could check.
_NO_SIGNATURE: Final = "skip_thought_signature_validator"

GooglePart = dict[str, object]

_decode: Final = msgspec.json.Decoder().decode
_INTEGER_EXACT_MAX: Final = 2**53  # Google keeps numbers of results as doubles


def image_signature_id(position: int) -> str:
    """The id of the reasoning detail that holds the signature of an answer's image."""
    return f"image_{position}"


@dataclass(slots=True)
class Conversation:
    """system: texts of the instruction. contents: turns, in order."""

    system: list[str] = field(default_factory=list)
    contents: list[dict[str, object]] = field(default_factory=list)

    def add(self, role: str, parts: list[GooglePart]) -> None:
        """Parts of a turn; an empty turn is none."""
        if not parts:
            return
        last = self.contents[-1] if self.contents else None
        if last is not None and last["role"] == role:
            known = last["parts"]
            assert isinstance(known, list)  # made below
            known.extend(parts)
        else:
            self.contents.append({"role": role, "parts": parts})


def conversation(
    messages: Sequence[Message], generation: Generation, *, takes_call_ids: bool
) -> Conversation:
    """takes_call_ids: whether calls and results may have ids; else they are matched by name and order.

    Raises RequestInvalid for what Google has no place for.
    """
    told = Conversation()
    names: dict[str, str] = {}  # of functions, by the id of their call, in the order of the calls
    for position, message in enumerate(messages):
        at = f"messages[{position}]"
        match message:
            case SystemMessage() | DeveloperMessage():
                told.system.append(_named(message.name, _text(message.content)))
            case UserMessage():
                told.add("user", _user_parts(message, at))
            case AssistantMessage():
                told.add("model", _model_parts(message, names, generation, at))
            case ToolMessage() | FunctionMessage():
                told.add("user", _result_parts(message, names, generation, at))
            case _:
                assert_never(message)
    if not takes_call_ids:
        for turn in told.contents:
            _match_by_order(turn["parts"], list(names))
    if not told.contents:
        # A request needs a turn; instructions without one are what is asked.
        told.add("user", [{"text": text} for text in told.system or ("",)])
        told.system.clear()
    return told


def _match_by_order(parts: object, call_ids: list[str]) -> None:
    """Takes the ids out of a turn. Its results, which stand together, come in the order of their calls."""
    assert isinstance(parts, list)  # of a turn
    order = {call_id: position for position, call_id in enumerate(call_ids)}
    results = [position for position, part in enumerate(parts) if "functionResponse" in part]
    ordered = sorted(
        (parts[position] for position in results),
        key=lambda part: order.get(part["functionResponse"].get("id"), len(order)),
    )
    for position, part in zip(results, ordered, strict=True):
        parts[position] = part
    for part in parts:
        for name in ("functionCall", "functionResponse"):
            if name in part:
                part[name].pop("id", None)


def _named(name: str | None, text: str) -> str:
    return f"{name}: {text}" if name else text


def _text(content: str | Sequence[Part] | None) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.text for part in content or () if isinstance(part, TextPart))


# --- what a user says -----------------------------------------------------------------------------------


def _user_parts(message: UserMessage, at: str) -> list[GooglePart]:
    if isinstance(message.content, str):
        text = _named(message.name, message.content)
        return [{"text": text}] if text else []
    parts = list(_parts(message.content, at))
    return [{"text": f"{message.name}: "}, *parts] if message.name else parts


def _parts(content: Iterable[Part], at: str) -> Iterable[GooglePart]:
    for position, part in enumerate(content):
        made = _part(part, f"{at}.content[{position}]")
        if made is not None:
            yield made


def _part(part: Part, at: str) -> GooglePart | None:
    """None: there is nothing to say."""
    match part:
        case TextPart():
            return {"text": part.text} if part.text else None
        case RefusalPart():
            return {"text": part.refusal} if part.refusal else None
        case ImagePart():
            return _media(part.image_url.url, "image/jpeg")
        case FilePart():
            return _file(part.file, at)
        case AudioPart():
            audio = part.input_audio
            return _inline(_AUDIO_TYPES.get(audio.format, f"audio/{audio.format}"), audio.data)
        case VideoPart():
            return _media(part.video_url.url, "video/mp4")
        case OtherPart():
            return None  # of a format that this is not
        case _:
            assert_never(part)


_AUDIO_TYPES: Final = {
    "mp3": "audio/mp3",
    "m4a": "audio/mp4",
    "pcm16": "audio/L16;rate=24000",
    "pcm24": "audio/L24;rate=24000",
}
# What an address without a type most likely is. (The standard library's table differs by machine.)
_TYPES_BY_ENDING: Final = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp",
    "gif": "image/gif", "heic": "image/heic", "heif": "image/heif",
    "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown", "html": "text/html",
    "csv": "text/csv", "json": "application/json", "xml": "text/xml",
    "mp3": "audio/mp3", "wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg",
    "aac": "audio/aac", "aiff": "audio/aiff", "m4a": "audio/mp4",
    "mp4": "video/mp4", "mpeg": "video/mpeg", "mov": "video/quicktime", "webm": "video/webm",
}  # fmt: skip


def _file(file: FileData, at: str) -> GooglePart:
    if file.file_data:
        ending = _TYPES_BY_ENDING.get(_ending(file.filename or ""))
        return _media(file.file_data, ending or "application/pdf")
    if file.file_id and "://" in file.file_id:  # a file that was uploaded at Google
        return _media(file.file_id, "application/pdf")
    raise RequestInvalid(
        "A file needs `file_data`: ids of files of other providers mean nothing to this one.",
        param=f"{at}.file",
    )


def _media(url: str, kind: str) -> GooglePart:
    """A data URL or an address. kind: what it is unless it says otherwise; Vertex AI insists on a type."""
    if not url.startswith("data:"):
        mime_type = _TYPES_BY_ENDING.get(_ending(url.partition("?")[0])) or kind
        return {"fileData": {"mimeType": mime_type, "fileUri": url}}
    head, _, data = url[len("data:") :].partition(",")
    mime_type, *parameters = head.split(";")
    if "base64" not in parameters:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return _inline(mime_type or kind, data)


def _inline(mime_type: str, data: str) -> GooglePart:
    return {"inlineData": {"mimeType": mime_type, "data": data}}


def _ending(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2].lower()


# --- what the model said --------------------------------------------------------------------------------


class _Signatures:
    """Thought signatures of one answer, by the part that each belongs to.

    In `reasoning_details` a signature is an encrypted item: with the id of a call, or of an image, or with
    none for the answer's text. A thought that is signed itself has its `signature` beside its text.
    """

    __slots__ = ("by_id", "of_text", "thoughts")

    def __init__(self, details: Iterable[dict[str, msgspec.Raw]]) -> None:
        self.by_id: dict[str, str] = {}
        self.of_text = ""
        self.thoughts: list[GooglePart] = []
        for raw in details:
            detail = {name: _word(value) for name, value in raw.items()}
            if detail.get("format") != REASONING_FORMAT:
                continue  # another provider's, which Google would refuse
            data = detail.get("data")
            if detail.get("type") == "reasoning.encrypted" and data:
                if detail.get("id"):
                    self.by_id.setdefault(detail["id"], data)
                else:
                    self.of_text = data
            elif detail.get("type") == "reasoning.text" and detail.get("signature"):
                self.thoughts.append(
                    {
                        "text": detail.get("text", ""),
                        "thought": True,
                        "thoughtSignature": detail["signature"],
                    }
                )


def _word(raw: msgspec.Raw) -> str:
    value = _decode(raw)
    return value if isinstance(value, str) else ""


def _model_parts(
    message: AssistantMessage, names: dict[str, str], generation: Generation, at: str
) -> list[GooglePart]:
    signatures = _Signatures(message.reasoning_details or ())
    parts = list(signatures.thoughts)
    said: list[GooglePart] = []
    if not isinstance(message.content, str):
        said.extend(_parts(message.content or (), at))
    elif message.content:
        said.append({"text": message.content})
    if message.refusal:
        said.append({"text": message.refusal})
    if signatures.of_text:
        if not said or "text" not in said[-1]:
            said.append({"text": ""})  # the end of a stream: a signature, and no more to say
        said[-1]["thoughtSignature"] = signatures.of_text
    parts += said
    for position, image in enumerate(message.images or ()):
        part = _media(image.image_url.url, "image/jpeg")
        if signature := signatures.by_id.get(image_signature_id(position)):
            part["thoughtSignature"] = signature
        parts.append(part)
    parts += _calls(message, signatures, names, generation)
    return parts


def _calls(
    message: AssistantMessage,
    signatures: _Signatures,
    names: dict[str, str],
    generation: Generation,
) -> list[GooglePart]:
    parts: list[GooglePart] = []
    calls: list[tuple[str | None, FunctionCall]] = [
        (call.id, call.function) for call in message.tool_calls or () if call.function is not None
    ]
    if message.function_call is not None:
        calls.append((None, message.function_call))
    for call_id, function in calls:
        told: dict[str, object] = {"name": function.name, "args": _arguments(function.arguments)}
        part: GooglePart = {"functionCall": told}
        if call_id:
            names[call_id] = function.name
            told["id"] = call_id
            if signature := signatures.by_id.get(call_id):
                part["thoughtSignature"] = signature
        parts.append(part)
    if parts and generation.checks_signatures and "thoughtSignature" not in parts[0]:
        parts[0]["thoughtSignature"] = _NO_SIGNATURE  # of parallel calls only the first has one
    return parts


def _arguments(text: str) -> object:
    """Arguments as the object that Google insists on. Text that is none was the model's own slip."""
    if not text.strip():
        return {}
    try:
        arguments = _decode(text)
    except (ValueError, RecursionError):
        return {"arguments": text}
    return msgspec.Raw(text.encode()) if isinstance(arguments, dict) else {"arguments": arguments}


# --- what a function answered ---------------------------------------------------------------------------

_MEDIA_OF_RESULTS: Final = frozenset(
    {"image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"}
)


def _result_parts(
    message: ToolMessage | FunctionMessage,
    names: dict[str, str],
    generation: Generation,
    at: str,
) -> list[GooglePart]:
    """The result, and beside it what has no place inside."""
    text = _text(message.content)
    told: dict[str, object] = {}
    if isinstance(message, ToolMessage):
        if message.tool_call_id:
            told["id"] = message.tool_call_id
        name = names.get(message.tool_call_id or "") or message.name
        response = {"error": text} if message.is_error else _response(text)
    else:
        name, response = message.name, _response(text)
    if not name:
        raise RequestInvalid(
            "No earlier message has the tool call that this result belongs to.",
            param=f"{at}.tool_call_id",
        )
    told["name"] = name
    told["response"] = response
    inside: list[GooglePart] = []
    beside: list[GooglePart] = []
    if isinstance(message.content, list):
        media = (part for part in message.content if not isinstance(part, TextPart))
        for part in _parts(media, at):
            fits = generation.takes_media_in_results and _mime_type(part) in _MEDIA_OF_RESULTS
            (inside if fits else beside).append(part)
    if inside:
        told["parts"] = inside
    return [{"functionResponse": told}, *beside]


def _mime_type(part: GooglePart) -> object:
    blob = part.get("inlineData") or part.get("fileData")
    return blob.get("mimeType") if isinstance(blob, dict) else None


def _response(text: str) -> object:
    """A result as an object. What would not survive as one (references, large integers) stays text."""
    if text.lstrip().startswith("{"):
        try:
            if _survives(value := _decode(text)):
                return value
        except (ValueError, RecursionError):
            pass
    return {"output": text}


def _survives(value: object) -> bool:
    """Google reads `$ref` in a result as its own, and refuses it; numbers it keeps as doubles."""
    if isinstance(value, dict):
        return all(name != "$ref" and _survives(inner) for name, inner in value.items())
    if isinstance(value, list):
        return all(map(_survives, value))
    return not isinstance(value, int) or abs(value) <= _INTEGER_EXACT_MAX
