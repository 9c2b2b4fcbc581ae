from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.sandbox.faults import (
    NO_FAULT,
    Fault,
    FaultInvalid,
    parse_fault,
    prompt_directive,
    split_model,
)


def test_words_flags_and_short_names_are_read() -> None:
    assert parse_fault("status=429; retry_after=2;hang;delay_ms=20;tag=a=b") == Fault(
        status=429, retry_after=2, hang=True, delay_between_ms=20, tag="a=b"
    )
    assert parse_fault("") is NO_FAULT


@pytest.mark.parametrize(
    "text",
    ["status", "status=abc", "status=999", "status=-1", "hang=yes", "nonsense", "tokens=²", "=3"],
)
def test_what_is_not_of_the_language_is_refused_by_name(text: str) -> None:
    with pytest.raises(FaultInvalid, match=r"\S"):
        parse_fault(text)


@given(st.text(max_size=40))
def test_arbitrary_text_is_a_fault_or_refused(text: str) -> None:
    try:
        assert isinstance(parse_fault(text), Fault)
    except FaultInvalid:
        assert text.strip(" ;")


@given(st.text(max_size=60))
def test_a_prompt_never_fails_to_be_read(text: str) -> None:
    assert isinstance(prompt_directive("twin:" + text), Fault)


def test_a_directive_stands_anywhere_among_words() -> None:
    assert prompt_directive("please twin:tokens=64;delay_ms=20 now") == Fault(
        tokens=64, delay_between_ms=20
    )
    assert prompt_directive("a nontwin:tokens=3") == NO_FAULT
    assert prompt_directive("twin:unknown=3") == NO_FAULT


def test_the_nearer_word_wins_and_the_rest_stays() -> None:
    near, far = Fault(status=500, tag="a"), Fault(status=429, retry_after=3, hang=True)
    assert near.over(far) == Fault(status=500, retry_after=3, hang=True, tag="a")
    assert near.over(NO_FAULT) == near
    assert NO_FAULT.over(far) == far


def test_zero_is_a_value() -> None:
    assert Fault(cut_after_events=0).over(Fault(cut_after_events=5)).cut_after_events == 0


def test_a_model_name_may_carry_a_fault() -> None:
    assert split_model("sandbox/echo!status=503;retry_after=1") == (
        "sandbox/echo",
        Fault(status=503, retry_after=1),
    )
    assert split_model("gpt-4o:free") == ("gpt-4o:free", NO_FAULT)
