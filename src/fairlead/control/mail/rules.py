"""How letters become texts, and when a mail is tried again. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final

from fairlead.control.mail.types import Letter
from fairlead.core.ids import timed_id

__all__ = [
    "ATTEMPTS_MAX",
    "KINDS",
    "Text",
    "mail_id",
    "retry_after_ms",
    "written",
]

ATTEMPTS_MAX: Final = 8  # over some nine hours
RETRY_FIRST_MS: Final = 60_000
RETRY_FACTOR: Final = 3
RETRY_MAX_MS: Final = 3 * 3_600_000
VALUE_CHARACTERS_MAX: Final = 300

KINDS: Final = (
    "credit_bought",
    "credit_expiring",
    "credit_refunded",
    "email_changed",
    "invitation",
    "invoice_ready",
    "limit_near",
    "low_balance",
    "model_ending",
    "password_changed",
    "payment_disputed",
    "payment_strange",
    "refund_failed",
    "reset_password",
    "sign_in",
    "sign_up",
    "sign_up_known",
    "test_message",
    "top_up_ceiling",
    "top_up_failed",
    "top_up_stopped",
    "verify_email",
)
_BLANK: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Text:
    """subject: one line."""

    subject: str
    body: str


def mail_id(unix_ms: int, entropy: bytes) -> str:
    return timed_id("mail", unix_ms, entropy)


def retry_after_ms(attempts: int) -> int | None:
    """How long after the beginning of its last attempt; attempts: so far. None: no more."""
    if attempts >= ATTEMPTS_MAX:
        return None
    pause_ms: int = RETRY_FIRST_MS * RETRY_FACTOR ** max(0, attempts - 1)
    return min(RETRY_MAX_MS, pause_ms)


def written(letter: Letter, *, address: str) -> Text:
    """Fill in the text's blanks. address: ours, without a slash at its end; `link` is a path there.

    What people wrote themselves (names) arrives as one line and cannot look like a text of ours.
    """
    values = {name: _one_line(value) for name, value in letter.values.items()}
    values |= {"address": address, "recipient": letter.recipient}
    if "link" in letter.values:
        values["link"] = f"{address}{letter.values['link']}"
    text = _text(letter.kind)
    return Text(_filled(text.subject, values), _filled(text.body, values))


@lru_cache(maxsize=32)
def _text(kind: str) -> Text:
    assert re.fullmatch(r"[a-z_]+", kind)
    content = files(__package__).joinpath("texts", f"{kind}.txt").read_text()
    subject, _, body = content.partition("\n\n")
    return Text(subject.removeprefix("Subject: "), body)


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Raises KeyError for a blank without a value: a bug."""
    return _BLANK.sub(lambda blank: values[blank[1]], text)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:VALUE_CHARACTERS_MAX]
