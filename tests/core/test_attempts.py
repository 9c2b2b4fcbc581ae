from __future__ import annotations

import pytest

from fairlead.core.attempts import ATTEMPTS_MAX, Attempts, GiveUp, Try
from fairlead.core.errors import FAILURES, FailureKind, UpstreamFailure
from fairlead.testing.builders import an_endpoint

A, B, C = an_endpoint("a"), an_endpoint("b"), an_endpoint("c")


def _fail(kind: FailureKind) -> UpstreamFailure:
    return UpstreamFailure(kind.value, kind=kind)


def test_the_next_endpoint_is_tried_until_none_is_left() -> None:
    attempts = Attempts((A, B), deadline_s=10)
    assert attempts.next(0) == Try(A)
    attempts.failed(A, _fail(FailureKind.SERVER))
    assert attempts.next(1) == Try(B)
    attempts.failed(B, _fail(FailureKind.RATE_LIMIT))
    end = attempts.next(2)
    assert isinstance(end, GiveUp)
    assert [endpoint for endpoint, _ in end.failures] == [A, B]
    assert end.verdict is not None
    assert end.verdict.kind is FailureKind.RATE_LIMIT


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if not FAILURES[kind].elsewhere])
def test_a_failure_of_the_request_itself_is_not_tried_elsewhere(kind: FailureKind) -> None:
    attempts = Attempts((A, B), deadline_s=10)
    attempts.next(0)
    attempts.failed(A, _fail(kind))
    end = attempts.next(1)
    assert isinstance(end, GiveUp)
    assert end.verdict is not None
    assert end.verdict.kind is kind


def test_the_failure_that_says_most_is_shown() -> None:
    attempts = Attempts((A, B, C), deadline_s=10)
    for endpoint, kind in ((A, FailureKind.CONTEXT_LENGTH), (B, FailureKind.SERVER)):
        attempts.next(0)
        attempts.failed(endpoint, _fail(kind))
    attempts.next(0)
    attempts.failed(C, _fail(FailureKind.TIMEOUT))
    end = attempts.next(0)
    assert isinstance(end, GiveUp)
    assert end.verdict is not None
    assert end.verdict.kind is FailureKind.CONTEXT_LENGTH


def test_no_attempt_begins_after_the_deadline_but_the_first_always_does() -> None:
    attempts = Attempts((A, B), deadline_s=10)
    assert attempts.next(11) == Try(A)
    attempts.failed(A, _fail(FailureKind.SERVER))
    assert isinstance(attempts.next(11), GiveUp)


def test_a_commitment_is_final() -> None:
    attempts = Attempts((A, B), deadline_s=10)
    attempts.next(0)
    attempts.committed()
    with pytest.raises(RuntimeError):
        attempts.next(0)
    with pytest.raises(RuntimeError):
        attempts.failed(A, _fail(FailureKind.CUT))


def test_the_number_of_attempts_is_bounded() -> None:
    many = tuple(an_endpoint(f"p{index}") for index in range(ATTEMPTS_MAX + 5))
    attempts = Attempts(many, deadline_s=10)
    tried = 0
    while isinstance(step := attempts.next(0), Try):
        tried += 1
        attempts.failed(step.endpoint, _fail(FailureKind.SERVER))
    assert tried == ATTEMPTS_MAX


def test_every_kind_of_failure_has_a_rule() -> None:
    assert set(FAILURES) == set(FailureKind)
