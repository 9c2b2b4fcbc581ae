"""What a page says once, after something was done: `/settings/keys?notice=key-deleted`.

The address carries a word of this table and no text, so nobody can put words into our mouth with a link.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import urlencode

__all__ = ["NOTICES", "Notice", "notice_of", "with_notice"]

Tone = Literal["info", "success", "warning", "danger"]


@dataclass(frozen=True, slots=True)
class Notice:
    tone: Tone
    text: str


NOTICES: Final = MappingProxyType(
    {
        "saved": Notice("success", "Saved."),
        "deleted": Notice("success", "Deleted."),
        "key-deleted": Notice("success", "The key is deleted. Calls with it are refused."),
        "key-disabled": Notice("success", "The key is disabled. Calls with it are refused."),
        "key-enabled": Notice("success", "The key is enabled."),
        "refunded": Notice("success", "It is on its way back to how it was paid."),
        "card-saved": Notice("success", "The card is saved."),
        "card-forgotten": Notice("success", "The card is forgotten, and auto top-up is off."),
        "signed-out": Notice("success", "You are signed out."),
        "form-lost": Notice(
            "info", "You are not signed in any more. Nothing was changed; sign in, and do it again."
        ),
        "password-changed": Notice(
            "success", "Your password is changed, and you are signed out elsewhere."
        ),
        "email-verified": Notice("success", "This address is yours now."),
        "link-sent": Notice(
            "info", "A message with a link is on its way. Nothing changes until you follow it."
        ),
        "test-sent": Notice("success", "A test message is on its way to you."),
        "session-ended": Notice("success", "That session is over."),
        "sessions-ended": Notice("success", "You are signed out everywhere else."),
        "account-deleted": Notice("success", "Your account is deleted."),
        "joined": Notice(
            "success", "You belong to the organisation now. Switch to it to act for it."
        ),
        "switched": Notice("success", "You act for this account now."),
        "invited": Notice("success", "An invitation is on its way."),
        "granted": Notice("success", "The credit is given."),
        "person-disabled": Notice(
            "success", "They are shut out: signed out, and their keys refused."
        ),
        "person-enabled": Notice("success", "They are let in again."),
        "endpoint-off": Notice(
            "success", "Switched off. Calls under way there may end; no other goes there."
        ),
        "endpoint-on": Notice("success", "Switched on. Calls may go there again."),
        "endpoint-reset": Notice("success", "It is as in the catalogue again."),
        "prices-saved": Notice("success", "Saved. Calls that begin from now on cost that."),
        "model-hidden": Notice("success", "Hidden. Nobody sees it, and nobody can call it."),
        "model-shown": Notice("success", "Shown. Everybody sees it, and can call it."),
        "ledger-check-begun": Notice("info", "The check was begun. Nobody needs to wait for it."),
        "ledger-check-runs": Notice("info", "A check is under way already."),
        "said": Notice("success", "Thank you. It is kept beside the call."),
        "left": Notice("success", "You do not belong to that organisation any more."),
    }
)


def notice_of(code: str | None) -> Notice | None:
    return None if code is None else NOTICES.get(code)


def with_notice(path: str, code: str) -> str:
    """The path, for a 303. code: of the table."""
    assert code in NOTICES
    return f"{path}{'&' if '?' in path else '?'}{urlencode({'notice': code})}"
