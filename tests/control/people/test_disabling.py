"""Who is disabled is shut out by every way, and finds everything as it was when they are enabled again."""

from __future__ import annotations

import pytest

from fairlead.control.audit.types import OPERATOR, Actor
from fairlead.control.keys import rules as key_rules
from fairlead.control.keys.types import NewKey
from fairlead.control.people.entrance import Elsewhere
from fairlead.control.people.types import (
    LastAdmin,
    LinkInvalid,
    OwnerStays,
    Role,
    SignInRefused,
    User,
    UserUnknown,
)
from fairlead.core.caller import Caller, KeyRefused
from fairlead.core.ids import UserId
from tests.control.people.test_organisations import joined, person
from tests.control.people.world import PASSWORD, PLACE, World

pytestmark = pytest.mark.anyio

# What the database has no part in is shown on one of them.
ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])

ADA = "ada@example.com"
REFUSED = KeyRefused("The person whose API key this is was disabled.")


async def ada_of(world: World) -> User:
    new = await world.newcomer(ADA)
    user = world.services.people.find(new.session.user)
    assert user is not None
    return user


def verdicts(world: World, *keys: NewKey) -> list[Caller | KeyRefused]:
    found = world.keys.by_digests([one.key.digest for one in keys])
    return [key_rules.verdict(found[one.key.digest], now_ms=world.clock.ms) for one in keys]


async def test_their_sessions_end_and_no_way_leads_in(world: World):
    ada = await ada_of(world)
    new = await world.sign_in.with_password(ADA, PASSWORD, PLACE)
    await world.sign_in.ask_for_link(ADA, PLACE)
    link = await world.link()
    known = Elsewhere("company", "https://c.example", "ada", ADA, "Ada", may_create=True)
    await world.sign_in.with_identity(known, PLACE)

    disabled = world.services.disabling.disable(ada.id, actor=OPERATOR)
    assert (disabled.disabled_ms, disabled.may_sign_in) == (world.clock.ms, False)
    assert await world.sign_in.find(new.token) is None
    with pytest.raises(SignInRefused):
        await world.sign_in.with_password(ADA, PASSWORD, PLACE)
    with pytest.raises(SignInRefused):
        await world.sign_in.with_identity(known, PLACE)
    with pytest.raises(LinkInvalid):
        await world.sign_in.with_link(link, PLACE)
    for ask in (
        world.sign_in.ask_for_link,
        world.sign_in.ask_for_reset,
        world.sign_in.ask_for_account,
    ):
        await ask(ADA, PLACE)
    assert await world.mail() == []

    assert world.services.disabling.enable(ada.id, actor=OPERATOR) == ada
    assert await world.sign_in.find(new.token) is None, "what has ended stays so"
    with pytest.raises(LinkInvalid):
        await world.sign_in.with_link(link, PLACE)
    again = await world.sign_in.with_password(ADA, PASSWORD, PLACE)
    assert await world.sign_in.find(again.token) is not None


async def test_their_keys_open_nothing_and_are_afterwards_what_they_were(world: World):
    ada, bob = await ada_of(world), await person(world, "bob")
    orgs = world.services.organisations
    acme = orgs.create(bob, "Acme", PLACE).id
    orgs.invite(bob.id, acme, ADA, Role.MEMBER, PLACE)
    orgs.accept(await world.link(), PLACE, signed_in=ada.id)
    create = world.keys.create
    own = create(ada.account, name="own")
    manages = create(ada.account, name="manages", is_management=True)
    off = create(ada.account, name="off")
    world.keys.disable(ada.account, off.key.id)
    made = create(acme, name="made", creator=ada.id)
    others = create(acme, name="others", creator=bob.id)
    nobodys = create(acme, name="nobodys")
    everything = (own, manages, off, made, others, nobodys)
    before = verdicts(world, *everything)
    assert [isinstance(one, Caller) for one in before] == [True, True, False, True, True, True]

    world.services.disabling.disable(ada.id, actor=OPERATOR)
    later = create(ada.account, name="later")
    assert verdicts(world, own, manages, off, made, later) == [REFUSED] * 5
    assert verdicts(world, others, nobodys) == before[4:]

    world.services.disabling.enable(ada.id, actor=OPERATOR)
    assert verdicts(world, *everything) == before
    assert isinstance(verdicts(world, later)[0], Caller)


async def test_it_is_noted_once_with_who_did_it(world: World):
    ada = await ada_of(world)
    owner = Actor.user(UserId("user-owner"), "192.0.2.1")
    for _ in range(2):
        disabled = world.services.disabling.disable(ada.id, actor=owner)
        world.clock.ms += 1000
    assert disabled.disabled_ms == world.clock.ms - 2000, "since the first time"
    for _ in range(2):
        world.services.disabling.enable(ada.id, actor=owner)
    noted = [one for one in world.audit.page(ada.account) if one.action.startswith("user.")]
    assert [(one.action, one.actor, one.subject) for one in noted] == [
        ("user.enable", owner, ada.id),
        ("user.disable", owner, ada.id),
    ]
    assert noted[1].details == {"sessions_ended": "1"}


@ON_SQLITE
async def test_the_owner_cannot_be_disabled_nor_who_is_not_there(world: World):
    owner = world.services.people.of_account(world.accounts.ensure_owner().account.id)
    assert owner is not None
    with pytest.raises(OwnerStays):
        world.services.disabling.disable(owner.id, actor=OPERATOR)
    assert world.services.people.find(owner.id) == owner
    ada = await ada_of(world)
    world.services.leaving.delete(ada, PLACE)
    for user in (ada.id, UserId("user-nobody")):
        for change in (world.services.disabling.disable, world.services.disabling.enable):
            with pytest.raises(UserUnknown):
                change(user, actor=OPERATOR)


async def test_an_admin_who_is_disabled_is_not_the_one_that_stays(world: World):
    ada = await ada_of(world)
    orgs = world.services.organisations
    acme = orgs.create(ada, "Acme", PLACE).id
    bob = await joined(world, acme, ada, "bob", Role.ADMIN)
    world.services.disabling.disable(ada.id, actor=OPERATOR)
    with pytest.raises(LastAdmin):
        orgs.leave(bob.id, acme, PLACE)
    with pytest.raises(LastAdmin):
        orgs.set_role(bob.id, acme, bob.id, Role.MEMBER, PLACE)
    orgs.remove(bob.id, acme, ada.id, PLACE)
    assert [one.user for one in world.services.people.members(acme)[0]] == [bob.id]
