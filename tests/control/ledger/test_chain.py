"""The text that is hashed never changes: whoever noted a hash down can check it for ever."""

from __future__ import annotations

from hashlib import sha256

import pytest

from fairlead.control.ledger.chain import FIRST, Ambiguous, chained
from fairlead.control.ledger.types import Posting

ENTRY = {
    "number": 17,
    "reference": "purchase:pay-1",
    "kind": "add_credit",
    "account": "acc-ä",
    "created_ms": 1_763_700_000_000,
    "command": '{"type":"add_credit","reason":"\\n"}',
    "postings": (
        Posting("payments:card", -10_800_000_000),
        Posting("fees:card", 800_000_000),
        Posting("credit:acc-ä", 10_000_000_000, "lot-1"),
    ),
}
# Written by hand, from the description alone.
TEXT = (
    b"fairlead-ledger-1\n"
    b"0000000000000000000000000000000000000000000000000000000000000000\n"
    b"17\n"
    b"purchase:pay-1\n"
    b"add_credit\n"
    b"acc-\xc3\xa4\n"
    b"1763700000000\n"
    b'{"type":"add_credit","reason":"\\n"}\n'
    b"payments:card\t\t-10800000000\n"
    b"fees:card\t\t800000000\n"
    b"credit:acc-\xc3\xa4\tlot-1\t10000000000"
)
HASH = "eac254c5d58fb45f88918ea8885023c7b06ed125d3c255aa513a31c6e147c9e0"


def test_the_hash_is_what_it_always_was():
    assert chained(FIRST, **ENTRY).hex() == HASH
    assert sha256(TEXT).hexdigest() == HASH


@pytest.mark.parametrize(
    "change",
    [
        {"number": 18},
        {"reference": "purchase:pay-2"},
        {"kind": "charge"},
        {"account": "acc-b"},
        {"created_ms": 1},
        {"command": "{}"},
        {"postings": ENTRY["postings"][:2]},
        {"postings": ENTRY["postings"][::-1]},
    ],
    ids=str,
)
def test_every_field_counts(change):
    assert chained(FIRST, **ENTRY) != chained(FIRST, **(ENTRY | change))


def test_what_came_before_counts():
    assert chained(FIRST, **ENTRY) != chained(b"\x01" * 32, **ENTRY)


@pytest.mark.parametrize("separator", ["\n", "\t"])
@pytest.mark.parametrize("field", ["reference", "kind", "account", "command"])
def test_no_text_can_be_read_in_two_ways(field: str, separator: str):
    with pytest.raises(Ambiguous):
        chained(FIRST, **(ENTRY | {field: f"a{separator}b"}))
    with pytest.raises(Ambiguous):
        chained(FIRST, **(ENTRY | {"postings": (Posting(f"a{separator}b", 1),)}))
