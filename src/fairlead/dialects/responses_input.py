"""The `input` of the Responses format, put into messages of our vocabulary.

A turn of the model is a run of items there (reasoning, text, calls) and one message here: items that
follow each other become one assistant message, because that is the form in which providers take a turn.

What becomes of an item:

- messages, reasoning, function and custom calls and their outputs: as they mean;
- calls of tools that the caller's own machine ran (shell, patches, computers): as calls of functions;
- images that the model made: as images of the assistant message;
- traces of tools that a provider ran (searches, code, remote servers): dropped, the text that follows
  them says what was found; tools that a search found are offered;
- references to stored items and compacted history: refused, because nothing is stored here and nobody but
  its writer can read the latter, and to leave them out would change what the model knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from fairlead.core.chat import (
    AssistantMessage,
    AudioData,
    AudioPart,
    CacheControl,
    DeveloperMessage,
    FileData,
    FilePart,
    FunctionCall,
    ImagePart,
    ImageUrl,
    Message,
    Part,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
    VideoPart,
    VideoUrl,
)
from fairlead.dialects.reading import wrong, wrong_type
from fairlead.dialects.responses_tools import custom_arguments, qualified_name

__all__ = ["Conversation"]

_OWN_REASONING_ID: Final = "rs_gen-"  # so begin the ids that we give to reasoning that had none
_FORMAT_ASSUMED: Final = "openai-responses-v1"  # of items that do not name another


# --- items as they are written ------------------------------------------------------------------------


class _Kind(msgspec.Struct, frozen=True):
    type: str | None = None


class _InputText(msgspec.Struct, frozen=True, tag="input_text", tag_field="type"):
    text: str
    prompt_cache_breakpoint: dict[str, msgspec.Raw] | None = None
    cache_control: CacheControl | None = None


class _InputImage(msgspec.Struct, frozen=True, tag="input_image", tag_field="type"):
    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None


class _InputFile(msgspec.Struct, frozen=True, tag="input_file", tag_field="type"):
    file_data: str | None = None
    file_url: str | None = None
    file_id: str | None = None
    filename: str | None = None


class _InputAudio(msgspec.Struct, frozen=True, tag="input_audio", tag_field="type"):
    input_audio: AudioData


class _InputVideo(msgspec.Struct, frozen=True, tag="input_video", tag_field="type"):
    video_url: str


class _OutputText(msgspec.Struct, frozen=True, tag="output_text", tag_field="type"):
    text: str


class _Refusal(msgspec.Struct, frozen=True, tag="refusal", tag_field="type"):
    refusal: str


_Content = (
    _InputText | _InputImage | _InputFile | _InputAudio | _InputVideo | _OutputText | _Refusal
)


class _MessageItem(msgspec.Struct, frozen=True):
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[_Content] | None = None


class _AgentMessage(msgspec.Struct, frozen=True):
    author: str
    content: list[_Content]


class _Text(msgspec.Struct, frozen=True):
    text: str


class _ReasoningItem(msgspec.Struct, frozen=True):
    """format, signature, server_tool_call: the gateway's extensions, as in the items that we write."""

    id: str | None = None
    summary: list[_Text | str] | None = None
    content: list[_Text] | None = None
    encrypted_content: str | None = None
    format: str | None = None
    signature: str | None = None
    server_tool_call: dict[str, msgspec.Raw] | None = None


class _CallItem(msgspec.Struct, frozen=True):
    name: str
    call_id: str | None = None
    id: str | None = None
    namespace: str | None = None


class _FunctionCallItem(_CallItem, frozen=True):
    arguments: str = ""


class _CustomCallItem(_CallItem, frozen=True):
    input: str = ""


class _OutputItem(msgspec.Struct, frozen=True):
    call_id: str
    output: str | list[_Content] | None = None


class _MachineCallItem(msgspec.Struct, frozen=True):
    call_id: str | None = None
    id: str | None = None


class _MachineOutputItem(msgspec.Struct, frozen=True):
    call_id: str | None = None
    id: str | None = None
    output: msgspec.Raw = msgspec.Raw(b"null")


class _ImageCallItem(msgspec.Struct, frozen=True):
    result: str | None = None
    output_format: str | None = None


class _ToolsItem(msgspec.Struct, frozen=True):
    tools: list[msgspec.Raw]


_read_kind: Final = msgspec.json.Decoder(_Kind).decode
_read_message: Final = msgspec.json.Decoder(_MessageItem).decode
_read_agent_message: Final = msgspec.json.Decoder(_AgentMessage).decode
_read_reasoning: Final = msgspec.json.Decoder(_ReasoningItem).decode
_read_function_call: Final = msgspec.json.Decoder(_FunctionCallItem).decode
_read_custom_call: Final = msgspec.json.Decoder(_CustomCallItem).decode
_read_output: Final = msgspec.json.Decoder(_OutputItem).decode
_read_machine_call: Final = msgspec.json.Decoder(_MachineCallItem).decode
_read_machine_output: Final = msgspec.json.Decoder(_MachineOutputItem).decode
_read_image_call: Final = msgspec.json.Decoder(_ImageCallItem).decode
_read_tools_item: Final = msgspec.json.Decoder(_ToolsItem).decode
_read_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode: Final = msgspec.json.Encoder().encode

# Tools that the caller's machine runs, by the type of their calls, and the name of the function here.
_MACHINE_CALLS: Final[Mapping[str, str]] = {
    "local_shell_call": "local_shell",
    "shell_call": "shell",
    "apply_patch_call": "apply_patch",
    "computer_call": "computer",
}
_MACHINE_OUTPUTS: Final = frozenset(f"{name}_output" for name in _MACHINE_CALLS)
_NOT_ARGUMENTS: Final = frozenset({"type", "id", "call_id", "status"})
# Traces of what a provider ran; of those with tools inside, see `_tools`.
_TRACES: Final = frozenset(
    {
        "web_search_call", "file_search_call", "code_interpreter_call", "tool_search_call",
        "mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response",
    }
)  # fmt: skip
_SERVER_TOOL_PREFIX: Final = "openrouter:"
_COMPACTED: Final = (
    "is compacted history, which only its writer can read: send the items themselves"
)
_REFUSED: Final[Mapping[str, str]] = {
    "item_reference": "refers to a stored item, and nothing is stored here: send the item itself",
    "compaction": _COMPACTED,
    "context_compaction": _COMPACTED,
}


# --- a conversation out of them -----------------------------------------------------------------------


class Conversation:
    """Give it the items in order; then it has the messages.

    messages: so far, without the assistant's turn that is still growing; `end` adds it.
    tools: (path, tool as written) of tools that items bring along.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.tools: list[tuple[str, msgspec.Raw]] = []
        self._turn: _Turn | None = None

    def instruct(self, text: str) -> None:
        """What stands above the conversation."""
        self.messages.append(SystemMessage(text))

    def say(self, text: str) -> None:
        """The whole input as one text."""
        self.messages.append(UserMessage(text))

    def add(self, path: str, raw: msgspec.Raw) -> None:
        """One item. Raises RequestInvalid with the path of the first field that is wrong."""
        try:
            kind = _read_kind(raw).type or "message"
            match kind:
                case "message":
                    self._message(path, raw)
                case "reasoning":
                    self._assistant().reason(_read_reasoning(raw))
                case "function_call":
                    call = _read_function_call(raw)
                    self._assistant().call(path, call, call.arguments)
                case "custom_tool_call":
                    custom = _read_custom_call(raw)
                    self._assistant().call(path, custom, custom_arguments(custom.input))
                case "function_call_output" | "custom_tool_call_output":
                    self._output(path, raw)
                case "additional_tools" | "tool_search_output":
                    self._tools(path, raw)
                case "image_generation_call":
                    self._image_call(raw)
                case "agent_message":
                    self._agent_message(path, raw)
                case _:
                    self._other(path, kind, raw)
        except msgspec.ValidationError as error:
            raise wrong_type(error, path) from None

    def end(self) -> None:
        """No more items."""
        if self._turn is not None:
            self.messages.append(self._turn.message())
            self._turn = None

    def _assistant(self) -> _Turn:
        if self._turn is None:
            self._turn = _Turn()
        return self._turn

    def _say(self, message: Message) -> None:
        self.end()
        self.messages.append(message)

    def _message(self, path: str, raw: msgspec.Raw) -> None:
        item = _read_message(raw)
        content = _content(item.content, f"{path}.content")
        match item.role:
            case "user":
                self._say(UserMessage(content))
            case "system":
                self._say(SystemMessage(content))
            case "developer":
                self._say(DeveloperMessage(content))
            case "assistant":
                self._assistant().say(content)

    def _agent_message(self, path: str, raw: msgspec.Raw) -> None:
        item = _read_agent_message(raw)
        self._say(UserMessage(_content(item.content, f"{path}.content"), name=item.author or None))

    def _other(self, path: str, kind: str, raw: msgspec.Raw) -> None:
        if kind in _MACHINE_CALLS:
            self._machine_call(_MACHINE_CALLS[kind], raw)
        elif kind in _MACHINE_OUTPUTS:
            self._machine_output(raw)
        elif kind in _REFUSED:
            raise wrong(path, _REFUSED[kind])
        elif kind not in _TRACES and not kind.startswith(_SERVER_TOOL_PREFIX):
            raise wrong(f"{path}.type", f"is not known: {kind[:80]!r}")

    def _output(self, path: str, raw: msgspec.Raw) -> None:
        item = _read_output(raw)
        self._say(ToolMessage(_content(item.output, f"{path}.output"), tool_call_id=item.call_id))

    def _machine_call(self, name: str, raw: msgspec.Raw) -> None:
        item = _read_machine_call(raw)
        arguments = {
            name: value for name, value in _read_fields(raw).items() if name not in _NOT_ARGUMENTS
        }
        function = FunctionCall(name=name, arguments=_encode(arguments).decode())
        self._assistant().calls.append(ToolCall(function=function, id=item.call_id or item.id))

    def _machine_output(self, raw: msgspec.Raw) -> None:
        item = _read_machine_output(raw)
        output = msgspec.json.decode(item.output)
        text = output if isinstance(output, str) else bytes(item.output).decode()
        self._say(ToolMessage(text, tool_call_id=item.call_id or item.id))

    def _image_call(self, raw: msgspec.Raw) -> None:
        item = _read_image_call(raw)
        if item.result:
            is_url = item.result.startswith(("data:", "http:", "https:"))
            kind = item.output_format or "png"
            url = item.result if is_url else f"data:image/{kind};base64,{item.result}"
            self._assistant().images.append(ImagePart(ImageUrl(url)))

    def _tools(self, path: str, raw: msgspec.Raw) -> None:
        for position, tool in enumerate(_read_tools_item(raw).tools):
            self.tools.append((f"{path}.tools[{position}]", tool))


class _Turn:
    """The assistant's message while its items come in."""

    __slots__ = ("_details", "_parts", "_thoughts", "calls", "images")

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._thoughts: list[str] = []
        self._details: list[dict[str, msgspec.Raw]] = []
        self.calls: list[ToolCall] = []
        self.images: list[ImagePart] = []

    def say(self, content: str | list[Part]) -> None:
        if isinstance(content, list):
            self._parts += content
        elif content:
            self._parts.append(TextPart(content))

    def call(self, path: str, item: _CallItem, arguments: str) -> None:
        call_id = item.call_id or item.id
        if call_id is None:
            raise wrong(f"{path}.call_id", "is required")
        name = qualified_name(item.name, item.namespace)
        self.calls.append(
            ToolCall(function=FunctionCall(name=name, arguments=arguments), id=call_id)
        )

    def reason(self, item: _ReasoningItem) -> None:
        """An item is one or more details: each summary, each text, and what is encrypted."""
        summaries = [
            entry if isinstance(entry, str) else entry.text for entry in item.summary or ()
        ]
        texts = [entry.text for entry in item.content or ()]
        self._thoughts += texts or summaries
        pieces: list[dict[str, object]] = [
            {"type": "reasoning.summary", "summary": text} for text in summaries
        ]
        pieces += ({"type": "reasoning.text", "text": text} for text in texts)
        if item.signature is not None:
            if not texts:
                pieces.append({"type": "reasoning.text", "text": ""})
            pieces[-1]["signature"] = item.signature
        if item.encrypted_content is not None:
            pieces.append({"type": "reasoning.encrypted", "data": item.encrypted_content})
        if item.server_tool_call is not None:
            pieces.append({**item.server_tool_call, "type": "reasoning.server_tool_call"})
        known_id = None if (item.id or "").startswith(_OWN_REASONING_ID) else item.id
        for piece in pieces:
            piece["id"] = known_id
            piece["format"] = item.format or _FORMAT_ASSUMED
            piece["index"] = len(self._details)
            self._details.append(
                {name: msgspec.Raw(_encode(value)) for name, value in piece.items()}
            )

    def message(self) -> AssistantMessage:
        return AssistantMessage(
            content=_plainest(self._parts) if self._parts else None,
            tool_calls=self.calls or None,
            reasoning="\n\n".join(self._thoughts) or None,
            reasoning_details=self._details or None,
            images=self.images or None,
        )


# --- parts --------------------------------------------------------------------------------------------


def _content(content: str | list[_Content] | None, path: str) -> str | list[Part]:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return _plainest([_part(part, f"{path}[{position}]") for position, part in enumerate(content)])


def _plainest(parts: list[Part]) -> str | list[Part]:
    """One text alone is said without a list around it: that is what every provider reads."""
    if len(parts) == 1 and isinstance(parts[0], TextPart) and parts[0].cache_control is None:
        return parts[0].text
    return parts


def _part(part: _Content, path: str) -> Part:
    match part:
        case _InputText():
            mark = part.cache_control
            if mark is None and part.prompt_cache_breakpoint is not None:
                mark = CacheControl()
            return TextPart(part.text, cache_control=mark)
        case _InputImage():
            if part.image_url is None:
                raise wrong(f"{path}.image_url", "is required; uploaded images cannot be read here")
            return ImagePart(ImageUrl(part.image_url, detail=part.detail))
        case _InputFile():
            if part.file_data is None and part.file_url is None and part.file_id is None:
                raise wrong(path, "needs `file_data`, `file_url` or `file_id`")
            data = part.file_data or part.file_url
            return FilePart(FileData(part.filename, data, part.file_id))
        case _InputAudio():
            return AudioPart(part.input_audio)
        case _InputVideo():
            return VideoPart(VideoUrl(part.video_url))
        case _OutputText():
            return TextPart(part.text)
        case _Refusal():
            return RefusalPart(part.refusal)
