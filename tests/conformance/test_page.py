"""The page says what the tables say."""

from __future__ import annotations

from tests.conformance.page import PAGE, write


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == write(), "run `make conformance`"
