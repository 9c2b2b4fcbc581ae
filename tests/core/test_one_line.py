"""Names that people give: what is kept of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.one_line import one_line


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("  two \n words\t", "two words"),
        ("\u202eturned\u202c \u200b and hidden\u00ad", "turned and hidden"),
        ("naïve 名前 🚀", "naïve 名前 🚀"),
        ("\x00\u2028", ""),
    ],
)
def test_a_name_is_what_can_be_seen_of_it(text: str, kept: str) -> None:
    assert one_line(text) == kept


@given(st.text())
def test_a_name_is_one_line_and_stays_so(text: str) -> None:
    kept = one_line(text)
    assert kept.isprintable()
    assert one_line(kept) == kept == kept.strip()
