"""What all endpoints of signing in have in common: how a form is read, answered and refused.

A form comes as a browser sends it, or as a JSON object of texts. Who accepts JSON is answered in JSON; a
browser is sent on (303) when it went well, and told on a page of its own what was wrong. Nothing here may be
cached, and no other site is told the address of a page that a link led to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from fairlead.control.accounts.types import EmailInvalid, EmailTaken
from fairlead.control.people.types import (
    EmailUnverified,
    InvitationUnknown,
    LastAdmin,
    LinkInvalid,
    MemberUnknown,
    NotAdmin,
    OrganisationInvalid,
    OwnerStays,
    PasswordUnfit,
    SignInFirst,
    SignInRefused,
    SignUpClosed,
)
from fairlead.core.errors import (
    Conflict,
    FairleadError,
    Gone,
    NotAuthenticated,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    RequestInvalid,
)
from fairlead.web.answers import answer, problem_answer
from fairlead.web.reading import is_keepable
from fairlead.web.sessions import local_path

__all__ = [
    "EXPECTED",
    "FORM_BYTES_MAX",
    "Form",
    "answering",
    "done",
    "page",
    "read_form",
    "refusal_of",
    "wants_json",
]

FORM_BYTES_MAX: Final = 16 * 1024
FIELDS_MAX: Final = 50

_HEADERS: Final = {
    "cache-control": "no-store",
    # Not "no-referrer": then browsers say of our own forms that they come from "null".
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_PAGE_HEADERS: Final = _HEADERS | {
    "content-security-policy": "default-src 'none'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
}
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<h1>{title}</h1>
{body}
</html>
"""

_read_json: Final = msgspec.json.Decoder(dict[str, str | bool | int | None])


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a body."""

    fields: Mapping[str, str]

    def text(self, name: str) -> str:
        """Raises RequestInvalid where it is missing."""
        value = self.fields.get(name)
        if value is None:
            raise RequestInvalid(f"{name} is missing.", param=name)
        return value

    def text_or_none(self, name: str) -> str | None:
        """Empty is none: that is how a browser sends a field that nobody filled in."""
        return self.fields.get(name) or None

    @property
    def next_path(self) -> str:
        """Where to go on."""
        return local_path(self.fields.get("return_to"))


async def read_form(request: Request, *, bytes_max: int = FORM_BYTES_MAX) -> Form:
    """Raises PayloadTooLarge, RequestInvalid."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > bytes_max:
            raise PayloadTooLarge(f"A form has at most {bytes_max} bytes.")
    fields = _fields(request.headers.get("content-type", ""), bytes(body))
    for name, value in fields.items():
        if not is_keepable(value):
            raise RequestInvalid("This text has characters that cannot be.", param=name[:60])
    return Form(fields)


def _fields(content_type: str, body: bytes) -> dict[str, str]:
    match content_type.partition(";")[0].strip().lower():
        case "application/json":
            return _from_json(body)
        case "application/x-www-form-urlencoded":
            return _from_browser(body)
        case _ if not body:
            return {}
        case _:
            raise RequestInvalid("Send application/x-www-form-urlencoded or application/json.")


def _from_json(body: bytes) -> dict[str, str]:
    try:
        found = _read_json.decode(body or b"{}")
    except msgspec.DecodeError:
        # Not chained, and not quoted: there may be a password in it.
        raise RequestInvalid("The body is not a JSON object of texts.") from None
    return {name: _text(value) for name, value in found.items() if value is not None}


def _text(value: str | bool | int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _from_browser(body: bytes) -> dict[str, str]:
    try:
        return dict(
            parse_qsl(
                body.decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=FIELDS_MAX,
            )
        )
    except ValueError:
        raise RequestInvalid("The form cannot be read.") from None


def wants_json(request: Request) -> bool:
    """A browser's form says that it takes HTML."""
    return "text/html" not in request.headers.get("accept", "")


def done(request: Request, content: object = None, *, to: str = "/", status: int = 200) -> Response:
    """It went well. content: for programs. to: a path of ours, for browsers."""
    if wants_json(request):
        response = answer({"data": content}, status=status)
    else:
        response = RedirectResponse(to, status_code=303)
    response.headers.update(_HEADERS)
    return response


def page(title: str, body: str, *, status: int = 200) -> Response:
    """body: HTML, in which everything from outside is escaped."""
    html = _PAGE.format(title=escape(title), body=body)
    return HTMLResponse(html, status_code=status, headers=_PAGE_HEADERS)


def answering(
    endpoint: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Refuse in words what services refuse by type."""

    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except FairleadError as error:
            refusal = error
        except EXPECTED as error:
            refusal = refusal_of(error)
        problem = refusal.problem()
        response = problem_answer(problem)
        if not wants_json(request):
            body = f'<p>{escape(problem.message)}</p>\n<p><a href="/">Go on</a></p>'
            headers = dict(problem.headers)
            response = page("That did not work", body, status=problem.status)
            response.headers.update(headers)
        response.headers.update(_HEADERS)
        return response

    return answered


EXPECTED: Final = (
    EmailInvalid,
    EmailTaken,
    EmailUnverified,
    InvitationUnknown,
    LastAdmin,
    LinkInvalid,
    MemberUnknown,
    NotAdmin,
    OrganisationInvalid,
    OwnerStays,
    PasswordUnfit,
    SignInFirst,
    SignInRefused,
    SignUpClosed,
)


def refusal_of(error: Exception) -> FairleadError:
    """What a person sees of one of `EXPECTED`."""
    match error:
        case SignInRefused():
            return NotAuthenticated("This did not fit: check the address and the password.")
        case SignInFirst():
            return NotAuthenticated(
                "This address has an account: sign in to it first, then follow the link again."
            )
        case LinkInvalid():
            return Gone("This link was used, has expired, or is not for you. Ask for a new one.")
        case SignUpClosed():
            return PermissionDenied("New accounts are by invitation here.")
        case EmailUnverified():
            return PermissionDenied("Verify your address first.")
        case NotAdmin():
            return PermissionDenied("Only admins of this organisation can do this.")
        case OwnerStays():
            return PermissionDenied(str(error))
        case PasswordUnfit():
            return RequestInvalid(_sentence(error), param="password")
        case EmailInvalid():
            return RequestInvalid("This is not an email address.", param="email")
        case OrganisationInvalid():
            return RequestInvalid(_sentence(error), param=error.path)
        case EmailTaken() | LastAdmin():
            return Conflict(_sentence(error))
        case _:
            return NotFound(_sentence(error))


def _sentence(error: Exception) -> str:
    text = str(error).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."
