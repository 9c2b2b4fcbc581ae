"""The chain of hashes over entries: history cannot be edited without being found out. Pure.

An entry's hash is the SHA-256 of this text, in UTF-8, lines separated by a single newline:

    fairlead-ledger-1                   the format, this one
    0f3a...                             the hash of the entry before, hexadecimal; of the first: 64 zeros
    17                                  number
    purchase:pay-0193...                reference
    add_credit                          kind
    acc-0193...                         account
    1763700000000                       milliseconds since 1970
    {"type":"add_credit",...}           the command, as it is kept
    payments:card<TAB><TAB>-10800000000         a line for each posting, in order:
    fees:card<TAB><TAB>800000000                account, lot or nothing, amount,
    credit:acc-0193...<TAB>lot-0193...<TAB>10000000000   separated by tabs

No field holds a newline or a tab, so no two entries have the same text. This format never changes; another
would begin with another first line. Who notes down the last number and its hash elsewhere can later prove that
nothing up to there was changed, not even by somebody who computed all hashes anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from fairlead.control.ledger.types import Posting

__all__ = ["FIRST", "Ambiguous", "chained"]

FORMAT: Final = "fairlead-ledger-1"
FIRST: Final = bytes(32)  # stands for the hash before the first entry


class Ambiguous(ValueError):
    """A field holds a newline or a tab: nobody can have written that through the funnel."""


def chained(
    previous: bytes,
    *,
    number: int,
    reference: str,
    kind: str,
    account: str,
    created_ms: int,
    command: str,
    postings: Sequence[Posting],
) -> bytes:
    """The hash of an entry. previous: of the entry before, FIRST for number 1. Raises Ambiguous."""
    lines = [
        FORMAT,
        previous.hex(),
        str(number),
        reference,
        kind,
        account,
        str(created_ms),
        command,
    ]
    lines += [f"{account}\t{lot or ''}\t{amount}" for account, amount, lot in postings]
    text = "\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\t") != len(postings) * 2:
        raise Ambiguous(f"entry {number} holds a line break or a tab")
    return sha256(text.encode()).digest()
