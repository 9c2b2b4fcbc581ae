"""Organisations: accounts that several people share.

An organisation keeps at least one admin for as long as it has members. Only admins change anything; everybody
may leave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, Protocol

import sqlalchemy as sa

from fairlead.control.accounts import rules as account_rules
from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Account, Billing
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.keys.rules import LIMIT_MAX
from fairlead.control.mail.outbox import Outbox
from fairlead.control.mail.types import Letter
from fairlead.control.people import invited, queries, rules
from fairlead.control.people.entrance import Entrance
from fairlead.control.people.rules import Purpose, SignInRules
from fairlead.control.people.tokens import OneTimeTokens
from fairlead.control.people.types import (
    EmailUnverified,
    Invitation,
    InvitationUnknown,
    LastAdmin,
    LinkInvalid,
    Membership,
    MemberUnknown,
    NewSession,
    NotAdmin,
    OrganisationInvalid,
    Place,
    Role,
    User,
)
from fairlead.control.workspaces.service import Workspaces
from fairlead.control.workspaces.types import SpendingLimits
from fairlead.core.budgets.types import Reset, member_budget
from fairlead.core.ids import ID_ENTROPY_BYTES, AccountId, UserId
from fairlead.core.money import NANO_PER_USD, NanoUSD
from fairlead.store.database import Database

__all__ = ["MemberKeys", "Organisations"]

ORGANISATIONS_MAX: Final = 50  # that one person belongs to
INVITATIONS_MAX: Final = 100  # open ones of one organisation
RESETS: Final = tuple(Reset)


class MemberKeys(Protocol):
    """What becomes of keys when people go."""

    def disable_of_member(
        self, connection: sa.Connection, account: AccountId, creator: UserId
    ) -> int:
        """Those that a member made in an organisation. Returns how many were not disabled before."""
        ...


class Organisations:
    """All organisations. Methods block.

    acme = organisations.create(signed_in, "Acme", place)
    organisations.invite(signed_in, acme.id, "bob@example.com", Role.MEMBER, place)

    who: whoever does it; a method that changes something raises NotAdmin, or MemberUnknown for who does not
    belong to it at all.
    """

    def __init__(
        self,
        database: Database,
        *,
        accounts: Accounts,
        entrance: Entrance,
        workspaces: Workspaces,
        tokens: OneTimeTokens,
        outbox: Outbox,
        audit: Audit,
        settings: SignInRules,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
        limits: SpendingLimits | None = None,
        keys: MemberKeys | None = None,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._entrance = entrance
        self._workspaces = workspaces
        self._tokens = tokens
        self._outbox = outbox
        self._audit = audit
        self._settings = settings
        self._now_ms = now_ms
        self._entropy = entropy
        self._limits = limits
        self._keys = keys

    def of_user(self, user: UserId) -> list[Membership]:
        """Those that somebody belongs to, in the order in which they joined."""
        with self._database.read() as connection:
            return queries.memberships_of(connection, user)

    def create(self, who: User, name: str, place: Place) -> Account:
        """With them as its admin. Raises EmailUnverified, OrganisationInvalid."""
        line = rules.organisation_name(name)
        with self._database.begin() as connection:
            user = queries.user(connection, who.id)
            if user is None or user.email is None or user.email_verified_ms is None:
                raise EmailUnverified
            self._check_room_for(connection, user.id)
            founded = self._accounts.create_organisation_within(
                connection, name=line, billing=Billing.PREPAID, creator=user.id
            )
            account = founded.account
            queries.insert_membership(
                self._database,
                connection,
                account.id,
                user.id,
                Role.ADMIN,
                now_ms=self._now_ms(),
            )
            self._note(connection, account.id, user.id, place, "organisation.create", name=line)
        return account

    def rename(self, who: UserId, account: AccountId, name: str, place: Place) -> str:
        line = rules.organisation_name(name)
        with self._led_by(who, account) as connection:
            queries.set_account_name(connection, account, line)
            self._note(connection, account, who, place, "organisation.rename", name=line)
        return line

    # Who is invited.

    def invitations(self, who: UserId, account: AccountId) -> list[Invitation]:
        """Those that nobody has answered, expired ones too."""
        with self._led_by(who, account) as connection:
            return invited.open_ones(connection, account)

    def invite(
        self, who: UserId, account: AccountId, email: str, role: Role, place: Place
    ) -> Invitation:
        """By mail. In place of one that was sent there before.

        Raises EmailInvalid; OrganisationInvalid: they are a member, or there is no room.
        """
        address = account_rules.email(email)
        now_ms = self._now_ms()
        invitation = Invitation(
            id=rules.invitation_id(now_ms, self._entropy(ID_ENTROPY_BYTES)),
            account=account,
            email=address,
            role=role,
            inviter=who,
            created_ms=now_ms,
            expires_ms=now_ms + self._settings.invitation_valid_ms,
        )
        with self._led_by(who, account) as connection:
            there = invited.open_ones(connection, account)
            for one in there:
                if one.email == address:
                    self._withdraw(connection, one)
            known = queries.user_by_email(connection, address)
            if known is not None and queries.role(connection, account, known.id) is not None:
                raise OrganisationInvalid(f"{address} is a member already", "email")
            self._check_room_in(connection, account)
            if len(there) >= INVITATIONS_MAX:
                raise OrganisationInvalid(
                    f"there are {INVITATIONS_MAX} invitations that nobody has answered; revoke some",
                    "email",
                )
            invited.insert(connection, invitation)
            self._send(connection, invitation)
            self._note(
                connection,
                account,
                who,
                place,
                "invitation.create",
                subject=invitation.id,
                email=address,
                role=role.value,
            )
        return invitation

    def resend(self, who: UserId, account: AccountId, invitation: str, place: Place) -> Invitation:
        """Once more, and good for as long as a new one. Raises InvitationUnknown."""
        with self._led_by(who, account) as connection:
            found = self._unanswered(connection, account, invitation)
            expires_ms = self._now_ms() + self._settings.invitation_valid_ms
            invited.prolong(connection, found.id, expires_ms=expires_ms)
            self._send(connection, found)
            self._note(connection, account, who, place, "invitation.resend", subject=found.id)
        return replace(found, expires_ms=expires_ms)

    def revoke(self, who: UserId, account: AccountId, invitation: str, place: Place) -> None:
        """Raises InvitationUnknown."""
        with self._led_by(who, account) as connection:
            found = self._unanswered(connection, account, invitation)
            self._withdraw(connection, found)
            self._note(
                connection,
                account,
                who,
                place,
                "invitation.revoke",
                subject=found.id,
                email=found.email,
            )

    def look(self, token: str) -> tuple[Invitation, Account]:
        """What an invitation's link leads to; it stays good. Raises LinkInvalid."""
        opened = self._entrance.look(token, Purpose.INVITATION)
        with self._database.read() as connection:
            found = None if opened is None else invited.find(connection, opened.subject)
            account = None if found is None else queries.account(connection, found.account)
        if found is None or account is None or not found.is_open(self._now_ms()):
            raise LinkInvalid
        return found, account

    def accept(
        self, token: str, place: Place, *, name: str = "", signed_in: UserId | None = None
    ) -> NewSession:
        """Whoever has the mailbox joins, and is signed in. name: of who has no account yet.

        signed_in: as whom they are already; who has an account must be.
        Raises LinkInvalid, OrganisationInvalid: there is no room; SignInFirst, SignInRefused.
        """
        with self._database.begin() as connection:
            opened = self._entrance.spent(connection, token, Purpose.INVITATION)
            found = invited.find(connection, opened.subject)
            if found is None or queries.account(connection, found.account) is None:
                raise LinkInvalid
            self._database.lock(connection, f"organisation {found.account}")
            now_ms = self._now_ms()
            self._check_room_in(connection, found.account)
            if not invited.accept(connection, found.id, now_ms=now_ms):
                raise LinkInvalid
            user, session = self._entrance.by_invitation(
                opened, connection, place, name=name, signed_in=signed_in
            )
            self._check_room_for(connection, user.id)
            queries.insert_membership(
                self._database, connection, found.account, user.id, found.role, now_ms=now_ms
            )
            self._tokens.forget(connection, found.id)
            self._note(
                connection,
                found.account,
                user.id,
                place,
                "invitation.accept",
                subject=found.id,
                role=found.role.value,
            )
        return session

    # Who belongs to it.

    def set_role(
        self, who: UserId, account: AccountId, member: UserId, role: Role, place: Place
    ) -> None:
        """Raises LastAdmin, MemberUnknown."""
        with self._led_by(who, account) as connection:
            before = self._role(connection, account, member)
            if before is Role.ADMIN and role is not Role.ADMIN:
                self._check_not_last(connection, account, member)
            queries.set_role(connection, account, member, role)
            self._note(
                connection, account, who, place, "member.role", subject=member, role=role.value
            )

    def set_limit(
        self,
        who: UserId,
        account: AccountId,
        member: UserId,
        place: Place,
        *,
        limit: NanoUSD | None,
        reset: str | None = None,
    ) -> None:
        """What they may spend of the account with keys that they made. limit: None: as much as it has.

        reset: "daily", "weekly", "monthly"; None: the limit is for ever.
        Raises MemberUnknown, OrganisationInvalid.
        """
        if reset is not None and reset not in RESETS:
            raise OrganisationInvalid(f"limit_reset is one of {', '.join(RESETS)}", "limit_reset")
        if limit is not None and not 0 <= limit <= LIMIT_MAX:
            raise OrganisationInvalid(
                f"a limit is from 0 to {LIMIT_MAX // NANO_PER_USD:,} dollars", "limit"
            )
        with self._led_by(who, account) as connection:
            self._role(connection, account, member)
            kept_reset = None if limit is None else reset
            queries.set_member_limit(connection, account, member, limit, kept_reset)
            self._keep_limit(connection, account, member, limit, kept_reset)
            self._note(
                connection,
                account,
                who,
                place,
                "member.limit",
                subject=member,
                limit_nano="none" if limit is None else limit,
                reset=kept_reset,
            )

    def remove(self, who: UserId, account: AccountId, member: UserId, place: Place) -> None:
        """Their keys there are disabled. Raises LastAdmin, MemberUnknown."""
        with self._led_by(who, account) as connection:
            self._part(connection, account, member)
            self._note(connection, account, who, place, "member.remove", subject=member)

    def leave(self, who: UserId, account: AccountId, place: Place) -> None:
        """Of their own will. Raises LastAdmin, MemberUnknown."""
        with self._database.begin() as connection:
            self._database.lock(connection, f"organisation {account}")
            self._part(connection, account, who)
            self._note(connection, account, who, place, "member.leave", subject=who)

    def leave_within(self, connection: sa.Connection, who: UserId, account: AccountId) -> None:
        """The same in a transaction of yours."""
        self._database.lock(connection, f"organisation {account}")
        self._part(connection, account, who)

    def _part(self, connection: sa.Connection, account: AccountId, member: UserId) -> None:
        if self._role(connection, account, member) is Role.ADMIN:
            self._check_not_last(connection, account, member)
        queries.delete_membership(connection, account, member)
        self._workspaces.forget_member(connection, account, member)
        self._keep_limit(connection, account, member, None, None)
        if self._keys is not None:
            self._keys.disable_of_member(connection, account, member)

    def _keep_limit(
        self,
        connection: sa.Connection,
        account: AccountId,
        member: UserId,
        limit: NanoUSD | None,
        reset: str | None,
    ) -> None:
        if self._limits is None:
            return
        budget = member_budget(account, member)
        if limit is None:
            self._limits.remove(connection, budget)
        else:
            self._limits.define(
                connection,
                budget=budget,
                account=account,
                limit=limit,
                reset=reset,
                counts_byok=False,
            )

    @contextmanager
    def _led_by(self, who: UserId, account: AccountId) -> Iterator[sa.Connection]:
        """A transaction; of those that change one organisation, one runs at a time."""
        with self._database.begin() as connection:
            self._database.lock(connection, f"organisation {account}")
            if self._role(connection, account, who) is not Role.ADMIN:
                raise NotAdmin
            yield connection

    def _role(self, connection: sa.Connection, account: AccountId, user: UserId) -> Role:
        role = queries.role(connection, account, user)
        if role is None:
            raise MemberUnknown("this organisation has no such member")
        return role

    def _check_not_last(
        self, connection: sa.Connection, account: AccountId, member: UserId
    ) -> None:
        if not queries.count_other_admins(connection, account, member):
            raise LastAdmin("An organisation keeps at least one admin.")

    def _check_room_in(self, connection: sa.Connection, account: AccountId) -> None:
        if queries.count_members(connection, account) >= self._settings.members_max:
            raise OrganisationInvalid(
                f"an organisation has at most {self._settings.members_max} members here", "email"
            )

    def _check_room_for(self, connection: sa.Connection, user: UserId) -> None:
        if len(queries.memberships_of(connection, user)) >= ORGANISATIONS_MAX:
            raise OrganisationInvalid(
                f"nobody belongs to more than {ORGANISATIONS_MAX} organisations", "name"
            )

    def _unanswered(
        self, connection: sa.Connection, account: AccountId, invitation: str
    ) -> Invitation:
        found = invited.find(connection, invitation)
        is_answered = found is not None and (found.accepted_ms or found.revoked_ms) is not None
        if found is None or found.account != account or is_answered:
            raise InvitationUnknown("this organisation has no such open invitation")
        return found

    def _withdraw(self, connection: sa.Connection, invitation: Invitation) -> None:
        invited.revoke(connection, invitation.account, invitation.id, now_ms=self._now_ms())
        self._tokens.forget(connection, invitation.id)

    def _send(self, connection: sa.Connection, invitation: Invitation) -> None:
        inviter = queries.user(connection, invitation.inviter)
        account = queries.account(connection, invitation.account)
        assert inviter is not None
        assert account is not None
        self._outbox.put(
            connection,
            Letter(
                kind="invitation",
                recipient=invitation.email,
                about=invitation.id,
                values={"inviter": inviter.name, "organisation": account.name},
            ),
        )

    def _note(
        self,
        connection: sa.Connection,
        account: AccountId,
        who: UserId,
        place: Place,
        action: str,
        *,
        subject: str | None = None,
        **details: object,
    ) -> None:
        actor = Actor.user(who, place.address)
        self._audit.note(connection, account, actor, action, subject or account, **details)
