"""How people are written to, who may have an account, and the ways to sign in."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from fairlead.settings.secret import Address, Secret

__all__ = ["Mail", "OidcSettings", "SignIn"]

_Days = Annotated[float, Meta(gt=0, le=3650)]
_PerPerson = Annotated[int, Meta(ge=0, le=100_000)]


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """How we write to people: links to sign in, invitations, notices."""

    transport: Annotated[
        Literal["console", "smtp"],
        Meta(
            description="console: mail is printed on standard error, for the operator to pass on;"
            " smtp: it goes to the server below."
        ),
    ] = "console"
    sender: Annotated[str, Meta(description="From whom: an address, or `Name <address>`.")] = (
        "Fairlead <fairlead@localhost>"
    )
    smtp_host: Annotated[str | None, Meta(description="The mail server.")] = None
    smtp_port: Annotated[int, Meta(ge=1, le=65_535, description="Its port.")] = 587
    smtp_security: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(
            description="starttls: begins in the clear and must become encrypted; tls: encrypted from the"
            " start, usually at port 465; none: only for a server on this machine."
        ),
    ] = "starttls"
    smtp_user: Annotated[
        str | None, Meta(description="Whom to sign in as, if the server asks.")
    ] = None
    smtp_password: Annotated[Secret | None, Meta(description="With which password.")] = None


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """Who may have an account, and for how long somebody is signed in."""

    sign_up: Annotated[
        Literal["open", "invited", "closed"],
        Meta(
            description="Who gets an account without your doing. open: whoever has a mailbox; invited: whom"
            " an organisation invites; closed: nobody. `fairlead accounts create` always works."
        ),
    ] = "invited"
    password_characters_min: Annotated[
        int, Meta(ge=8, le=128, description="Shortest password.")
    ] = 10
    session_idle_days: Annotated[
        _Days, Meta(description="Who was away for so long signs in again.")
    ] = 14.0
    session_max_days: Annotated[_Days, Meta(description="So often everybody signs in again.")] = (
        90.0
    )
    link_valid_minutes: Annotated[
        float, Meta(gt=0, le=10_080, description="How long a link in a mail is good.")
    ] = 60.0
    invitation_valid_days: Annotated[
        _Days, Meta(description="How long an invitation to an organisation is good.")
    ] = 7.0
    organisation_members_max: Annotated[
        int, Meta(ge=1, le=100_000, description="Members of one organisation.")
    ] = 10
    attempts_per_minute_from: Annotated[
        _PerPerson,
        Meta(description="Attempts to sign in from one network address; 0: as many as they like."),
    ] = 20
    attempts_per_minute_to: Annotated[
        _PerPerson, Meta(description="Attempts to sign in to one account, from anywhere.")
    ] = 10
    mails_per_minute_from: Annotated[
        _PerPerson, Meta(description="Mails that one network address may cause.")
    ] = 10
    mails_per_day_to: Annotated[
        _PerPerson,
        Meta(description="Mails to one mailbox that somebody asked for without signing in."),
    ] = 20


class OidcSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Another way to sign in: an OpenID Connect provider, under a name of your choice. It must be told the
    address `<public_url>/auth/oidc/<name>/callback`."""

    issuer: Annotated[
        Address | None, Meta(description="Its address, to which `/.well-known/...` is appended.")
    ] = None
    client_id: Annotated[str | None, Meta(description="What it calls us.")] = None
    client_secret: Annotated[
        Secret | None, Meta(description="By which it knows us; none: a public client.")
    ] = None
    title: Annotated[
        str | None, Meta(description="What the button says; without it, the name.")
    ] = None
    scopes: Annotated[
        str, Meta(description="What we ask for, beside `openid`; separated by spaces.")
    ] = "email profile"
    sign_up: Annotated[
        bool,
        Meta(
            description="true: whoever it knows by a verified address may have an account, whatever"
            " `sign_in.sign_up` says."
        ),
    ] = False
