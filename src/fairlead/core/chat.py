"""Our one vocabulary for conversation: what callers ask and what models answer.

Its shapes are those of the OpenAI chat dialect with the gateway's extensions, because that is what most
callers and most providers speak: such a body is decoded into this vocabulary in one pass and costs
nothing to translate. Every other dialect and format translates to and from it. Fields that we do not know
stay behind in `ChatRequest.fields`, byte for byte, and travel on where both sides speak the same format.

An answer is a sequence of `ChatEvent`s, whether it was streamed or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, Literal

import msgspec

from fairlead.core.usage import Usage

__all__ = [
    "ABSENT",
    "AnnotationsAdded",
    "AssistantMessage",
    "AudioPart",
    "ChatBody",
    "ChatEvent",
    "ChatRequest",
    "FilePart",
    "FinishReason",
    "Finished",
    "Frame",
    "Function",
    "ImagePart",
    "Likeness",
    "MediaAdded",
    "Message",
    "Part",
    "PlainEvent",
    "ReasoningDelta",
    "ReasoningSettings",
    "RefusalDelta",
    "ResponseFormat",
    "Started",
    "SystemMessage",
    "TextChunk",
    "TextDelta",
    "TextPart",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolMessage",
    "UsageReported",
    "UserMessage",
    "VideoPart",
    "WireFormat",
]


class WireFormat(StrEnum):
    """What bytes look like. Dialects and providers that name the same one can pass fields through."""

    OPENAI_CHAT = "openai-chat"
    OPENAI_COMPLETIONS = "openai-completions"
    OPENAI_RESPONSES = "openai-responses"
    ANTHROPIC_MESSAGES = "anthropic-messages"
    GOOGLE_GEMINI = "google-gemini"
    BEDROCK_CONVERSE = "bedrock-converse"
    COHERE_CHAT = "cohere-chat"
    OPENAI_EMBEDDINGS = "openai-embeddings"
    RERANK = "rerank"


# --- what is asked ----------------------------------------------------------------------------------


# The value of an optional raw field that was not given. (No union with None: that would not be read raw.)
ABSENT: Final = msgspec.Raw(b"")


class CacheControl(msgspec.Struct, frozen=True, omit_defaults=True):
    type: str = "ephemeral"
    ttl: str | None = None


class TextPart(msgspec.Struct, frozen=True, tag="text", tag_field="type", omit_defaults=True):
    text: str
    cache_control: CacheControl | None = None


class ImageUrl(msgspec.Struct, frozen=True, omit_defaults=True):
    """url: http(s) address or data URL."""

    url: str
    detail: str | None = None


class ImagePart(msgspec.Struct, frozen=True, tag="image_url", tag_field="type", omit_defaults=True):
    image_url: ImageUrl
    cache_control: CacheControl | None = None


class FileData(msgspec.Struct, frozen=True, omit_defaults=True):
    """file_data: data URL or http(s) address."""

    filename: str | None = None
    file_data: str | None = None
    file_id: str | None = None


class FilePart(msgspec.Struct, frozen=True, tag="file", tag_field="type", omit_defaults=True):
    file: FileData
    cache_control: CacheControl | None = None


class AudioData(msgspec.Struct, frozen=True):
    """data: base64, without a data-URL prefix."""

    data: str
    format: str


class AudioPart(msgspec.Struct, frozen=True, tag="input_audio", tag_field="type"):
    input_audio: AudioData


class VideoUrl(msgspec.Struct, frozen=True):
    url: str


class VideoPart(msgspec.Struct, frozen=True, tag="video_url", tag_field="type"):
    video_url: VideoUrl


class RefusalPart(msgspec.Struct, frozen=True, tag="refusal", tag_field="type"):
    refusal: str


class OtherPart(msgspec.Struct, frozen=True, tag="\0other", tag_field="type"):
    """A part of a type that we do not know. The decoder wraps it; same-format providers get it as it was."""

    part: msgspec.Raw


Part = TextPart | ImagePart | FilePart | AudioPart | VideoPart | RefusalPart | OtherPart
Content = str | list[Part] | None


class SystemMessage(
    msgspec.Struct, frozen=True, tag="system", tag_field="role", omit_defaults=True
):
    content: str | list[Part]
    name: str | None = None


class DeveloperMessage(
    msgspec.Struct, frozen=True, tag="developer", tag_field="role", omit_defaults=True
):
    content: str | list[Part]
    name: str | None = None


class UserMessage(msgspec.Struct, frozen=True, tag="user", tag_field="role", omit_defaults=True):
    content: str | list[Part]
    name: str | None = None


class FunctionCall(msgspec.Struct, frozen=True):
    """arguments: JSON text, as the model wrote it; perhaps not valid."""

    name: str
    arguments: str = ""


class ToolCall(msgspec.Struct, frozen=True, omit_defaults=True):
    function: FunctionCall | None = None
    id: str | None = None
    type: str = "function"
    index: int | None = None


class AssistantMessage(
    msgspec.Struct, frozen=True, tag="assistant", tag_field="role", omit_defaults=True
):
    """`reasoning_content` is an accepted alias of `reasoning`."""

    content: Content = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[dict[str, msgspec.Raw]] | None = None
    images: list[ImagePart] | None = None
    audio: dict[str, msgspec.Raw] | None = None
    annotations: list[dict[str, msgspec.Raw]] | None = None
    function_call: FunctionCall | None = None  # the forerunner of tool_calls


class ToolMessage(msgspec.Struct, frozen=True, tag="tool", tag_field="role", omit_defaults=True):
    """tool_call_id: required by the format, but some providers' own callers do without.
    is_error: the tool failed; formats that cannot say so send the content alone.
    """

    content: Content
    tool_call_id: str | None = None
    name: str | None = None
    is_error: bool | None = None


class FunctionMessage(msgspec.Struct, frozen=True, tag="function", tag_field="role"):
    """The forerunner of ToolMessage."""

    content: Content
    name: str


Message = (
    SystemMessage
    | DeveloperMessage
    | UserMessage
    | AssistantMessage
    | ToolMessage
    | FunctionMessage
)


class Function(msgspec.Struct, frozen=True, omit_defaults=True):
    """parameters: a JSON schema, kept as the caller wrote it; ABSENT if not given."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw = ABSENT
    strict: bool | None = None


class Tool(msgspec.Struct, frozen=True, omit_defaults=True):
    """type: "function", as is None; other types are passed on, to providers that know them."""

    type: str | None = None
    function: Function | None = None
    cache_control: CacheControl | None = None


class NamedFunction(msgspec.Struct, frozen=True):
    name: str


class NamedTool(msgspec.Struct, frozen=True, omit_defaults=True):
    type: str
    function: NamedFunction | None = None


class JsonSchema(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str | None = None
    description: str | None = None
    schema: msgspec.Raw = ABSENT
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, frozen=True, omit_defaults=True):
    type: str
    json_schema: JsonSchema | None = None


class ReasoningSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """effort: max, xhigh, high, medium, low, minimal or none. max_tokens: a budget. Not both."""

    effort: Literal["max", "xhigh", "high", "medium", "low", "minimal", "none"] | None = None
    max_tokens: int | None = None
    exclude: bool = False
    enabled: bool | None = None
    summary: str | None = None
    context: str | None = None
    mode: str | None = None


class StreamOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    include_usage: bool | None = None


class HedgeSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """after_s: how long to wait for the first token before a second endpoint is asked, too."""

    after_s: float | None = None


class ProviderPreferences(msgspec.Struct, frozen=True, omit_defaults=True):
    """Wishes about routing, as documented in docs/api/routing.md; core/routing reads the raw ones."""

    order: list[str] | None = None
    only: list[str] | None = None
    ignore: list[str] | None = None
    allow_fallbacks: bool | None = None
    require_parameters: bool | None = None
    data_collection: Literal["allow", "deny"] | None = None
    zdr: bool | None = None
    enforce_distillable_text: bool | None = None
    quantizations: list[str] | None = None
    sort: msgspec.Raw = ABSENT
    max_price: msgspec.Raw = ABSENT
    preferred_min_throughput: msgspec.Raw = ABSENT
    preferred_max_latency: msgspec.Raw = ABSENT
    options: msgspec.Raw = ABSENT
    hedge: bool | HedgeSettings | None = None
    continue_streams: bool | None = None


class ChatBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The typed view of a chat or completion request. Only what we act on or check is typed."""

    messages: Sequence[Message] | None = None
    prompt: str | list[str | int | list[int]] | None = None
    model: str | None = None
    models: list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    top_a: float | None = None
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | int | None = None  # legacy completions ask for a number
    top_logprobs: int | None = None
    tools: list[Tool] | None = None
    tool_choice: str | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    structured_outputs: bool | None = None
    prediction: msgspec.Raw = ABSENT
    reasoning: ReasoningSettings | None = None
    reasoning_effort: Literal["max", "xhigh", "high", "medium", "low", "minimal", "none"] | None = (
        None
    )
    include_reasoning: bool | None = None
    verbosity: str | None = None
    modalities: list[str] | None = None
    audio: msgspec.Raw = ABSENT
    image_config: msgspec.Raw = ABSENT
    web_search_options: msgspec.Raw = ABSENT
    provider: ProviderPreferences | str | None = None  # a plain provider name is AI/ML API's habit
    plugins: list[dict[str, msgspec.Raw]] | None = None
    route: str | None = None
    user: str | None = None
    session_id: str | None = None
    prompt_cache_key: str | None = None
    cache_control: CacheControl | None = None
    service_tier: str | None = None
    metadata: dict[str, str] | None = None
    trace: dict[str, msgspec.Raw] | None = None
    debug: dict[str, msgspec.Raw] | None = None
    usage: dict[str, msgspec.Raw] | None = None
    suffix: str | None = None
    echo: bool | None = None
    best_of: int | None = None

    @property
    def first_model(self) -> str:
        """The model asked for first, as the caller wrote it; "" where a preset alone says which."""
        return self.model or (self.models[0] if self.models else "")


class ChatRequest(msgspec.Struct, frozen=True, gc=False):
    """One request, decoded.

    body: the typed view.
    fields: the caller's own top-level fields in format `source`, byte for byte, unknown ones included.
    reasoning: one meaning out of `reasoning`, `reasoning_effort` and `include_reasoning`; None: not asked.
    modalities: what the messages contain besides text: image, file, audio, video.
    characters: length of all text, or more: that of the body, where the text was not read.
    end_user: what providers are told of the caller's user, see end_user.py; None: nothing.
    preset: the slug of the one that is merged in. named: the model as it was written with it; "" without one.
    """

    source: WireFormat
    fields: Mapping[str, msgspec.Raw]
    body: ChatBody
    reasoning: ReasoningSettings | None
    modalities: frozenset[str]
    characters: int
    end_user: str | None = None
    preset: str | None = None
    named: str = ""

    @property
    def first_model(self) -> str:
        """The model asked for first, as the caller wrote it."""
        return self.named or self.body.first_model

    @property
    def streamed(self) -> bool:
        return self.body.stream is True

    @property
    def max_tokens(self) -> int | None:
        """The caller's limit on the answer under either of its names; the newer one wins."""
        newer = self.body.max_completion_tokens
        return self.body.max_tokens if newer is None else newer


# --- what is answered -------------------------------------------------------------------------------


class FinishReason(StrEnum):
    """Why a choice ended, normalised; the provider's own word travels beside it."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"


class Started(msgspec.Struct, frozen=True, gc=False):
    """The provider began to answer. Its own names for things, where it gave them."""

    id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    text: str
    choice: int = 0
    logprobs: msgspec.Raw | None = None


class ReasoningDelta(msgspec.Struct, frozen=True, gc=False):
    """text: plain reasoning ("" if there is none to show). details: structured items, in our own form
    (`reasoning.text`, `reasoning.summary`, `reasoning.encrypted`), as JSON objects."""

    text: str
    choice: int = 0
    details: tuple[Mapping[str, object], ...] = ()


class RefusalDelta(msgspec.Struct, frozen=True, gc=False):
    text: str
    choice: int = 0


class ToolCallDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of one tool call. The first piece of an `index` has id and name; later ones only arguments."""

    index: int
    arguments: str = ""
    id: str | None = None
    name: str | None = None
    choice: int = 0
    type: str = "function"


class MediaAdded(msgspec.Struct, frozen=True, gc=False):
    """Images or audio in the answer, in the shape of the chat dialect's `images` items or `audio` object."""

    kind: Literal["images", "audio"]
    value: object
    choice: int = 0


class AnnotationsAdded(msgspec.Struct, frozen=True, gc=False):
    """Citations and parsed files, in the shape of the chat dialect's `annotations`."""

    annotations: tuple[Mapping[str, object], ...]
    choice: int = 0


class Finished(msgspec.Struct, frozen=True, gc=False):
    """A choice ended. native: the provider's own word."""

    reason: FinishReason
    native: str | None = None
    choice: int = 0


class UsageReported(msgspec.Struct, frozen=True, gc=False):
    """The provider's counts so far; a later report replaces an earlier one.

    cost_usd: what the provider says it charged, as it wrote it.
    """

    usage: Usage
    cost_usd: float | None = None


PlainEvent = (
    Started
    | TextDelta
    | ReasoningDelta
    | RefusalDelta
    | ToolCallDelta
    | MediaAdded
    | AnnotationsAdded
    | Finished
    | UsageReported
)


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One piece of an answer in its original format, beside what it means.

    A caller who speaks `format` gets `fields` with the parts that we own rewritten, so that fields we do
    not know survive; every other dialect reads `events`. The decoder has normalised `fields` to the
    documented form of the format, so both ways say the same.

    is_whole: `fields` is the whole answer, not a chunk of a stream.
    """

    format: WireFormat
    fields: dict[str, object]
    events: tuple[PlainEvent, ...]
    is_whole: bool = False


class Likeness(msgspec.Struct, frozen=True, gc=False):
    """What chunks of a stream have in common that differ only in their text: a frame without it.

    before, after: the frame's fields in JSON, up to the text in its quotes and from there on.
    index: of the choice.
    """

    format: WireFormat
    before: bytes
    after: bytes
    index: int = 0

    def fields_with(self, text: str) -> dict[str, object]:
        """The fields of one such chunk; the caller may change them."""
        return _decode_fields(self.before + msgspec.json.encode(text) + self.after)


_decode_fields: Final = msgspec.json.Decoder(dict[str, object]).decode


class TextChunk(msgspec.Struct, frozen=True, gc=False):
    """As a frame with one `TextDelta`, told in short. likeness: the same object for chunks that are alike."""

    text: str
    likeness: Likeness

    @property
    def delta(self) -> TextDelta:
        return TextDelta(self.text, self.likeness.index)


ChatEvent = PlainEvent | Frame | TextChunk
