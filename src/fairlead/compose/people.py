"""People, plugged together: signing in, organisations, workspaces, mail, the audit log."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from fairlead.compose.control_plane import ControlPlane, DatabaseThreads
from fairlead.compose.system import SystemClock
from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Account
from fairlead.control.audit.service import Audit
from fairlead.control.catalog.service import Catalog
from fairlead.control.keys.ending import EndingKeys
from fairlead.control.ledger.service import Ledger
from fairlead.control.mail.jobs import MailSender
from fairlead.control.mail.outbox import Outbox
from fairlead.control.mail.transports import ConsoleTransport, SmtpServer, SmtpTransport
from fairlead.control.mail.types import Transport
from fairlead.control.notifications.endings import EndingModels, forget_old
from fairlead.control.notifications.service import Notifications
from fairlead.control.people.disabling import Disabling
from fairlead.control.people.entrance import Entrance, Welcome
from fairlead.control.people.jobs import Sweeper
from fairlead.control.people.leaving import Forget, Leaving
from fairlead.control.people.letters import Letters
from fairlead.control.people.oidc import OpenId
from fairlead.control.people.oidc_rules import OpenIdProvider
from fairlead.control.people.organisations import Organisations
from fairlead.control.people.passwords import STRONG, HashCost, Passwords
from fairlead.control.people.rules import SignInRules, SignUp
from fairlead.control.people.service import People
from fairlead.control.people.sessions import Sessions
from fairlead.control.people.sign_in import Pace, SignIn
from fairlead.control.people.tokens import OneTimeTokens
from fairlead.control.privacy.service import Privacy
from fairlead.control.serving.limits import RateLimits
from fairlead.control.workspaces.service import Workspaces
from fairlead.control.workspaces.types import SpendingLimits
from fairlead.core.limits import RequestLimits
from fairlead.core.money import nano_from_usd
from fairlead.settings import Mail, Settings, revealed
from fairlead.settings import SignIn as SignInSettings
from fairlead.store.cache import Cache
from fairlead.store.database import Database
from fairlead.web.auth.services import AuthServices
from fairlead.web.sessions import BrowserSessions, Doorway

__all__ = [
    "PeoplePlane",
    "PeopleServices",
    "build_auth",
    "build_mail_sender",
    "build_people",
    "build_people_plane",
    "build_sign_in",
]

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class PeopleServices:
    """Everything about people that blocks."""

    rules: SignInRules
    people: People
    sessions: Sessions
    tokens: OneTimeTokens
    entrance: Entrance
    organisations: Organisations
    leaving: Leaving
    disabling: Disabling
    outbox: Outbox
    letters: Letters
    notifications: Notifications
    sweeper: Sweeper


@dataclass(frozen=True, slots=True)
class PeoplePlane:
    """The same with what belongs to an event loop. sender: runs as long as the server does."""

    services: PeopleServices
    sender: MailSender
    auth: AuthServices
    endings: EndingModels

    async def run(self) -> None:
        """Sends mail, tells of models that end, and forgets what has expired, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.sender.run())
            tasks.create_task(self.services.sweeper.run())
            tasks.create_task(self.endings.run())


def build_people_plane(
    control: ControlPlane,
    settings: Settings,
    *,
    clock: SystemClock,
    address: str,
    sweep_apps: Callable[[], int],
) -> PeoplePlane:
    """address: ours, as links begin with it. sweep_apps: forgets codes of apps that have expired."""
    database, now_ms, entropy = control.database, clock.now_ms, os.urandom
    ending = partial(_ending, control.catalog)
    privacy = Privacy(database, control.private.contents)
    people = build_people(
        database,
        settings,
        accounts=control.accounts,
        audit=control.audit,
        workspaces=control.workspaces,
        limits=control.budgets,
        now_ms=now_ms,
        entropy=entropy,
        welcome=_welcome(control.ledger, settings),
        forget=(privacy.forget,),
        sweeps=(
            sweep_apps,
            lambda: privacy.scrub_due(now_ms=now_ms()),
            partial(forget_old, database, ending, now_ms=now_ms),
        ),
    )
    sign_in = build_sign_in(
        database, people, settings, cache=control.cache, now_ms=now_ms, entropy=entropy
    )
    return PeoplePlane(
        services=people,
        sender=build_mail_sender(database, people, settings, address=address),
        auth=build_auth(
            control.threads,
            people,
            control.audit,
            settings,
            sign_in=sign_in,
            address=address,
            now_s=clock.now_s,
            entropy=entropy,
        ),
        endings=EndingModels(database, people.outbox, ending, now_ms=now_ms),
    )


def build_people(
    database: Database,
    settings: Settings,
    *,
    accounts: Accounts,
    audit: Audit,
    workspaces: Workspaces,
    limits: SpendingLimits | None,
    now_ms: Callable[[], int],
    entropy: Callable[[int], bytes],
    welcome: Welcome | None = None,
    forget: Sequence[Forget] = (),
    sweeps: Sequence[Callable[[], int]] = (),
) -> PeopleServices:
    """welcome: what new accounts are given. forget: what else is deleted with an account. sweeps: what else is
    forgotten from time to time."""
    rules = sign_in_rules(settings.sign_in)
    ends = EndingKeys(now_ms=now_ms)
    tokens = OneTimeTokens(database, now_ms=now_ms, entropy=entropy)
    outbox = Outbox(database, now_ms=now_ms, entropy=entropy)
    sessions = Sessions(database, settings=rules, now_ms=now_ms, entropy=entropy)
    entrance = Entrance(
        database,
        accounts=accounts,
        sessions=sessions,
        tokens=tokens,
        outbox=outbox,
        audit=audit,
        settings=rules,
        now_ms=now_ms,
        welcome=welcome,
    )
    organisations = Organisations(
        database,
        accounts=accounts,
        entrance=entrance,
        workspaces=workspaces,
        tokens=tokens,
        outbox=outbox,
        audit=audit,
        settings=rules,
        now_ms=now_ms,
        entropy=entropy,
        limits=limits,
        keys=ends,
    )
    return PeopleServices(
        rules=rules,
        people=People(database),
        sessions=sessions,
        tokens=tokens,
        entrance=entrance,
        organisations=organisations,
        leaving=Leaving(
            database,
            accounts=accounts,
            organisations=organisations,
            sessions=sessions,
            tokens=tokens,
            audit=audit,
            now_ms=now_ms,
            keys=ends,
            forget=forget,
        ),
        disabling=Disabling(database, sessions=sessions, tokens=tokens, audit=audit, now_ms=now_ms),
        outbox=outbox,
        letters=Letters(tokens, rules, now_ms=now_ms),
        notifications=Notifications(database, outbox, audit, now_ms=now_ms),
        sweeper=Sweeper(
            database, sessions=sessions, tokens=tokens, outbox=outbox, audit=audit, others=sweeps
        ),
    )


def build_sign_in(
    database: Database,
    people: PeopleServices,
    settings: Settings,
    *,
    cache: Cache | None,
    now_ms: Callable[[], int],
    entropy: Callable[[int], bytes],
    cost: HashCost = STRONG,
) -> SignIn:
    """Counts of its own: whoever tries many addresses must not make the counts of calls forgotten."""
    return SignIn(
        database,
        people.entrance,
        people.sessions,
        Passwords(entropy=entropy, cost=cost),
        RateLimits(RequestLimits(), cache=cache),
        settings=people.rules,
        pace=Pace(
            sign_in_from=settings.sign_in.attempts_per_minute_from,
            sign_in_to=settings.sign_in.attempts_per_minute_to,
            mail_from=settings.sign_in.mails_per_minute_from,
            mail_to_daily=settings.sign_in.mails_per_day_to,
        ),
        now_ms=now_ms,
    )


def build_mail_sender(
    database: Database, people: PeopleServices, settings: Settings, *, address: str
) -> MailSender:
    return MailSender(
        database,
        people.outbox,
        _transport(settings.mail),
        people.letters.prepare,
        address=address,
        sender=settings.mail.sender,
    )


def build_auth(
    threads: DatabaseThreads,
    people: PeopleServices,
    audit: Audit,
    settings: Settings,
    *,
    sign_in: SignIn,
    address: str,
    now_s: Callable[[], float],
    entropy: Callable[[int], bytes],
) -> AuthServices:
    """address: ours, as links begin with it."""
    doorway = Doorway(_origin(settings.server.public_url), settings.server.proxies)
    return AuthServices(
        sign_in=sign_in,
        sessions=BrowserSessions(
            sign_in, doorway, session_max_s=people.rules.session_max_ms // 1000
        ),
        doorway=doorway,
        openid=_openid(settings, address=address, now_s=now_s, entropy=entropy),
        organisations=people.organisations,
        leaving=people.leaving,
        people=people.people,
        notifications=people.notifications,
        audit=audit,
        in_thread=threads.run,
        rules=people.rules,
    )


def _ending(catalog: Catalog) -> Mapping[str, str]:
    """After which day models may be gone."""
    models = catalog.snapshot.models.values()
    return {one.id: one.expiration_date for one in models if one.expiration_date is not None}


def _welcome(ledger: Ledger, settings: Settings) -> Welcome | None:
    """The free allowance, in the transaction that makes the account."""
    allowance = nano_from_usd(settings.billing.free_allowance_usd)
    if not allowance:
        return None

    def welcome(connection: sa.Connection, account: Account) -> None:
        ledger.welcome_within(connection, account.id, allowance)

    return welcome


def _origin(public_url: str | None) -> str | None:
    """As browsers write it: scheme, host and port, without a path."""
    if public_url is None:
        return None
    scheme, _, rest = public_url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}".lower()


def _openid(
    settings: Settings,
    *,
    address: str,
    now_s: Callable[[], float],
    entropy: Callable[[int], bytes],
) -> OpenId:
    providers = {
        name: OpenIdProvider(
            name=name,
            title=one.title or name,
            issuer=one.issuer or "",
            client_id=one.client_id or "",
            client_secret=revealed(one.client_secret),
            scopes=one.scopes,
            may_create=one.sign_up,
        )
        for name, one in settings.oidc.items()
    }
    return OpenId(providers, address=address, now_s=now_s, entropy=entropy)


def sign_in_rules(settings: SignInSettings) -> SignInRules:
    """The operator's numbers, as the rules count by them."""
    return SignInRules(
        sign_up=SignUp(settings.sign_up),
        password_characters_min=settings.password_characters_min,
        session_idle_ms=round(settings.session_idle_days * _DAY_MS),
        session_max_ms=round(settings.session_max_days * _DAY_MS),
        link_valid_ms=round(settings.link_valid_minutes * 60_000),
        invitation_valid_ms=round(settings.invitation_valid_days * _DAY_MS),
        members_max=settings.organisation_members_max,
    )


def _transport(settings: Mail) -> Transport:
    if settings.transport == "console":
        return ConsoleTransport()
    assert settings.smtp_host is not None, "checked when the settings were read"
    return SmtpTransport(
        SmtpServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            security=settings.smtp_security,
            user=settings.smtp_user,
            password=revealed(settings.smtp_password),
        )
    )
