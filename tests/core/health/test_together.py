"""Several processes, and the same process after a restart: what one knows, the other can learn."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.errors import FailureKind
from fairlead.core.health import EndpointOutcome, HealthBook
from fairlead.core.health.news import NewsUnreadable, decode_news, encode_news
from fairlead.core.health.saved import (
    SavedUnreadable,
    decode_saved,
    encode_book,
    encode_endpoint,
)
from fairlead.core.ids import EndpointId
from fairlead.core.routing.facts import Standing
from fairlead.core.tool_calls import ToolVerdict

T = 1_800_000_000.0
A = EndpointId("alpha:model")
B = EndpointId("beta:model")
ENDPOINTS = (A, B)

outcomes = st.builds(
    EndpointOutcome,
    failure=st.none() | st.sampled_from([None, *FailureKind]),
    retry_after_s=st.none() | st.floats(0, 100),
    first_token_s=st.none() | st.floats(0.01, 100),
    output_tokens=st.integers(0, 1000),
    duration_s=st.floats(0, 3),
    tools=st.none() | st.sampled_from(ToolVerdict),
    is_abandoned=st.booleans(),
)
scripts = st.lists(
    st.tuples(st.sampled_from(ENDPOINTS), outcomes, st.floats(0, 40)), min_size=1, max_size=60
)


def book_of(script: list[tuple[EndpointId, EndpointOutcome, float]]) -> tuple[HealthBook, float]:
    book, now_s = HealthBook(takes_notes=True), T
    for endpoint, outcome, step_s in script:
        now_s += step_s
        book.ended(endpoint, outcome, now_s)
    return book, now_s


def told(book: HealthBook, listener: HealthBook, now_s: float) -> None:
    for piece in encode_news(book.take_news(now_s)):
        listener.hear(decode_news(piece), now_s)


def after_restart(book: HealthBook, now_s: float) -> HealthBook:
    return adopting(HealthBook(), book, now_s)


def adopting(heir: HealthBook, book: HealthBook, now_s: float) -> HealthBook:
    state = encode_book([encode_endpoint(one) for one in book.saved(now_s)])
    heir.adopt(decode_saved(state), now_s)
    return heir


def known(book: HealthBook, now_s: float) -> list[object]:
    return [
        answer
        for endpoint in ENDPOINTS
        for answer in (
            book.at(now_s).facts(endpoint),
            book.figures(endpoint, now_s),
            book.first_token_p95_s(endpoint, now_s),
        )
    ]


@given(scripts, st.floats(0, 4000))
def test_a_restart_changes_nothing_that_is_known(
    script: list[tuple[EndpointId, EndpointOutcome, float]], later_s: float
) -> None:
    book, now_s = book_of(script)
    heir = after_restart(book, now_s)
    for moment_s in (now_s, now_s + later_s):
        # Percentiles may be a few seconds old: ask a book that was never asked.
        assert known(heir, moment_s) == known(after_restart(book, now_s), moment_s)
    assert known(after_restart(book, now_s), now_s) == known(book_of(script)[0], now_s)


@given(scripts, scripts)
def test_adopting_what_several_processes_saved_depends_on_no_order(
    one: list[tuple[EndpointId, EndpointOutcome, float]],
    two: list[tuple[EndpointId, EndpointOutcome, float]],
) -> None:
    (first, first_s), (second, second_s) = book_of(one), book_of(two)
    now_s = max(first_s, second_s)
    forth, back = HealthBook(), HealthBook()
    adopting(adopting(forth, first, now_s), second, now_s)
    adopting(adopting(adopting(back, second, now_s), first, now_s), second, now_s)
    assert known(forth, now_s) == known(back, now_s)


@given(scripts)
def test_hearing_of_calls_is_as_good_as_seeing_them(
    script: list[tuple[EndpointId, EndpointOutcome, float]],
) -> None:
    """Told after every call, a listener knows the same."""
    teller, listener, seer, now_s = HealthBook(takes_notes=True), HealthBook(), HealthBook(), T
    for endpoint, outcome, step_s in script:
        now_s += step_s
        seer.ended(endpoint, outcome, now_s)
        teller.ended(endpoint, outcome, now_s)
        told(teller, listener, now_s)
    assert known(listener, now_s) == known(seer, now_s)


@given(scripts)
def test_news_of_many_calls_add_up(
    script: list[tuple[EndpointId, EndpointOutcome, float]],
) -> None:
    """Told once at the end, a listener has the same counts and speeds."""
    at_once = [(endpoint, outcome, 0.0) for endpoint, outcome, _ in script]
    book, now_s = book_of(at_once)
    listener = HealthBook()
    told(book, listener, now_s)
    seer, _ = book_of(at_once)
    for endpoint in ENDPOINTS:
        mine, theirs = listener.figures(endpoint, now_s), seer.figures(endpoint, now_s)
        assert msgspec.structs.replace(mine, standing=theirs.standing) == theirs
        facts, seen = listener.at(now_s).facts(endpoint), seer.at(now_s).facts(endpoint)
        assert msgspec.structs.replace(facts, standing=seen.standing) == seen
    assert book.take_news(now_s) == [], "news are told once"


def test_three_outages_seen_by_three_processes_open_every_breaker() -> None:
    books = [HealthBook(takes_notes=True) for _ in range(3)]
    for second, teller in enumerate(books):
        teller.ended(A, EndpointOutcome(FailureKind.UNREACHABLE), T + second)
        news = teller.take_news(T + second)
        for listener in books:
            if listener is not teller:
                listener.hear(news, T + second)
    assert [book.at(T + 3).facts(A).standing for book in books] == [Standing.DOWN] * 3


def test_a_recovery_that_one_process_sees_closes_the_others_breakers() -> None:
    one, two = HealthBook(takes_notes=True), HealthBook(takes_notes=True)
    for book in (one, two):
        for _ in range(3):
            book.ended(A, EndpointOutcome(FailureKind.UNREACHABLE), T)
        book.take_news(T)
    assert two.at(T + 1).facts(A).standing is Standing.DOWN
    one.ended(A, EndpointOutcome(None, duration_s=1.0), T + 10)
    told(one, two, T + 11)
    assert two.at(T + 11).facts(A).standing is Standing.GOOD


def test_a_stream_that_outlived_the_outage_closes_nothing_elsewhere() -> None:
    one, two = HealthBook(takes_notes=True), HealthBook()
    for _ in range(3):
        two.ended(A, EndpointOutcome(FailureKind.UNREACHABLE), T)
    one.ended(A, EndpointOutcome(None, duration_s=30.0), T + 2)
    told(one, two, T + 3)
    assert two.at(T + 3).facts(A).standing is Standing.DOWN


def test_a_rate_limit_is_told_with_the_time_that_is_left() -> None:
    one, two = HealthBook(takes_notes=True), HealthBook()
    one.ended(A, EndpointOutcome(FailureKind.RATE_LIMIT, retry_after_s=20.0), T)
    for piece in encode_news(one.take_news(T + 5)):
        two.hear(decode_news(piece), T + 1000)  # another machine's clock
    assert two.at(T + 1014).facts(A).standing is Standing.LIMITED
    assert two.at(T + 1015).facts(A).standing is Standing.GOOD


def test_a_breaker_that_is_open_stays_open_over_a_restart() -> None:
    book = HealthBook()
    for _ in range(3):
        book.ended(A, EndpointOutcome(FailureKind.UNREACHABLE), T)
    heir = after_restart(book, T + 2)
    assert heir.at(T + 2).facts(A).standing is Standing.DOWN
    assert heir.at(T + 5).facts(A).is_probe


def test_what_nobody_asked_for_in_a_day_is_not_saved() -> None:
    book = HealthBook()
    book.ended(A, EndpointOutcome(None), T)
    book.ended(B, EndpointOutcome(None), T + 3600)
    assert [one.endpoint for one in book.saved(T + 86_400)] == [B]
    assert len(book) == 1


def test_the_latest_heard_of_is_saved_first() -> None:
    book = HealthBook()
    for number in range(20):
        book.ended(EndpointId(f"p:{number * 7 % 20}"), EndpointOutcome(None), T + number)
    heard = [one.heard_at_s for one in book.saved(T + 20)]
    assert all(earlier > later for earlier, later in pairwise(heard))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_book_or_refused(data: bytes) -> None:
    for decode, refusal in ((decode_saved, SavedUnreadable), (decode_news, NewsUnreadable)):
        with suppress(refusal):
            decode(data)


@given(scripts, st.data())
def test_a_damaged_book_is_refused_or_harmless(
    script: list[tuple[EndpointId, EndpointOutcome, float]], data: st.DataObject
) -> None:
    book, now_s = book_of(script)
    state = bytearray(encode_book([encode_endpoint(one) for one in book.saved(now_s)]))
    for _ in range(data.draw(st.integers(1, 5))):
        state[data.draw(st.integers(0, len(state) - 1))] = data.draw(st.integers(0, 255))
    heir = HealthBook()
    try:
        heir.adopt(decode_saved(bytes(state)), now_s)
    except SavedUnreadable:
        return
    known(heir, now_s)
    for endpoint in ENDPOINTS:
        heir.ended(endpoint, EndpointOutcome(None, first_token_s=1.0, duration_s=1.0), now_s)
    known(heir, now_s)


def test_another_version_is_refused() -> None:
    with pytest.raises(SavedUnreadable, match="another version"):
        decode_saved(msgspec.msgpack.encode((2, [])))
    with pytest.raises(NewsUnreadable, match="another version"):
        decode_news(msgspec.msgpack.encode((2, [])))


def test_outages_before_a_success_are_not_in_a_row_with_those_after_it() -> None:
    one, two = HealthBook(takes_notes=True), HealthBook()
    dead = EndpointOutcome(FailureKind.UNREACHABLE)
    for outcome in (dead, dead, EndpointOutcome(None), dead):
        one.ended(A, outcome, T)
    told(one, two, T)
    assert two.at(T).facts(A).standing is Standing.UNSTABLE
    two.ended(A, dead, T)
    two.ended(A, dead, T)
    assert two.at(T).facts(A).standing is Standing.DOWN


def test_five_minutes_of_bad_uptime_outlive_a_restart() -> None:
    book = HealthBook()
    for number in range(150):
        failure = FailureKind.SERVER if number % 3 == 0 else None
        book.ended(A, EndpointOutcome(failure), T)
    assert after_restart(book, T).at(T + 60).facts(A).standing is Standing.DOWN


def test_what_is_older_than_a_day_is_not_adopted() -> None:
    book = HealthBook()
    for _ in range(3):
        book.ended(A, EndpointOutcome(FailureKind.UNREACHABLE), T)
    heir = HealthBook()
    heir.adopt(list(book.saved(T)), T + 86_400)
    assert len(heir) == 0
