"""What an address and a name may be."""

from __future__ import annotations

from email.headerregistry import Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.control.accounts import rules
from fairlead.control.accounts.types import EmailInvalid
from fairlead.control.people.rules import organisation_name

CHARACTERS = st.sampled_from("ab.@<>()[]\\,;:\"' =?_-\x00\x1b\x7f\x9b\u202e\ud800ü中")


@pytest.mark.parametrize(
    "text",
    [
        "ada@localhost",
        " Ada+x.y@Bücher.example ",
        "o'hara@a-b.example",
        "ada@xn--bcher-kva.example",
    ],
)
def test_a_mailbox_is_taken_trimmed_and_in_lower_case(text: str):
    assert rules.email(text) == text.strip().lower()


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "a@", "@b", "a@@b", "a@b@c", "a b@c", "a@b.", "a@.b", "a..b@c", ".a@b", "a.@b"),
        *("a@-b", "a@b-", "a@[", "a@[::1]", '"a"@b', "a@b,c", "x<victim@b>", "victim@b,root"),
        *("a:b@c", "a;b@c", "a(x)@b", "a\\@b", "a@b\x7f.c", "\x9b@b", "a\u202e@b", "a@b\ud800"),
        *("=?utf-8?q?=0aa?=@b", "=?@b", f"{'a' * 250}@example"),
    ],
)
def test_what_is_not_one_mailbox_is_refused(text: str):
    with pytest.raises(EmailInvalid):
        rules.email(text)


@given(
    st.lists(CHARACTERS, max_size=12).map("".join), st.lists(CHARACTERS, max_size=8).map("".join)
)
def test_what_is_taken_is_one_address_in_a_header(local: str, domain: str):
    try:
        address = rules.email(f"{local}@{domain}")
    except EmailInvalid:
        return
    assert Address(addr_spec=address).addr_spec == address


def test_names_hold_only_what_can_be_seen():
    hidden = " a\x1b[2J\x9bm\u202e \n b\ud800\x07 "
    assert rules.name(hidden) == organisation_name(hidden) == "a[2Jm b"
    assert rules.name("\x1b \u202e") == ""
    assert rules.name("Zoë 中 🦉") == "Zoë 中 🦉"
