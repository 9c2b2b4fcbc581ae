"""The abort policy, line by line."""

from __future__ import annotations

from itertools import product

import pytest

from fairlead.core.who_pays import RULES, Cause, Pays, cause_of, explained

FLAGS = (
    "is_completed",
    "is_cancelled",
    "is_stopped",
    "has_begun",
    "has_error",
    "is_empty",
    "is_reported",
    "is_cut",
)


@pytest.mark.parametrize(
    ("flags", "cause", "pays"),
    [
        ("is_completed has_begun is_reported", Cause.COMPLETED, Pays.USED),
        ("is_completed has_begun", Cause.UNREPORTED, Pays.USED),
        ("is_completed has_begun is_cut", Cause.REACHED_LIMIT, Pays.USED),
        ("is_completed has_begun is_reported is_empty", Cause.EMPTY, Pays.SEARCHES),
        ("is_completed has_begun is_reported has_error", Cause.ERROR_INSIDE, Pays.SEARCHES),
        ("is_completed", Cause.EMPTY, Pays.SEARCHES),
        ("is_cancelled has_begun", Cause.CALLER_LEFT, Pays.USED),
        ("is_cancelled has_begun is_empty", Cause.EMPTY, Pays.SEARCHES),
        ("is_cancelled", Cause.CALLER_LEFT_EARLY, Pays.NOTHING),
        ("has_begun", Cause.UPSTREAM_DIED, Pays.NOTHING),
        ("has_begun is_reported has_error", Cause.UPSTREAM_DIED, Pays.NOTHING),
        ("", Cause.NOT_ANSWERED, Pays.NOTHING),
        ("has_begun is_stopped", Cause.STOPPED, Pays.NOTHING),
        ("is_stopped", Cause.STOPPED, Pays.NOTHING),
    ],
)
def test_who_pays_when_a_call_ends_so(flags: str, cause: Cause, pays: Pays) -> None:
    given = set(flags.split())
    found = cause_of(**{flag: flag in given for flag in FLAGS})
    assert found is cause
    assert RULES[found].pays is pays


def test_every_end_has_a_rule_and_every_rule_is_explained() -> None:
    ends = set()
    for values in product((False, True), repeat=len(FLAGS)):
        flags = dict(zip(FLAGS, values, strict=True))
        if not (flags["is_completed"] and flags["is_cancelled"]):
            ends.add(cause_of(**flags))
    assert ends == set(Cause) == set(RULES)
    assert all(explained(cause.value) for cause in Cause)
    assert explained("something else") is None
