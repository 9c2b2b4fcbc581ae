"""Which limits a call counts against, what is left of them, and what a refused caller is told."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.caller import Caller, KeyLimits
from fairlead.core.ids import AccountId, KeyId, ModelId
from fairlead.core.limits import (
    Allowance,
    LimitBook,
    LimitName,
    RequestLimits,
    allowances,
    counts_as_free,
    free_per_day,
    rate_limited,
)
from fairlead.core.money import NANO_PER_USD, NanoUSD
from fairlead.core.ratelimit import DAY_MS, MINUTE_MS
from fairlead.core.routing.types import Target
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.dialects.openai_responses import OpenAIResponses

ROOT = Path(__file__).resolve().parents[2]
NOON_MS = 20_000 * DAY_MS + DAY_MS // 2
LIMITS = RequestLimits(free_per_minute=20, free_per_day=50, free_per_day_purchased=1000)
PREPAID = Caller(AccountId("acc"), KeyId("key"), is_prepaid=True)
OWNER = Caller(AccountId("own"), KeyId("key-own"))


def named(caller: Caller, *, is_free: bool, limits: RequestLimits = LIMITS) -> dict[str, int]:
    return {one.name.value: one.count for one in allowances(caller, limits, is_free=is_free)}


def test_paid_models_have_no_limit_unless_somebody_sets_one() -> None:
    assert named(PREPAID, is_free=False) == {}


def test_free_variants_are_limited_for_prepaid_accounts_and_not_for_the_owner() -> None:
    assert named(PREPAID, is_free=True) == {"free-models-per-min": 20, "free-models-per-day": 50}
    assert named(OWNER, is_free=True) == {}


def test_all_keys_of_an_account_share_its_free_requests() -> None:
    other = replace(PREPAID, key=KeyId("another"))
    assert allowances(PREPAID, LIMITS, is_free=True) == allowances(other, LIMITS, is_free=True)


@pytest.mark.parametrize(("dollars", "expected"), [(0, 50), (9.99, 50), (10, 1000), (500, 1000)])
def test_ten_dollars_ever_purchased_buy_more_free_requests(dollars: float, expected: int) -> None:
    purchased = NanoUSD(round(dollars * NANO_PER_USD))
    assert free_per_day(LIMITS, purchased) == expected
    customer = replace(PREPAID, credits_purchased=purchased)
    assert named(customer, is_free=True)["free-models-per-day"] == expected


def test_nought_means_as_many_as_they_like() -> None:
    assert named(PREPAID, is_free=True, limits=RequestLimits()) == {}


def test_a_keys_own_limit_goes_before_that_for_every_key() -> None:
    limits = RequestLimits(key_per_minute=60, key_per_day=100)
    assert named(OWNER, is_free=False, limits=limits) == {
        "key-requests-per-min": 60,
        "key-requests-per-day": 100,
    }
    own = replace(OWNER, rate_limits=KeyLimits(requests_per_minute=500))
    assert named(own, is_free=False, limits=limits) == {
        "key-requests-per-min": 500,
        "key-requests-per-day": 100,
    }


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([Target(ModelId("deepseek/deepseek-r1:free"))], True),
        ([Target(ModelId("deepseek/deepseek-r1"), ("free", "nitro"))], True),
        ([Target(ModelId("openai/o1")), Target(ModelId("deepseek/deepseek-r1:free"))], True),
        ([Target(ModelId("deepseek/deepseek-r1"), ("nitro",))], False),
        ([Target(ModelId("sandbox/echo"))], False),
        ([Target(ModelId("ollama/llama"))], False),
    ],
)
def test_the_name_decides_what_counts_as_free(targets: list[Target], *, expected: bool) -> None:
    assert counts_as_free(targets) is expected


# --- the book -----------------------------------------------------------------------------------------


def minute(count: int, subject: str = "k") -> Allowance:
    return Allowance(LimitName.KEY_MINUTE, subject, count)


def daily(count: int, subject: str = "k") -> Allowance:
    return Allowance(LimitName.KEY_DAY, subject, count)


def test_a_refused_call_takes_nothing_from_the_limits_that_would_have_let_it_pass() -> None:
    book = LimitBook()
    both = (minute(2), daily(100))
    for _ in range(2):
        assert book.take(both, NOON_MS) is None
    for _ in range(30):
        assert book.take(both, NOON_MS) is not None
    assert book.taken_today(LimitName.KEY_DAY, "k", NOON_MS) == 2


def test_of_several_exceeded_limits_the_one_with_the_longest_wait_is_told() -> None:
    book = LimitBook()
    both = (minute(1), daily(1))
    assert book.take(both, NOON_MS) is None
    exceeded = book.take(both, NOON_MS)
    assert exceeded is not None
    assert exceeded.allowance == daily(1)


def test_subjects_do_not_touch_each_other() -> None:
    book = LimitBook()
    assert book.take([minute(1, "a")], NOON_MS) is None
    assert book.take([minute(1, "b")], NOON_MS) is None
    assert book.take([minute(1, "a")], NOON_MS) is not None


def test_yesterdays_requests_are_not_todays() -> None:
    book = LimitBook()
    assert book.taken_today(LimitName.KEY_DAY, "k", NOON_MS) == 0
    for _ in range(3):
        book.take([daily(10)], NOON_MS)
    assert book.taken_today(LimitName.KEY_DAY, "k", NOON_MS + 1) == 3
    assert book.taken_today(LimitName.KEY_DAY, "k", NOON_MS + DAY_MS) == 0


def test_the_book_is_bounded_and_forgets_the_longest_unused_first() -> None:
    book = LimitBook(entries_max=3)
    for subject in ("a", "b", "c"):
        book.take([minute(1, subject)], NOON_MS)
    assert book.take([minute(1, "a")], NOON_MS) is not None  # used: it is the youngest now
    book.take([minute(1, "d")], NOON_MS)
    assert len(book) == 3
    assert book.take([minute(1, "a")], NOON_MS) is not None
    assert book.take([minute(1, "b")], NOON_MS) is None


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30_000)), max_size=150),
    st.integers(1, 5),
    st.integers(1, 12),
)
def test_every_limit_holds_whatever_the_others_do(
    calls: list[tuple[str, int]], per_minute: int, per_day: int
) -> None:
    """Two keys of one account: each has its minute, both share the account's day."""
    book, now_ms, passed = LimitBook(), NOON_MS, []
    for key, step_ms in calls:
        now_ms += step_ms
        wanted = (minute(per_minute, key), Allowance(LimitName.FREE_DAY, "account", per_day))
        if book.take(wanted, now_ms) is None:
            passed.append((key, now_ms))
    assert len(passed) <= per_day * (1 + (now_ms // DAY_MS - NOON_MS // DAY_MS))
    for key in "ab":
        times = [at_ms for owner, at_ms in passed if owner == key]
        for first, at_ms in enumerate(times):
            for last in range(first, len(times)):
                allowed_parts = per_minute * MINUTE_MS + per_minute * (times[last] - at_ms)
                assert (last - first + 1) * MINUTE_MS <= allowed_parts


# --- what the caller is told --------------------------------------------------------------------------


def refusal(allowance: Allowance, *, now_ms: int = NOON_MS):
    book = LimitBook()
    for _ in range(allowance.count):
        assert book.take([allowance], now_ms) is None
    exceeded = book.take([allowance], now_ms)
    assert exceeded is not None
    return rate_limited(exceeded).problem()


def test_a_refusal_names_the_limit_and_when_it_ends() -> None:
    problem = refusal(Allowance(LimitName.FREE_DAY, "acc", 50))
    assert problem.status == 429
    assert problem.message == (
        "Rate limit exceeded: free-models-per-day. All keys of an account together may send free models"
        " 50 requests per day; the count begins anew at 2024-10-05T00:00:00Z."
    )
    assert dict(problem.headers) == {
        "retry-after": str(12 * 3600),
        "x-ratelimit-limit": "50",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(20_001 * DAY_MS),
    }


def test_a_wait_is_told_in_whole_seconds_that_are_enough() -> None:
    problem = refusal(minute(7))
    assert dict(problem.headers)["retry-after"] == "9"
    assert problem.message.endswith("7 requests per minute; the next one is possible in 9 s.")


@pytest.mark.parametrize("dialect", [OpenAIChat(), OpenAIResponses(), AnthropicMessages()])
def test_every_dialect_repeats_the_headers_where_clients_look(dialect) -> None:
    problem = refusal(minute(20))
    body = json.loads(dialect.problem(problem, None))
    metadata = body.get("metadata") or body["error"]["metadata"]
    assert metadata["headers"] == {
        "X-RateLimit-Limit": "20",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(NOON_MS + 3000),
    }
    text = msgspec.json.encode(body).decode()
    assert "Rate limit exceeded: key-requests-per-min." in text
    assert "rate_limit" in body["error"].get("type", "") or body["error"]["code"] == 429


def test_the_page_about_limits_shows_what_a_caller_gets() -> None:
    page = (ROOT / "docs" / "api" / "limits.md").read_text("utf-8")
    (example,) = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    noon_ms = 1_795_305_600_000 - DAY_MS // 2
    problem = refusal(Allowance(LimitName.FREE_DAY, "acc", 50), now_ms=noon_ms)
    assert json.loads(OpenAIChat().problem(problem, None)) == json.loads(example)
    for name in LimitName:
        assert f"`{name.value}`" in page
    for header, _ in problem.headers:
        assert f"| `{header}` |" in page.lower()
