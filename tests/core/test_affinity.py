from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.affinity import (
    CACHED_TOKENS_MIN,
    ENTRIES_MAX,
    HASHED_CHARACTERS_MAX,
    HASHED_PARTS_MAX,
    HEAD_BYTES,
    WARM_S,
    Conversation,
    WarmPlaces,
    conversation_of,
)
from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatRequest, WireFormat
from fairlead.core.ids import AccountId
from fairlead.core.money import PicoUSD, parse_price
from fairlead.core.pricing import PriceSheet
from fairlead.core.routing.types import Warm
from fairlead.core.usage import Usage
from fairlead.dialects.openai_request import read_request
from fairlead.testing.builders import a_request, an_endpoint

ACCOUNT = AccountId("account")
SYSTEM = {"role": "system", "content": "You are terse."}
HELLO = {"role": "user", "content": "Hello"}
HI = {"role": "assistant", "content": "Hi."}
MORE = {"role": "user", "content": "More"}
NAMED = Conversation(b"named", has_session=True)
UNNAMED = Conversation(b"unnamed", has_session=False)
READ = Usage(prompt=500, cache_read=4000, completion=10)
WROTE = Usage(prompt=500, cache_write=3000, cache_write_1h=1000, completion=10)
NEITHER = Usage(prompt=4500, completion=10)


def _key(header: str | None = None, *, account: str = "account", **fields: object) -> bytes:
    fields.setdefault("model", "acme/one")
    found = conversation_of(a_request(**fields), AccountId(account), header)
    assert found is not None
    return found.key


def _caching(
    provider: str = "acme", *, read: str | None = "0.0000001", write: str | None = None
) -> Endpoint:
    """An endpoint at $1 a million prompt tokens."""
    sheet = PriceSheet(
        prompt=parse_price("0.000001"),
        input_cache_read=None if read is None else parse_price(read),
        input_cache_write=None if write is None else parse_price(write),
    )
    return msgspec.structs.replace(an_endpoint(provider), prices=sheet)


# --- which conversation a call belongs to -----------------------------------------------------------


def test_a_conversation_goes_by_the_most_explicit_of_its_names() -> None:
    told: dict[str, object] = {"prompt_cache_key": "c", "messages": [SYSTEM, HELLO]}
    by_body = _key("h", session_id="s", **told)
    by_header = _key("h", **told)
    by_cache = _key(None, **told)
    by_opening = _key(None, messages=[SYSTEM, HELLO])
    assert len({by_body, by_header, by_cache, by_opening}) == 4
    assert _key("other", session_id="s", prompt_cache_key="x", messages=[MORE]) == by_body
    assert _key("h", prompt_cache_key="x", messages=[MORE]) == by_header
    assert _key(None, prompt_cache_key="c", messages=[MORE]) == by_cache
    assert _key("s") == by_body, "in the header or in the body, a session is the same one"


def test_only_a_session_id_is_a_session() -> None:
    def has_session(header: str | None = None, **fields: object) -> bool:
        found = conversation_of(a_request(model="acme/one", **fields), ACCOUNT, header)
        assert found is not None
        return found.has_session

    assert has_session(session_id="s")
    assert has_session("h")
    assert not has_session(prompt_cache_key="c")
    assert not has_session()


def test_later_messages_do_not_change_a_conversation() -> None:
    first = _key(messages=[SYSTEM, HELLO])
    assert _key(messages=[SYSTEM, HELLO, HI, MORE]) == first
    assert _key(messages=[SYSTEM, HELLO, HI, {"role": "system", "content": "Hurry."}]) == first


@pytest.mark.parametrize(
    "messages",
    [
        [SYSTEM, MORE],
        [HELLO],
        [{"role": "system", "content": "You are verbose."}, HELLO],
        [{"role": "system", "content": "Hello"}],
        [SYSTEM, {"role": "user", "content": [{"type": "text", "text": "Hell"}]}],
    ],
)
def test_another_beginning_is_another_conversation(messages: list[object]) -> None:
    assert _key(messages=messages) != _key(messages=[SYSTEM, HELLO])


def test_a_cache_mark_that_moves_on_does_not_change_a_conversation() -> None:
    def hello(**mark: object) -> dict[str, object]:
        return {"role": "user", "content": [{"type": "text", "text": "Hello", **mark}]}

    marked = hello(cache_control={"type": "ephemeral"})
    assert _key(messages=[SYSTEM, marked]) == _key(messages=[SYSTEM, hello(), HI, MORE])


def test_accounts_and_models_do_not_share_conversations() -> None:
    keys = {
        _key(session_id="s"),
        _key(session_id="s", account="other"),
        _key(session_id="s", model="acme/two"),
        _key(session_id="s", account="accoun", model="tacme/one"),
    }
    assert len(keys) == 4
    assert _key(session_id="s", model="ACME/One") == _key(session_id="s")
    assert _key(session_id="s", model=None, models=["acme/one", "acme/two"]) == _key(session_id="s")


def test_different_images_with_the_same_words_are_different_conversations() -> None:
    def looking_at(url: str) -> list[object]:
        image = {"type": "image_url", "image_url": {"url": url}}
        return [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]}]

    assert _key(messages=looking_at("data:,a")) != _key(messages=looking_at("data:,b"))


def test_texts_that_differ_beyond_what_is_hashed_are_told_apart_by_their_length() -> None:
    long = "x" * HASHED_CHARACTERS_MAX
    assert _key(session_id=long) != _key(session_id=long + "y")


def test_what_is_hashed_is_bounded() -> None:
    parts = [{"type": "text", "text": "a"}] * HASHED_PARTS_MAX
    few = _key(messages=[{"role": "user", "content": parts}])
    assert _key(messages=[{"role": "user", "content": parts + parts}]) == few


def test_a_prompt_without_messages_or_names_is_no_conversation() -> None:
    bare = msgspec.structs.replace(a_request(), body=msgspec.json.decode(b"{}", type=type(_BODY)))
    assert conversation_of(bare, ACCOUNT, None) is None
    assert conversation_of(bare, ACCOUNT, "session") is not None


_BODY = a_request().body


class _Unread(Sequence[Any]):
    """Messages that must not be read."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: object) -> Any:
        raise AssertionError("a long conversation was read for the sake of its beginning")


def test_messages_that_nobody_has_read_stay_unread() -> None:
    request = a_request(model="acme/one", messages=[SYSTEM, HELLO])
    body = msgspec.structs.replace(request.body, messages=_Unread())
    unread = msgspec.structs.replace(request, body=body)
    found = conversation_of(unread, ACCOUNT, None)
    assert found is not None
    assert found.key == _key(messages=[SYSTEM, HELLO])


_TEXTS = st.text(max_size=30) | st.builds(lambda text: text * 9000, st.sampled_from('aé\\"'))
_PARTS = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, _TEXTS)
    | st.builds(lambda url: {"type": "image_url", "image_url": {"url": url}}, _TEXTS),
    min_size=1,
    max_size=3,
)
_MESSAGES = st.lists(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["system", "developer", "user", "assistant"]),
        _TEXTS | _PARTS,
    ),
    min_size=1,
    max_size=4,
)


@given(messages=_MESSAGES, indent=st.sampled_from([0, 2]))
def test_every_way_of_reading_messages_finds_the_same_conversation(
    messages: list[dict[str, object]], indent: int
) -> None:
    """As they were written, and as a dialect has read them: messages may turn from one into the other in
    the middle of a conversation."""
    body = msgspec.json.encode({"model": "acme/one", "messages": messages})
    as_written = read_request(msgspec.json.format(body, indent=indent), WireFormat.OPENAI_CHAT)
    as_read = msgspec.structs.replace(as_written, source=WireFormat.ANTHROPIC_MESSAGES)
    assert _found(as_written) == _found(as_read)


def _found(request: ChatRequest) -> Conversation:
    found = conversation_of(request, ACCOUNT, None)
    assert found is not None
    return found


def test_messages_beyond_the_head_are_found() -> None:
    long = {"role": "system", "content": "é" * HEAD_BYTES}
    assert _key(messages=[long, HELLO]) == _key(messages=[long, HELLO, HI])
    assert _key(messages=[long, HELLO]) != _key(messages=[long, MORE])


# --- where it is warm -------------------------------------------------------------------------------


def _places_after(conversation: Conversation, endpoint: Endpoint, usage: Usage) -> WarmPlaces:
    places = WarmPlaces()
    places.succeeded(conversation, endpoint, usage, 100.0)
    return places


@pytest.mark.parametrize("usage", [READ, WROTE, NEITHER])
def test_a_session_stays_after_its_first_success(usage: Usage) -> None:
    place = _places_after(NAMED, _caching(), usage).find(NAMED, 101.0)
    assert place is not None
    assert place.warm.endpoint == _caching().id
    assert place.model == "acme/one"


def test_without_a_session_only_a_cache_that_was_seen_at_work_keeps_a_conversation() -> None:
    assert _places_after(UNNAMED, _caching(), NEITHER).find(UNNAMED, 101.0) is None
    for usage in (READ, WROTE):
        place = _places_after(UNNAMED, _caching(), usage).find(UNNAMED, 101.0)
        assert place is not None
        assert place.warm == Warm(_caching().id, 4000)


@pytest.mark.parametrize("read", [None, "0.000001", "0.000002"])
def test_no_conversation_stays_where_cached_tokens_are_no_cheaper(read: str | None) -> None:
    assert _places_after(NAMED, _caching(read=read), READ).find(NAMED, 101.0) is None


def test_ten_minutes_of_silence_and_a_place_is_cold() -> None:
    places = _places_after(NAMED, _caching(), READ)
    assert places.find(NAMED, 100.0 + WARM_S) is not None
    assert places.find(NAMED, 100.1 + WARM_S) is None
    assert len(places) == 0


def test_each_success_begins_the_ten_minutes_anew_and_looking_does_not() -> None:
    places = _places_after(NAMED, _caching(), READ)
    assert places.find(NAMED, 600.0) is not None
    assert places.find(NAMED, 701.0) is None
    places.succeeded(NAMED, _caching(), READ, 800.0)
    places.succeeded(NAMED, _caching(), READ, 1300.0)
    assert places.find(NAMED, 1800.0) is not None


def test_a_success_at_a_known_place_counts_even_if_it_read_nothing() -> None:
    places = _places_after(UNNAMED, _caching(), READ)
    places.succeeded(UNNAMED, _caching(), NEITHER, 600.0)
    place = places.find(UNNAMED, 1100.0)
    assert place is not None
    assert place.warm.cached_tokens == 0, "what the last answer said counts"


def test_a_conversation_moves_to_who_answered_it() -> None:
    places = _places_after(NAMED, _caching("a"), READ)
    places.succeeded(NAMED, _caching("b"), READ, 110.0)
    place = places.find(NAMED, 111.0)
    assert place is not None
    assert place.warm.endpoint == _caching("b").id


def test_a_detour_over_an_endpoint_without_a_cache_leaves_the_warm_place_known() -> None:
    places = _places_after(NAMED, _caching("a"), READ)
    places.succeeded(NAMED, _caching("b", read=None), READ, 110.0)
    place = places.find(NAMED, 111.0)
    assert place is not None
    assert place.warm.endpoint == _caching("a").id
    assert places.find(NAMED, 101.0 + WARM_S) is None, "and does not keep it warm"


def test_a_first_prompt_is_expected_in_a_cache_that_is_filled_unasked() -> None:
    silent, asking = _caching(), _caching(write="0.00000125")
    assert _cached(silent, Usage(prompt=CACHED_TOKENS_MIN)) == CACHED_TOKENS_MIN
    assert _cached(silent, Usage(prompt=CACHED_TOKENS_MIN - 1)) == 0
    assert _cached(asking, Usage(prompt=5000)) == 0, "a write would have been reported"


def _cached(endpoint: Endpoint, usage: Usage) -> int:
    place = _places_after(NAMED, endpoint, usage).find(NAMED, 101.0)
    assert place is not None
    return place.warm.cached_tokens


@given(
    counts=st.fixed_dictionaries(
        {name: st.integers(0, 10**6) for name in ("prompt", "cache_read", "cache_write")}
    ),
    has_session=st.booleans(),
)
def test_no_more_is_expected_to_be_cached_than_was_in_the_prompt(
    counts: dict[str, int], has_session: bool
) -> None:
    conversation = Conversation(b"k", has_session=has_session)
    usage = Usage(**counts)
    place = _places_after(conversation, _caching(), usage).find(conversation, 101.0)
    assert place is None or 0 <= place.warm.cached_tokens <= usage.prompt_tokens


def test_the_longest_unused_conversation_is_forgotten_first() -> None:
    places = WarmPlaces(entries_max=2)
    one, two, three = (Conversation(bytes([n]), has_session=True) for n in range(3))
    places.succeeded(one, _caching(), READ, 1.0)
    places.succeeded(two, _caching(), READ, 2.0)
    places.succeeded(one, _caching(), READ, 3.0)
    places.succeeded(three, _caching(), READ, 4.0)
    assert len(places) == 2
    assert places.find(two, 5.0) is None
    assert places.find(one, 5.0) is not None
    assert places.find(three, 5.0) is not None


def test_a_conversation_takes_half_a_kilobyte() -> None:
    """What ENTRIES_MAX says of memory."""
    count = ENTRIES_MAX // 50
    endpoint = _caching()
    places = WarmPlaces()
    tracemalloc.start()
    try:
        for number in range(count):
            key = number.to_bytes(16, "big")
            places.succeeded(Conversation(key, has_session=True), endpoint, READ, 100.5 + number)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(places) == count
    assert taken / count < 512, taken / count


def test_a_price_of_zero_is_a_price() -> None:
    free = msgspec.structs.replace(
        _caching(), prices=PriceSheet(prompt=PicoUSD(5), input_cache_read=PicoUSD(0))
    )
    assert _places_after(NAMED, free, READ).find(NAMED, 101.0) is not None
