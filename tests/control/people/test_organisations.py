"""Organisations: who may do what, an admin that stays, invitations that are used once."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.control.accounts.types import Billing
from fairlead.control.audit.types import OPERATOR
from fairlead.control.people import queries
from fairlead.control.people.types import (
    EmailUnverified,
    Invitation,
    InvitationUnknown,
    LastAdmin,
    LinkInvalid,
    MemberUnknown,
    NotAdmin,
    OrganisationInvalid,
    OwnerStays,
    Role,
    SignInFirst,
    User,
)
from fairlead.control.workspaces.types import WorkspaceChange
from fairlead.core.ids import AccountId, UserId
from fairlead.core.money import NanoUSD
from fairlead.settings import Settings
from fairlead.store.database import Database
from tests.control.people.conftest import GENEROUS
from tests.control.people.world import PLACE, World, make_world

pytestmark = pytest.mark.anyio


async def person(world: World, name: str) -> User:
    world.clock.ms += 1
    new = await world.newcomer(f"{name}@example.com", password=None)
    user = world.services.people.find(new.session.user)
    assert user is not None
    return user


async def joined(world: World, account: AccountId, admin: User, name: str, role: Role) -> User:
    """Somebody who was invited and came."""
    world.services.organisations.invite(admin.id, account, f"{name}@example.com", role, PLACE)
    world.clock.ms += 1
    new = world.services.organisations.accept(await world.link(), PLACE, name=name)
    user = world.services.people.find(new.session.user)
    assert user is not None
    return user


async def test_it_is_founded_by_who_has_a_verified_address(world: World):
    ada = await person(world, "ada")
    account = world.accounts.create(email="bob@example.com", billing=Billing.PREPAID)
    bob = world.services.people.of_account(account.id)
    assert bob is not None
    with pytest.raises(EmailUnverified):
        world.services.organisations.create(bob, "Bobs", PLACE)
    for name in ("", "  ", "x" * 101):
        with pytest.raises(OrganisationInvalid):
            world.services.organisations.create(ada, name, PLACE)
    acme = world.services.organisations.create(ada, " Acme \n Corporation ", PLACE)
    assert (acme.name, acme.billing, acme.email) == ("Acme Corporation", Billing.PREPAID, None)
    (membership,) = world.services.organisations.of_user(ada.id)
    assert (membership.account, membership.role) == (acme, Role.ADMIN)
    assert world.workspaces.find(acme.id, "default").created_by == ada.id
    assert world.services.people.of_account(acme.id) is None


async def test_mail_that_waited_a_moment_tells_the_whole_time(world: World):
    ada = await person(world, "ada")
    acme = world.services.organisations.create(ada, "Acme", PLACE).id
    world.services.organisations.invite(ada.id, acme, "bob@example.com", Role.MEMBER, PLACE)
    world.clock.ms += 1_500
    (mail,) = await world.mail()
    assert "It works for 7 days" in mail.text


async def test_an_invitation_is_for_one_mailbox_and_works_once_and_for_a_while(world: World):
    ada = await person(world, "ada")
    orgs = world.services.organisations
    acme = orgs.create(ada, "Acme", PLACE).id
    first = orgs.invite(ada.id, acme, "bob@example.com", Role.MEMBER, PLACE)
    old = await world.link()
    second = orgs.invite(ada.id, acme, "Bob@Example.com ", Role.ADMIN, PLACE)
    new = await world.link()
    assert [one.id for one in orgs.invitations(ada.id, acme)] == [second.id]
    with pytest.raises(LinkInvalid):  # the second is in place of the first
        orgs.accept(old, PLACE)
    with pytest.raises(InvitationUnknown):
        orgs.resend(ada.id, acme, first.id, PLACE)
    bob = orgs.accept(new, PLACE, name="Bob").session.user
    for token in (new, old):
        with pytest.raises(LinkInvalid):
            orgs.accept(token, PLACE)
    assert [one.role for one in world.services.people.members(acme)[0]] == [Role.ADMIN] * 2
    with pytest.raises(OrganisationInvalid, match="a member already"):
        orgs.invite(ada.id, acme, "bob@example.com", Role.MEMBER, PLACE)
    assert (await world.sign_in.find("x")) is None
    assert bob != ada.id

    orgs.invite(ada.id, acme, "eve@example.com", Role.MEMBER, PLACE)
    late = await world.link()
    assert orgs.look(late)[1].id == acme
    world.clock.ms += 7 * 86_400_000
    with pytest.raises(LinkInvalid):
        orgs.look(late)
    with pytest.raises(LinkInvalid):
        orgs.accept(late, PLACE)
    (expired,) = orgs.invitations(ada.id, acme)
    again = orgs.resend(ada.id, acme, expired.id, PLACE)
    assert again.is_open(world.clock.ms)
    fresh = await world.link()
    orgs.revoke(ada.id, acme, expired.id, PLACE)
    with pytest.raises(LinkInvalid):
        orgs.accept(fresh, PLACE)
    with pytest.raises(InvitationUnknown):
        orgs.revoke(ada.id, acme, expired.id, PLACE)


async def test_an_invitation_opens_no_account_that_there_is(world: World):
    ada, bob, eve = [await person(world, name) for name in ("ada", "bob", "eve")]
    orgs = world.services.organisations
    acme = orgs.create(ada, "Acme", PLACE).id
    orgs.invite(ada.id, acme, "bob@example.com", Role.MEMBER, PLACE)
    token = await world.link()
    for signed_in in (None, eve.id):
        with pytest.raises(SignInFirst):
            orgs.accept(token, PLACE, signed_in=signed_in)
    assert world.services.people.members(acme)[1] == 1
    assert orgs.accept(token, PLACE, signed_in=bob.id).session.user == bob.id  # it is not spent
    assert world.services.people.members(acme)[1] == 2


async def test_who_is_invited_may_sign_up_where_others_may_not(database: Database):
    sign_in = msgspec.structs.replace(GENEROUS, sign_up="invited")
    world = make_world(database, msgspec.structs.replace(Settings(), sign_in=sign_in))
    owner = world.accounts.ensure_owner().account
    user = world.services.people.of_account(owner.id)
    assert user is not None
    token = world.services.entrance.mint_link(user.id, valid_ms=1000)
    new = await world.sign_in.with_link(token, PLACE)
    signed_in = await world.sign_in.find(new.token)
    assert signed_in is not None
    await world.sign_in.ask_for_verification(signed_in, "owner@example.com", PLACE)
    user = await world.sign_in.verify_email(await world.link(), signed_in, PLACE)
    acme = world.services.organisations.create(user, "Acme", PLACE)
    world.services.organisations.invite(user.id, acme.id, "bob@example.com", Role.MEMBER, PLACE)
    await world.mail()
    await world.sign_in.ask_for_account("bob@example.com", PLACE)
    await world.sign_in.ask_for_account("eve@example.com", PLACE)
    assert [mail.recipient for mail in await world.mail()] == ["bob@example.com"]


async def test_only_admins_change_anything_and_strangers_learn_nothing(world: World):
    ada, eve = await person(world, "ada"), await person(world, "eve")
    orgs = world.services.organisations
    acme = orgs.create(ada, "Acme", PLACE).id
    bob = await joined(world, acme, ada, "bob", Role.MEMBER)
    open_one: Invitation = orgs.invite(ada.id, acme, "x@example.com", Role.MEMBER, PLACE)
    for who, refusal in ((bob.id, NotAdmin), (eve.id, MemberUnknown)):
        for change in (
            lambda who=who: orgs.rename(who, acme, "Mine", PLACE),
            lambda who=who: orgs.invitations(who, acme),
            lambda who=who: orgs.invite(who, acme, "y@example.com", Role.ADMIN, PLACE),
            lambda who=who: orgs.resend(who, acme, open_one.id, PLACE),
            lambda who=who: orgs.revoke(who, acme, open_one.id, PLACE),
            lambda who=who: orgs.set_role(who, acme, who, Role.ADMIN, PLACE),
            lambda who=who: orgs.set_limit(who, acme, who, PLACE, limit=None),
            lambda who=who: orgs.remove(who, acme, ada.id, PLACE),
        ):
            with pytest.raises(refusal):
                change()
    with pytest.raises(MemberUnknown):
        orgs.leave(eve.id, acme, PLACE)
    other = orgs.create(eve, "Other", PLACE).id
    for change in (
        lambda: orgs.revoke(eve.id, other, open_one.id, PLACE),
        lambda: orgs.resend(eve.id, other, open_one.id, PLACE),
    ):
        with pytest.raises(InvitationUnknown):
            change()


async def test_who_leaves_leaves_workspaces_limits_and_keys_behind(world: World):
    ada = await person(world, "ada")
    orgs = world.services.organisations
    acme = orgs.create(ada, "Acme", PLACE).id
    bob = await joined(world, acme, ada, "bob", Role.MEMBER)
    production = world.workspaces.create(
        acme, WorkspaceChange(name="Production", slug="production"), actor=OPERATOR
    )
    world.workspaces.add_members(acme, production.id, [bob.id, ada.id], actor=OPERATOR)
    theirs = world.keys.create(acme, name="bob's", creator=bob.id).key
    others = world.keys.create(acme, name="ada's", creator=ada.id).key
    orgs.set_limit(ada.id, acme, bob.id, PLACE, limit=NanoUSD(7), reset="daily")
    assert world.limits.limits == {f"member:{acme}:{bob.id}": (7, "daily")}
    (_, member), _ = world.services.people.members(acme)
    assert (member.limit, member.limit_reset) == (7, "daily")
    orgs.leave(bob.id, acme, PLACE)
    assert world.limits.limits == {}
    assert [one.user for one in world.workspaces.members(acme, production.id)[0]] == [ada.id]
    assert world.keys.find(acme, theirs.id).is_disabled
    assert not world.keys.find(acme, others.id).is_disabled
    with pytest.raises(MemberUnknown):
        orgs.leave(bob.id, acme, PLACE)


async def test_there_is_room_for_so_many(database: Database):
    sign_in = msgspec.structs.replace(GENEROUS, organisation_members_max=2)
    world = make_world(database, msgspec.structs.replace(Settings(), sign_in=sign_in))
    ada = await person(world, "ada")
    orgs = world.services.organisations
    acme = orgs.create(ada, "Acme", PLACE).id
    tokens = []
    for name in ("bob", "eve"):
        orgs.invite(ada.id, acme, f"{name}@example.com", Role.MEMBER, PLACE)
        tokens.append(await world.link())
    with ThreadPoolExecutor(2) as threads:  # both at once
        outcomes = list(threads.map(lambda token: _outcome(world, token), tokens))
    assert sorted(outcomes) == ["joined", "no room"]
    assert world.services.people.members(acme)[1] == 2
    with pytest.raises(OrganisationInvalid, match="at most 2 members"):
        orgs.invite(ada.id, acme, "x@example.com", Role.MEMBER, PLACE)


def _outcome(world: World, token: str) -> str:
    try:
        world.services.organisations.accept(token, PLACE)
    except OrganisationInvalid:
        return "no room"
    return "joined"


async def test_a_link_is_spent_once_however_many_follow_it_at_once(world: World):
    await person(world, "ada")
    await world.sign_in.ask_for_link("ada@example.com", PLACE)
    token = await world.link()
    outcomes = await asyncio.gather(
        *(world.sign_in.with_link(token, PLACE) for _ in range(8)), return_exceptions=True
    )
    assert sum(not isinstance(one, Exception) for one in outcomes) == 1
    assert sum(isinstance(one, LinkInvalid) for one in outcomes) == 7


async def test_the_last_admin_cannot_delete_their_account_and_the_owner_never(world: World):
    ada = await person(world, "ada")
    orgs, leaving = world.services.organisations, world.services.leaving
    acme = orgs.create(ada, "Acme", PLACE).id
    bob = await joined(world, acme, ada, "bob", Role.MEMBER)
    with pytest.raises(LastAdmin, match="Acme"):
        leaving.delete(ada, PLACE)
    found = world.services.people.find(ada.id)
    assert found is not None
    assert found.deleted_ms is None, "nothing has happened"
    orgs.set_role(ada.id, acme, bob.id, Role.ADMIN, PLACE)
    leaving.delete(ada, PLACE)
    assert [one.user for one in world.services.people.members(acme)[0]] == [bob.id]
    owner = world.services.people.of_account(world.accounts.ensure_owner().account.id)
    assert owner is not None
    with pytest.raises(OwnerStays):
        leaving.delete(owner, PLACE)


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["promote", "demote", "remove", "leave"]),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    max_size=12,
)


@pytest.fixture
def four_people(world: World) -> list[User]:
    """Once for all examples: to sign up takes longer than all else."""

    async def gather() -> list[User]:
        return [await person(world, name) for name in ("ada", "bob", "cy", "dee")]

    return asyncio.run(gather())


@pytest.mark.parametrize("database_kind", ["sqlite"])
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(moves=MOVES)
def test_whatever_people_do_to_each_other_an_admin_stays(
    world: World, four_people: list[User], moves: list[tuple[str, int, int]]
):
    people, orgs = four_people, world.services.organisations
    acme = orgs.create(people[0], "Acme", PLACE).id
    with world.database.begin() as connection:
        for one in people[1:]:
            queries.insert_membership(
                world.database, connection, acme, one.id, Role.MEMBER, now_ms=world.clock.ms
            )
    try:
        for move, one, other in moves:
            who, whom = people[one].id, people[other].id
            with contextlib.suppress(NotAdmin, MemberUnknown, LastAdmin):
                _make(orgs, acme, move, who, whom)
            members, total = world.services.people.members(acme)
            assert total >= 1
            assert any(member.role is Role.ADMIN for member in members)
    finally:  # nobody may belong to as many as there are examples
        with world.database.begin() as connection:
            for person_there in people:
                queries.delete_membership(connection, acme, person_there.id)


def _make(orgs: object, acme: AccountId, move: str, who: UserId, whom: UserId) -> None:
    from fairlead.control.people.organisations import Organisations

    assert isinstance(orgs, Organisations)
    match move:
        case "promote":
            orgs.set_role(who, acme, whom, Role.ADMIN, PLACE)
        case "demote":
            orgs.set_role(who, acme, whom, Role.MEMBER, PLACE)
        case "remove":
            orgs.remove(who, acme, whom, PLACE)
        case _:
            orgs.leave(who, acme, PLACE)
