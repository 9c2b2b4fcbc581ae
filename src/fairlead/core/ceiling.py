"""The most that a call can cost, before anybody is asked. Pure.

The prompt is bounded twice. *Amply*, without reading it: no tokenizer makes more tokens than there are bytes in
the body. That is three or four times too much, which matters to nobody while there is room. *Closely*, by
counting: an estimate with a margin that it has never been seen to exceed. An answer is bounded by its caller's
limit, or by what the endpoint can write. Of several endpoints that may be tried, the dearest counts, with each
token at the dearest price that it may have there: written to a cache, reasoned, in a long prompt, at night.

Should a call cost more all the same, its hold takes more from the slice, or nobody pays the rest; see
core/budgets/slices.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from fairlead.core.budgets.types import Wanted
from fairlead.core.catalog import Endpoint
from fairlead.core.chat import (
    AssistantMessage,
    AudioPart,
    ChatRequest,
    FilePart,
    ImagePart,
    TextPart,
    VideoPart,
    WireFormat,
)
from fairlead.core.ids import EndpointId
from fairlead.core.money import NanoUSD, PicoUSD, nano_from_pico
from fairlead.core.pricing import PriceSheet
from fairlead.core.retrieval import EmbeddingsRequest, RerankRequest

__all__ = [
    "ANSWER_TOKENS_MIN",
    "ANSWER_TOKENS_USUAL",
    "Ceiling",
    "Ceilings",
    "Extent",
    "ample",
    "close",
    "shortened",
]

ANSWER_TOKENS_MIN: Final = (
    16  # a shorter answer is not worth asking for; some providers refuse less
)
ANSWER_TOKENS_USUAL: Final = 4096
ANSWER_TOKENS_UNKNOWN: Final = 65_536  # of an endpoint that says neither what it writes nor reads
ANSWER_TOKENS_ASKED_MAX: Final = 10_000_000  # nobody writes more, whatever is asked for
ANSWERS_MAX: Final = 1024  # to one call
FRAME_TOKENS: Final = 1024  # what providers put around a prompt: turns, and how to use tools
CLOSE_FRAME_TOKENS: Final = 64
CLOSE_TOOLS_TOKENS: Final = 768
CLOSE_MESSAGE_TOKENS: Final = 8
CLOSE_MARGIN_PERCENT: Final = 50  # the estimate is good to some 6 %, of rare scripts to less (0013)
SEARCHES_MAX: Final = 10  # in one call, where searching was asked for
SEARCHES_ASKED_MAX: Final = 100
SEARCH_TOKENS: Final = 5_000  # of what one search finds, which the model reads
BYTES_PER_PIECE: Final = 2_000
CLOSE_BYTES_PER_TOKEN: Final = 2  # of what is read and not counted: JSON, mostly
CLOSE_BYTES_PER_AUDIO_TOKEN: Final = 40  # of base64, at the lowest rates that are in use
BYTES_PER_SEARCH_UNIT: Final = 50_000  # a hundred pieces of 500 tokens
DOCUMENTS_PER_SEARCH_UNIT: Final = 100
KNOWN_MAX: Final = 20_000

# Tokens of one part that is no text and is only named, not sent: (ample, close).
_PART_TOKENS: Final = {ImagePart: (49_152, 8_192), VideoPart: (262_144, 32_768)}
_FILE_TOKENS: Final = (65_536, 16_384)
_OTHER_TOKENS: Final = (8_192, 2_048)

_MAY_SEARCH: Final = frozenset({"tools", "web_search_options", "search_parameters"})
_SEARCHES: Final = re.compile(rb'"type"\s*:\s*"web_search')
_MAX_USES: Final = re.compile(rb'"max_uses"\s*:\s*(\d{1,6})')
# Beside what is counted as text, models read these too.
_READ_FIELDS: Final = ("response_format", "text", "functions")


class Extent(msgspec.Struct, frozen=True, gc=False):
    """How long a call may be. answer_tokens: its caller's limit for one answer; None: whatever is written.

    answers: that were asked for; 0: nothing is written. is_flexible: the answer may be cut to what there is
    money for. prompts: how many there are, each of which may be as long as an endpoint reads.
    """

    prompt_tokens: int
    answer_tokens: int | None
    answers: int = 1
    searches: int = 0
    units: int = 1
    prompts: int = 1

    @property
    def is_flexible(self) -> bool:
        return self.answer_tokens is None and self.answers > 0


class _Prices(msgspec.Struct, frozen=True, gc=False):
    """The dearest that an endpoint may charge, in picodollars.

    prompt_max, answer_max: tokens. obeys: a limit on the answer is passed on to it.
    """

    prompt: int
    answer: int
    request: int
    search: int
    prompt_max: int | None
    answer_max: int
    obeys: bool


class Ceiling(msgspec.Struct, frozen=True, gc=False):
    """What to hold for one call. extent: what it was worked out from. answer_tokens: the longest answer that
    `wanted.full` pays for."""

    wanted: Wanted
    extent: Extent
    answer_tokens: int
    prices: tuple[_Prices, ...]

    @property
    def is_free(self) -> bool:
        return self.wanted.full == 0

    def affordable_tokens(self, amount: NanoUSD) -> int:
        """How long an answer may be for that amount, whoever gives it; 0 where the prompt alone costs more."""
        return max(0, min(_affordable(one, self.extent, amount) for one in self.prices))


class Ceilings:
    """Works ceilings out, and keeps what follows from an endpoint alone. Bounded."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[EndpointId, tuple[Endpoint, _Prices]] = {}

    def of(self, extent: Extent, endpoints: Iterable[Endpoint]) -> Ceiling:
        """endpoints: all that may be tried, at least one."""
        prices = tuple([self._prices(one) for one in endpoints])
        answers, wished = extent.answers, extent.answer_tokens
        full = floor = least = answer_tokens = 0
        for (
            one
        ) in prices:  # comparisons, not `min` and `max`: half the time, and every call is here
            tokens = _answer_tokens(one, extent)
            if tokens > answer_tokens:
                answer_tokens = tokens
            fixed, each = _fixed(one, extent), one.answer * answers
            cost = fixed + each * tokens
            if cost > full:
                full = cost
            if wished is None:
                if tokens > ANSWER_TOKENS_USUAL:
                    cost = fixed + each * ANSWER_TOKENS_USUAL
                if cost > floor:
                    floor = cost
                if tokens > ANSWER_TOKENS_MIN:
                    cost = fixed + each * ANSWER_TOKENS_MIN
                if cost > least:
                    least = cost
        most = nano_from_pico(PicoUSD(full))
        if extent.is_flexible:
            wanted = Wanted(most, nano_from_pico(PicoUSD(floor)), nano_from_pico(PicoUSD(least)))
        else:
            wanted = Wanted.exactly(most)
        return Ceiling(wanted, extent, answer_tokens, prices)

    def _prices(self, endpoint: Endpoint) -> _Prices:
        known = self._known.get(endpoint.id)
        if known is not None and known[0] is endpoint:
            return known[1]
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        prices = _dearest(endpoint)
        self._known[endpoint.id] = (endpoint, prices)
        return prices


def ample(request: ChatRequest) -> Extent:
    """Bounds without reading the prompt."""
    body_bytes = sum(map(len, request.fields.values()))
    return _extent(request, _ample_tokens(request, body_bytes), body_bytes)


def close(request: ChatRequest, counted: Callable[[], int]) -> Extent:
    """Bounds with the prompt counted. counted: an estimate of its tokens."""
    tokens = counted() * (100 + CLOSE_MARGIN_PERCENT) // 100 + CLOSE_FRAME_TOKENS
    tokens += CLOSE_MESSAGE_TOKENS * len(request.body.messages or ())
    if request.body.tools:
        tokens += CLOSE_TOOLS_TOKENS
    if request.modalities:
        tokens += _media_tokens(request, 1)
    tokens += _given_as_numbers(request) + _uncounted_bytes(request) // CLOSE_BYTES_PER_TOKEN
    body_bytes = sum(map(len, request.fields.values()))
    return _extent(request, min(tokens, _ample_tokens(request, body_bytes)), body_bytes)


def shortened(request: ChatRequest, tokens: int) -> ChatRequest:
    """The same request, with an answer of at most so many tokens."""
    wanted = request.max_tokens
    if wanted is not None and wanted <= tokens:
        return request
    name = "max_output_tokens" if request.source is WireFormat.OPENAI_RESPONSES else "max_tokens"
    fields = {**request.fields, name: msgspec.Raw(b"%d" % tokens)}
    fields.pop("max_completion_tokens", None)
    body = msgspec.structs.replace(request.body, max_tokens=tokens, max_completion_tokens=None)
    return msgspec.structs.replace(request, fields=fields, body=body)


def _ample_tokens(request: ChatRequest, body_bytes: int) -> int:
    tokens = body_bytes + FRAME_TOKENS
    return tokens + _media_tokens(request, 0) if request.modalities else tokens


def _extent(request: ChatRequest, prompt_tokens: int, body_bytes: int) -> Extent:
    body = request.body
    if isinstance(request, EmbeddingsRequest):
        return Extent(prompt_tokens, None, answers=0, prompts=max(1, len(request.inputs)))
    if isinstance(request, RerankRequest):
        units = (
            1
            + len(request.documents) // DOCUMENTS_PER_SEARCH_UNIT
            + body_bytes // BYTES_PER_SEARCH_UNIT
        )
        # The query is read again with each document.
        query = len(request.query.encode("utf-8", "replace"))
        return Extent(
            prompt_tokens + query * len(request.documents),
            None,
            answers=0,
            units=units,
            # A long document is read in as many pieces as it takes.
            prompts=max(1, len(request.documents) + body_bytes // BYTES_PER_PIECE),
        )
    answers = max(body.n or 1, body.best_of or 1)
    prompt, prompts = body.prompt, 1
    if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
        prompts = len(prompt)
        answers *= prompts
    searches = _searches(request)
    return Extent(
        prompt_tokens + searches * SEARCH_TOKENS,
        request.max_tokens,
        answers=min(answers, ANSWERS_MAX),
        searches=searches,
        prompts=prompts,
    )


def _searches(request: ChatRequest) -> int:
    """How often the call may search, where a model does that by itself."""
    body, fields = request.body, request.fields
    if not (body.plugins or body.tools) and _MAY_SEARCH.isdisjoint(fields):
        return 0
    tools = bytes(fields.get("tools", b""))
    if not (
        body.plugins
        or "web_search_options" in fields
        or "search_parameters" in fields
        or any(tool.type not in (None, "function") for tool in body.tools or ())
        or _SEARCHES.search(tools)  # some formats' own tools are in no other view
    ):
        return 0
    allowed = sum(min(int(times), SEARCHES_ASKED_MAX) for times in _MAX_USES.findall(tools))
    return min(max(SEARCHES_MAX, allowed), SEARCHES_ASKED_MAX)


def _media_tokens(request: ChatRequest, which: int) -> int:
    """Of parts that are no text. which: 0 amply, beside what they have in bytes; 1 closely."""
    tokens = 0
    for message in request.body.messages or ():
        content = message.content
        if isinstance(content, list):
            for part in content:
                if isinstance(part, FilePart):
                    tokens += max(_FILE_TOKENS[which], len(part.file.file_data or "") // 4)
                elif isinstance(part, AudioPart):
                    size = len(part.input_audio.data) // CLOSE_BYTES_PER_AUDIO_TOKEN
                    tokens += max(_OTHER_TOKENS[which], size)
                elif not isinstance(part, TextPart):
                    tokens += _PART_TOKENS.get(type(part), _OTHER_TOKENS)[which]
        if isinstance(message, AssistantMessage):
            tokens += _OTHER_TOKENS[which] * len(message.images or ())
    if isinstance(request, EmbeddingsRequest):
        for one in request.inputs:
            if isinstance(one, tuple):
                tokens += sum(
                    _PART_TOKENS.get(type(part), _OTHER_TOKENS)[which]
                    for part in one
                    if not isinstance(part, int | TextPart)
                )
    return tokens


def _uncounted_bytes(request: ChatRequest) -> int:
    """Of what a model reads and `prompt_text` leaves out: schemas of answers, thoughts of earlier turns."""
    count = sum(len(request.fields[name]) for name in _READ_FIELDS if name in request.fields)
    for message in request.body.messages or ():
        if isinstance(message, AssistantMessage):
            for text in (message.reasoning, message.reasoning_content, message.refusal):
                count += 0 if text is None else len(text.encode("utf-8", "replace"))
            for detail in message.reasoning_details or ():
                count += sum(map(len, detail.values()))
    return count


def _given_as_numbers(request: ChatRequest) -> int:
    """Tokens that the caller has counted himself."""
    tokens = 0
    prompt = request.body.prompt
    if isinstance(prompt, list):
        for piece in prompt:
            tokens += len(piece) if isinstance(piece, list) else int(isinstance(piece, int))
    if isinstance(request, EmbeddingsRequest):
        for one in request.inputs:
            if isinstance(one, tuple):
                tokens += sum(isinstance(part, int) for part in one)
    return tokens


def _fixed(prices: _Prices, extent: Extent) -> int:
    tokens, most = extent.prompt_tokens, prices.prompt_max
    if most is not None and tokens > most * extent.prompts:
        tokens = most * extent.prompts
    return tokens * prices.prompt + extent.units * prices.request + extent.searches * prices.search


def _answer_tokens(prices: _Prices, extent: Extent) -> int:
    """Of one answer, at most."""
    if not extent.answers:
        return 0
    if extent.answer_tokens is None or not prices.obeys:
        return prices.answer_max
    return min(extent.answer_tokens, max(prices.answer_max, ANSWER_TOKENS_ASKED_MAX))


def _affordable(prices: _Prices, extent: Extent, amount: NanoUSD) -> int:
    left = amount * 1000 - _fixed(prices, extent)
    each = prices.answer * extent.answers
    if left < 0:
        return 0
    return left // each if each else prices.answer_max


_PROMPT: Final = (
    "prompt",
    "input_cache_read",
    "input_cache_write",
    "input_cache_write_1h",
    "audio",
    "input_audio_cache",
    "image_token",
)
_ANSWER: Final = ("completion", "internal_reasoning", "audio_output", "image_output_token")


def _dearest(endpoint: Endpoint) -> _Prices:
    sheets = [endpoint.prices]
    if endpoint.default_prices is not None:  # if the provider does not serve the tier
        sheets.append(endpoint.default_prices)
    known = endpoint.supported_parameters
    context = endpoint.context_length or None
    return _Prices(
        prompt=_most(sheets, _PROMPT),
        answer=_most(sheets, _ANSWER),
        request=_most(sheets, ("request",)),
        search=_most(sheets, ("web_search",)),
        prompt_max=endpoint.max_prompt_tokens or context,
        answer_max=endpoint.max_completion_tokens or context or ANSWER_TOKENS_UNKNOWN,
        obeys=not known or "max_tokens" in known or "max_completion_tokens" in known,
    )


def _most(sheets: Sequence[PriceSheet], names: Sequence[str]) -> int:
    prices = [getattr(sheet, name) or 0 for sheet in sheets for name in names]
    prices += [
        override.prices.get(name, 0)
        for sheet in sheets
        for override in sheet.overrides
        for name in names
    ]
    return max(prices)
