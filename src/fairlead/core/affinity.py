"""Conversations stay where their prompt cache is warm.

A provider that has just read a prompt reads the same beginning again for a fraction of its price. So the
next call of a conversation goes to the endpoint that answered the last one, as long as that is cheaper
there (`plan` decides, with what is expected to be cached) and the cache can still be warm.

    conversation_of(request, ...) ─> find ─> `plan` ─> an answer ─> succeeded ─┐
                                      └───────────── the next call <───────────┘

Why these rules: docs/decisions/0023-warm-places-and-hedges.md
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, Final

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import (
    ChatRequest,
    DeveloperMessage,
    ImagePart,
    Part,
    SystemMessage,
    TextPart,
    WireFormat,
)
from fairlead.core.ids import AccountId, ModelId
from fairlead.core.routing.types import Warm
from fairlead.core.usage import Usage

__all__ = [
    "ENTRIES_MAX",
    "Conversation",
    "WarmPlace",
    "WarmPlaces",
    "can_be_warm",
    "conversation_of",
]

WARM_S: Final = 600.0  # of inactivity; each success begins them anew
ENTRIES_MAX: Final = 50_000  # some 13 MB; 80 new conversations a second, each kept its 10 minutes
HASHED_CHARACTERS_MAX: Final = 2048  # of a name or a text
CACHED_TOKENS_MIN: Final = 1024  # providers that cache unasked leave shorter prompts alone
HASHED_PARTS_MAX: Final = 16  # of a message
HEAD_BYTES: Final = 16_384  # of messages not yet read: where their first ones are looked for
_DIGEST_BYTES: Final = 16


class Conversation(msgspec.Struct, frozen=True, gc=False):
    """What calls of one conversation have in common. key: 16 bytes; account and model are in it.

    has_session: the caller named it.
    """

    key: bytes
    has_session: bool


class WarmPlace(msgspec.Struct, frozen=True, gc=False):
    """Where a conversation was answered last. model: kept, too, when a router chose it."""

    warm: Warm
    model: ModelId
    used_at_s: float


def conversation_of(
    request: ChatRequest, account: AccountId, session_header: str | None
) -> Conversation | None:
    """Which conversation a call belongs to; None: nothing tells.

    In this order: `session_id` of the body, the `x-session-id` header, `prompt_cache_key`, else the first
    system or developer message together with the first message that is neither. The model is the one asked
    for, as it was written, so that a router's conversation is found before the router has chosen.

    Some microseconds: of each text at most HASHED_CHARACTERS_MAX go into the key, and its length.
    """
    body = request.body
    session = body.session_id or session_header
    pieces: tuple[str, ...]
    if session:
        pieces = ("session", session)
    elif body.prompt_cache_key:
        pieces = ("cache", body.prompt_cache_key)
    else:
        opening = _opening(request)
        if opening is None:
            return None
        pieces = ("opening", *opening)
    # Lengths keep pieces apart, and tell texts apart that differ only beyond what is hashed.
    hashed = "".join(
        f"{len(piece)}:{piece[:HASHED_CHARACTERS_MAX]}"
        for piece in (account, body.first_model.lower(), *pieces)
    )
    digest = blake2b(hashed.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()
    return Conversation(digest, has_session=bool(session))


def can_be_warm(endpoint: Endpoint) -> bool:
    """Whether reading a cached prompt is cheaper there than reading it anew."""
    cached = endpoint.prices.input_cache_read
    return cached is not None and cached < endpoint.prices.prompt


class WarmPlaces:
    """The endpoint that answered each conversation last. Bounded: the longest unused go first."""

    __slots__ = ("_entries_max", "_places")

    def __init__(self, *, entries_max: int = ENTRIES_MAX) -> None:
        self._entries_max = entries_max
        self._places: OrderedDict[bytes, WarmPlace] = (
            OrderedDict()
        )  # in the order of their last use

    def __len__(self) -> int:
        return len(self._places)

    def find(self, conversation: Conversation, now_s: float) -> WarmPlace | None:
        """Looking does not keep a place warm: only a success does."""
        place = self._places.get(conversation.key)
        if place is None or now_s - place.used_at_s <= WARM_S:
            return place
        del self._places[conversation.key]
        return None

    def succeeded(
        self, conversation: Conversation, endpoint: Endpoint, usage: Usage, now_s: float
    ) -> None:
        """An endpoint answered. A conversation moves here if its next prompt is cheaper here for it.

        One without a session moves only to where a cache was seen at work: read or written.
        """
        if not can_be_warm(endpoint):
            return
        key = conversation.key
        place = self._places.get(key)
        was_here = (
            place is not None
            and place.warm.endpoint == endpoint.id
            and now_s - place.used_at_s <= WARM_S
        )
        seen = usage.cache_read + usage.cache_write + usage.cache_write_1h
        if not (seen or was_here or conversation.has_session):
            return
        cached = seen if seen or was_here else _cached_unasked(endpoint, usage)
        self._places[key] = WarmPlace(Warm(endpoint.id, cached), endpoint.model, now_s)
        self._places.move_to_end(key)
        if len(self._places) > self._entries_max:
            self._places.popitem(last=False)


def _cached_unasked(endpoint: Endpoint, usage: Usage) -> int:
    """Tokens of a first prompt that are expected in the cache although the answer does not say so.

    Providers that cache without being asked do not charge for writing, and do not report it either. Should
    the second answer not have read anything, that is believed.
    """
    writes_silently = endpoint.prices.input_cache_write is None
    tokens = usage.prompt_tokens
    return tokens if writes_silently and tokens >= CACHED_TOKENS_MIN else 0


# --- what a conversation begins with ------------------------------------------------------------------


def _opening(request: ChatRequest) -> tuple[str, ...] | None:
    """The first instruction and the first message, in pieces; None: there is no message that tells."""
    instruction: tuple[str, ...] = ()
    for is_instruction, pieces in _messages_of(request):
        if not is_instruction:
            return (*instruction, "\0", *pieces)
        instruction = instruction or ("\0", *pieces)
    return instruction or None


def _messages_of(request: ChatRequest) -> Iterator[tuple[bool, tuple[str, ...]]]:
    """Whether each message is an instruction, and its texts; no more messages than are asked for."""
    messages = request.body.messages
    if not messages:
        return
    written = request.fields.get("messages")
    if request.source is WireFormat.OPENAI_CHAT and written is not None:
        # The typed messages may not have been read yet (wire/openai_messages.py), and a long conversation
        # is not read for the sake of its beginning.
        for role, content in _first_of(written):
            yield role in _INSTRUCTING, _raw_pieces(content)
        return
    for message in messages:
        content = message.content
        parts = (content,) if isinstance(content, str) else content or ()
        is_instruction = isinstance(message, SystemMessage | DeveloperMessage)
        yield is_instruction, tuple(_piece(part) for part in parts[:HASHED_PARTS_MAX])


_INSTRUCTING: Final = ("system", "developer")


class _Written(msgspec.Struct, gc=False):
    role: str
    content: msgspec.Raw = msgspec.Raw(b"null")


_read_list: Final = msgspec.json.Decoder(list[_Written]).decode
_read_content: Final = msgspec.json.Decoder().decode
# Slower than msgspec's for as much, but it reads one value and stops. Any: as it comes, a JSON value.
_read_one: Final[Any] = json.JSONDecoder().raw_decode


def _first_of(written: msgspec.Raw) -> Iterator[tuple[str, object]]:
    """Role and content of each message of a list as it was written, which is one that a dialect accepted."""
    count = 0
    if len(written) > HEAD_BYTES:
        head = bytes(memoryview(written)[:HEAD_BYTES]).decode("utf-8", "ignore")
        at = _after_spaces(head, 1)
        try:
            while at < len(head):
                message, at = _read_one(head, at)
                yield message["role"], message.get("content")
                count += 1
                at = _after_spaces(head, at)
        except (ValueError, RecursionError):  # the rest of this one is beyond the head
            pass
    for later in _read_list(written)[count:]:
        yield later.role, _read_content(later.content)


def _after_spaces(text: str, at: int) -> int:
    """Where the next value begins, behind a comma or not."""
    while at < len(text) and text[at] in " \t\n\r,":
        at += 1
    return at


def _raw_pieces(content: object) -> tuple[str, ...]:
    parts = content if isinstance(content, list) else (content,)
    return tuple(_raw_piece(part) for part in parts[:HASHED_PARTS_MAX])


def _raw_piece(part: object) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return ""
    text = part.get("text")
    if isinstance(text, str):
        return text
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else None
    return url if isinstance(url, str) else ""


def _piece(part: str | Part) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, TextPart):
        return part.text
    return part.image_url.url if isinstance(part, ImagePart) else ""
