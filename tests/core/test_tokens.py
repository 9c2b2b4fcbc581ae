"""The estimate against true counts of GPT's o200k_base for texts of our own (token_samples.json)."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.tokens import estimate_tokens

_SAMPLES = json.loads(Path(__file__).with_name("token_samples.json").read_text("utf-8"))


@pytest.mark.parametrize("sample", _SAMPLES, ids=lambda sample: sample["name"])
def test_no_kind_of_text_is_off_by_more_than_thirty_percent(sample: dict[str, str | int]) -> None:
    assert estimate_tokens(str(sample["text"])) == pytest.approx(int(sample["tokens"]), rel=0.30)


def test_the_mean_error_over_all_kinds_of_text_is_below_nine_percent() -> None:
    errors = [abs(estimate_tokens(s["text"]) / s["tokens"] - 1) for s in _SAMPLES]
    assert fmean(errors) < 0.09


@given(st.text(max_size=200), st.text(max_size=200))
def test_more_text_is_hardly_ever_fewer_tokens(a: str, b: str) -> None:
    """Joining may fuse two runs into one, so a few tokens are allowed to vanish at the seam."""
    assert estimate_tokens(a + b) >= max(estimate_tokens(a), estimate_tokens(b)) - 3


@given(st.text(min_size=1, max_size=50))
def test_only_the_empty_text_has_no_tokens(text: str) -> None:
    assert estimate_tokens(text) >= 1
    assert estimate_tokens("") == 0


def test_lone_surrogates_are_counted_rather_than_refused() -> None:
    assert estimate_tokens("\ud800 broken") >= 1
