"""What is tried after what, until when, and what the caller is told in the end."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.attempts import (
    ATTEMPTS_MAX,
    PROBE_S,
    RETRY_WAIT_S_MAX,
    Attempts,
    GiveUp,
    Try,
    Wait,
)
from fairlead.core.errors import FAILURES, FailureKind, UpstreamFailure
from fairlead.core.ids import ModelId
from fairlead.core.money import PicoUSD
from fairlead.core.routing.types import Choice, Why
from fairlead.testing.builders import an_endpoint


def a_choice(name: str, model: str = "acme/one", *, is_probe: bool = False) -> Choice:
    endpoint = msgspec.structs.replace(an_endpoint(name), model=ModelId(model))
    return Choice(endpoint, None, PicoUSD(1), Why.PRICE, is_probe)


A, B, C = a_choice("a"), a_choice("b"), a_choice("c")
OTHER = a_choice("d", "acme/two")


def _fail(kind: FailureKind, retry_after_s: float | None = None) -> UpstreamFailure:
    return UpstreamFailure(kind.value, kind=kind, retry_after_s=retry_after_s)


def _attempts(*choices: Choice, deadline_s: float = 600, first_token_s: float = 300) -> Attempts:
    return Attempts(choices, deadline_s=deadline_s, first_token_s=first_token_s)


def _tried(step: object) -> Choice:
    assert isinstance(step, Try)
    return step.choice


def test_the_next_choice_is_tried_until_none_is_left() -> None:
    attempts = _attempts(A, B)
    assert _tried(attempts.next(0)) is A
    attempts.failed(A, _fail(FailureKind.SERVER), 0)
    assert _tried(attempts.next(1)) is B
    attempts.failed(B, _fail(FailureKind.RATE_LIMIT), 1)
    end = attempts.next(2)
    assert isinstance(end, GiveUp)
    assert [choice for choice, _ in end.failures] == [A, B]
    assert end.verdict is not None
    assert end.verdict.kind is FailureKind.RATE_LIMIT


OWN = [kind for kind in FailureKind if not FAILURES[kind].elsewhere]


@pytest.mark.parametrize("kind", OWN)
def test_a_failure_of_the_request_itself_is_not_tried_at_the_same_models_endpoints(
    kind: FailureKind,
) -> None:
    attempts = _attempts(A, B, OTHER)
    attempts.next(0)
    attempts.failed(A, _fail(kind), 0)
    assert _tried(attempts.next(1)) is OTHER, "any error moves on to the caller's next model"
    attempts.failed(OTHER, _fail(kind), 1)
    end = attempts.next(1)
    assert isinstance(end, GiveUp)
    assert end.verdict is not None
    assert end.verdict.kind is kind


def test_the_failure_that_says_most_is_shown() -> None:
    attempts = _attempts(A, B, C)
    for choice, kind in (
        (A, FailureKind.CONTEXT_LENGTH),
        (B, FailureKind.SERVER),
        (C, FailureKind.TIMEOUT),
    ):
        attempts.next(0)
        attempts.failed(choice, _fail(kind), 0)
    end = attempts.next(0)
    assert isinstance(end, GiveUp)
    assert end.verdict is not None
    assert end.verdict.kind is FailureKind.CONTEXT_LENGTH


def test_the_last_models_failure_is_shown() -> None:
    attempts = _attempts(A, OTHER)
    attempts.next(0)
    attempts.failed(A, _fail(FailureKind.CONTEXT_LENGTH), 0)
    attempts.next(0)
    attempts.failed(OTHER, _fail(FailureKind.SERVER), 0)
    end = attempts.next(0)
    assert isinstance(end, GiveUp)
    assert end.verdict is not None
    assert end.verdict.kind is FailureKind.SERVER


def test_no_attempt_begins_after_the_deadline_but_the_first_always_does() -> None:
    attempts = _attempts(A, B, deadline_s=10)
    assert _tried(attempts.next(11)) is A
    attempts.failed(A, _fail(FailureKind.SERVER), 11)
    assert isinstance(attempts.next(11), GiveUp)


def test_who_has_others_behind_him_may_use_half_of_the_time_that_is_left() -> None:
    attempts = _attempts(A, B, C, deadline_s=100, first_token_s=80)
    assert attempts.next(0) == Try(A, 50)
    attempts.failed(A, _fail(FailureKind.TIMEOUT), 50)
    assert attempts.next(50) == Try(B, 75)
    attempts.failed(B, _fail(FailureKind.TIMEOUT), 75)
    assert attempts.next(75) == Try(C, 100)


def test_a_single_choice_may_take_all_the_time_that_a_first_token_may_take() -> None:
    assert _attempts(A, deadline_s=100, first_token_s=80).next(0) == Try(A, 80)


def test_a_probe_is_short_as_long_as_there_are_others() -> None:
    probe = a_choice("p", is_probe=True)
    assert _attempts(probe, A).next(0) == Try(probe, PROBE_S)
    assert _attempts(probe).next(0) == Try(probe, 300)


def test_a_short_wait_that_a_provider_asks_for_is_taken_on_once() -> None:
    attempts = _attempts(A)
    attempts.next(0)
    attempts.failed(A, _fail(FailureKind.RATE_LIMIT, retry_after_s=1.5), 0)
    assert attempts.next(0) == Wait(1.5)
    assert _tried(attempts.next(1.5)) is A
    attempts.failed(A, _fail(FailureKind.RATE_LIMIT, retry_after_s=1.5), 2)
    assert isinstance(attempts.next(2), GiveUp)


def test_others_are_tried_before_anybody_is_waited_for() -> None:
    attempts = _attempts(A, B)
    attempts.next(0)
    attempts.failed(A, _fail(FailureKind.RATE_LIMIT, retry_after_s=1), 0)
    assert _tried(attempts.next(0)) is B


@pytest.mark.parametrize(
    ("kind", "hint_s"),
    [
        (FailureKind.RATE_LIMIT, None),
        (FailureKind.RATE_LIMIT, RETRY_WAIT_S_MAX + 0.1),
        (FailureKind.SERVER, 1.0),
    ],
)
def test_a_long_or_unknown_wait_is_the_callers_own(kind: FailureKind, hint_s: float | None) -> None:
    attempts = _attempts(A)
    attempts.next(0)
    attempts.failed(A, _fail(kind, hint_s), 0)
    assert isinstance(attempts.next(0), GiveUp)


def test_a_wait_beyond_the_deadline_is_not_taken_on() -> None:
    attempts = _attempts(A, deadline_s=1)
    attempts.next(0)
    attempts.failed(A, _fail(FailureKind.RATE_LIMIT, retry_after_s=1.5), 0)
    assert isinstance(attempts.next(0), GiveUp)


def test_a_rival_is_the_next_of_the_same_model() -> None:
    attempts = _attempts(A, OTHER, B)
    assert attempts.rival_choice is None, "there is nobody to run beside yet"
    attempts.next(0)
    assert attempts.rival_choice is B
    assert _tried(attempts.rival(0)) is B
    assert attempts.rival_choice is None
    assert attempts.rival(0) is None
    attempts.failed(A, _fail(FailureKind.SERVER), 0)
    attempts.failed(B, _fail(FailureKind.SERVER), 0)
    assert _tried(attempts.next(0)) is OTHER


def test_a_commitment_is_final() -> None:
    attempts = _attempts(A, B)
    attempts.next(0)
    attempts.committed()
    with pytest.raises(RuntimeError):
        attempts.next(0)
    with pytest.raises(RuntimeError):
        attempts.failed(A, _fail(FailureKind.CUT), 0)


def test_a_broken_stream_is_resumed_by_the_same_models_next_endpoint() -> None:
    attempts = _attempts(A, OTHER, B, deadline_s=100)
    attempts.next(0)
    attempts.committed()
    assert _tried(attempts.resume(A, 10)) is B
    assert _tried(attempts.resume(B, 20)) is B, "where nobody else is left, by the same again"
    assert attempts.resume(B, 100) is None, "the deadline holds"


@given(
    st.lists(
        st.sampled_from(sorted(FailureKind)),
        min_size=1,
        max_size=ATTEMPTS_MAX + 20,
    ),
    st.integers(1, ATTEMPTS_MAX + 10),
)
def test_whatever_fails_the_number_of_attempts_and_the_time_are_bounded(
    kinds: list[FailureKind], count: int
) -> None:
    choices = tuple(a_choice(f"p{n}", f"acme/{n % 3}") for n in range(count))
    attempts = _attempts(*choices, deadline_s=100, first_token_s=60)
    now_s, tried = 0.0, []
    while not isinstance(step := attempts.next(now_s), GiveUp):
        if isinstance(step, Wait):
            now_s = max(now_s, step.until_s)
            continue
        assert now_s < step.expire_at_s <= 100
        tried.append(step.choice)
        kind = kinds[len(tried) % len(kinds)]
        if kind is FailureKind.TIMEOUT:
            now_s = step.expire_at_s
        attempts.failed(step.choice, _fail(kind, retry_after_s=1.0), now_s)
    assert 1 <= len(tried) <= ATTEMPTS_MAX
    assert max(tried.count(choice) for choice in tried) <= 2
    assert len(step.failures) == len(tried)


def test_the_last_of_many_endpoints_is_asked_while_there_is_time() -> None:
    """Dozens may be down at once, and one be left."""
    choices = tuple(a_choice(f"p{n}") for n in range(45))
    attempts = _attempts(*choices, deadline_s=100, first_token_s=60)
    for number, choice in enumerate(choices):
        step = attempts.next(number * 0.1)
        assert isinstance(step, Try)
        assert step.choice is choice
        attempts.failed(choice, _fail(FailureKind.UNREACHABLE), number * 0.1)


def test_every_kind_of_failure_has_a_rule() -> None:
    assert set(FAILURES) == set(FailureKind)


def test_who_was_not_asked_at_all_does_not_hide_what_the_others_said() -> None:
    end = GiveUp(((A, _fail(FailureKind.OVERLOADED)), (B, _fail(FailureKind.UNSUPPORTED))))
    assert end.verdict is not None
    assert end.verdict.kind is FailureKind.OVERLOADED
    alone = GiveUp(((B, _fail(FailureKind.UNSUPPORTED)),))
    assert alone.verdict is not None
    assert alone.verdict.kind is FailureKind.UNSUPPORTED


def test_nobody_waits_for_an_endpoint_of_a_model_that_refused_the_request_meanwhile() -> None:
    """Two were raced: the one said that the request is bad, then the other asked to wait."""
    attempts = _attempts(A, B)
    attempts.next(0)
    assert attempts.rival(0.5) is not None
    attempts.failed(B, _fail(FailureKind.BAD_REQUEST), 1)
    attempts.failed(A, _fail(FailureKind.RATE_LIMIT, 0.5), 1)
    assert isinstance(attempts.next(1), GiveUp)


def test_the_same_endpoint_with_another_key_is_no_rival() -> None:
    own = msgspec.structs.replace(A, key="own")
    attempts = _attempts(own, A, B)
    assert _tried(attempts.next(0)) is own
    assert _tried(attempts.rival(1)) is B
    attempts.failed(own, _fail(FailureKind.SERVER), 2)
    assert _tried(attempts.next(2)) is A


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 2)), min_size=1, max_size=8),
    st.lists(
        st.tuples(
            st.sampled_from(FailureKind),
            st.sampled_from([None, 0.0, 0.5, 5.0]),
            st.sampled_from([0.0, 0.3, 40.0]),
            st.booleans(),
        ),
        min_size=60,
        max_size=60,
    ),
)
def test_races_and_resumptions_are_bounded_too(
    plan: list[tuple[bool, int]],
    fates: list[tuple[FailureKind, float | None, float, bool]],
) -> None:
    """Whatever is raced, waited for and gone on with, it stays with its model, and all ends in time."""
    choices = tuple(
        a_choice(f"p{number}", f"acme/{model}", is_probe=is_probe)
        for number, (is_probe, model) in enumerate(plan)
    )
    attempts = _attempts(*choices, deadline_s=100, first_token_s=30)
    now_s, tried, left = 0.0, [], list(fates)

    def begun(step: Try) -> Choice:
        assert now_s <= step.expire_at_s <= min(100.0, now_s + 30)
        tried.append(step.choice)
        return step.choice

    while isinstance(step := attempts.next(now_s), Try | Wait):
        if isinstance(step, Wait):
            assert now_s < step.until_s < 100
            now_s = step.until_s
            continue
        running = [begun(step)]
        if left[0][3] and (rival := attempts.rival(now_s)) is not None:
            assert rival.choice.endpoint.model == step.choice.endpoint.model
            running.append(begun(rival))
        for choice in running:
            kind, hint_s, took_s, _ = left.pop(0)
            now_s += took_s
            attempts.failed(choice, _fail(kind, hint_s), now_s)
        assert all(tried.count(choice) <= 2 for choice in choices)
    assert isinstance(step, GiveUp)
    assert len(step.failures) == len(tried)
    attempts.committed()
    broken = tried[-1]
    while (again := attempts.resume(broken, now_s)) is not None:
        assert again.choice.endpoint.model == broken.endpoint.model
        broken = begun(again)
        now_s += 1.0
    assert now_s >= 100 or len(tried) == ATTEMPTS_MAX
