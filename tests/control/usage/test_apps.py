"""Which app a call came from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.control.usage.apps import CATEGORIES, CATEGORIES_MAX, Claim, claim, merged
from fairlead.core.generation import Attribution


@pytest.mark.parametrize(
    ("referer", "title", "expected"),
    [
        ("https://cline.bot", "Cline", Claim("https://cline.bot", "Cline", (), True)),
        ("https://Cline.bot/", " Cline\n 2 ", Claim("https://cline.bot", "Cline 2", (), True)),
        ("https://a.example/b/?q=1#x", None, Claim("https://a.example/b", "a.example", (), True)),
        (
            "https://a.example:8443",
            None,
            Claim("https://a.example:8443", "a.example:8443", (), True),
        ),
        (
            "http://localhost:3000/x",
            "Mine",
            Claim("http://localhost:3000 Mine", "Mine", (), False),
        ),
        ("http://127.0.0.1:3000", None, None),
        ("http://[::1]:3000", None, None),
        (None, "A title alone is nobody", None),
        ("", "Nobody", None),
        ("not an address", "Nobody", None),
        ("javascript:alert(1)", "Nobody", None),
        ("https://a.example:port/", "Nobody", None),
        ("https://[broken/", "Nobody", None),
    ],
)
def test_an_app_is_known_by_its_address(referer: str, title: str, expected: Claim | None):
    assert claim(Attribution(referer=referer, title=title)) == expected


def test_without_headers_it_is_nobodys():
    assert claim(None) is None


def test_unknown_categories_are_dropped_and_two_of_a_call_count():
    attribution = Attribution(
        referer="https://a.example", categories=("game", "Game", "nothing", "legal", "roleplay")
    )
    found = claim(attribution)
    assert found is not None
    assert found.categories == ("game", "legal")


@given(st.lists(st.sampled_from(sorted(CATEGORIES))), st.lists(st.text()))
def test_merged_categories_are_known_ones_each_once_and_not_too_many(
    before: list[str], more: list[str]
):
    found = merged(before, more)
    assert len(found) == len(set(found)) <= CATEGORIES_MAX
    assert set(found) <= CATEGORIES
    assert merged(found, ()) == found


@given(st.text(), st.text())
def test_any_headers_make_a_bounded_printable_claim_or_none(referer: str, title: str):
    for one in (referer, f"https://{referer}", f"http://localhost/{referer}"):
        found = claim(Attribution(referer=one, title=title))
        if found is not None:
            assert len(found.identity) <= 200
            assert len(found.title) <= 200
            assert found.identity.isprintable()
            assert found.title.isprintable()
