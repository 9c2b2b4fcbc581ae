"""Ways in: what each takes, what each refuses, and that nobody learns who has an account."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from fairlead.control.accounts.types import Billing, EmailInvalid, EmailTaken
from fairlead.control.people.entrance import Elsewhere
from fairlead.control.people.passwords import HashCost, Passwords
from fairlead.control.people.rules import Purpose
from fairlead.control.people.types import (
    LinkInvalid,
    PasswordUnfit,
    SignInRefused,
    SignUpClosed,
)
from fairlead.settings import Settings
from fairlead.store.database import Database
from tests.control.people.conftest import GENEROUS
from tests.control.people.world import PASSWORD, PLACE, World, make_world

pytestmark = pytest.mark.anyio

# What the database has no part in is shown on one of them.
ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])

ADA = "ada@example.com"
MINUTE_MS = 60_000
DAY_MS = 86_400_000


async def test_who_signs_up_proves_their_mailbox_first_and_is_prepaid_and_welcomed(world: World):
    new = await world.newcomer("Ada@Example.com")
    signed_in = await world.sign_in.find(new.token)
    assert signed_in is not None
    user = signed_in.user
    assert (user.email, user.email_verified_ms) == (ADA, world.clock.ms)
    assert (signed_in.account.billing, signed_in.is_admin) == (Billing.PREPAID, True)
    assert [one.id for one in world.welcomed] == [signed_in.account.id]
    assert world.services.people.find_by_email(ADA) == user
    again = await world.sign_in.with_password(" ADA@example.com ", PASSWORD, PLACE)
    assert again.token != new.token
    assert new.token not in repr(new)


@ON_SQLITE
@pytest.mark.parametrize(
    ("email", "password"),
    [
        (ADA, "wrong horse battery staple"),
        (ADA, ""),
        (ADA, PASSWORD + " "),
        (ADA, PASSWORD * 1000),
        ("nobody@example.com", PASSWORD),
        ("without@example.com", ""),
        ("without@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("' OR 1=1 --@example.com", PASSWORD),
        ("", ""),
    ],
)
async def test_whatever_is_wrong_with_a_sign_in_is_refused_alike(
    world: World, email: str, password: str
):
    await world.newcomer(ADA)
    await world.newcomer("without@example.com", password=None)
    with pytest.raises(SignInRefused) as refused:
        await world.sign_in.with_password(email, password, PLACE)
    assert str(refused.value) == ""


@ON_SQLITE
async def test_an_address_that_nobody_has_costs_as_many_hashes_as_any(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    await world.newcomer(ADA)
    verified: list[str] = []
    from argon2 import PasswordHasher

    real = PasswordHasher.verify

    def counted(self: PasswordHasher, kept: str, password: str) -> bool:
        verified.append(kept.split("$")[3])
        return real(self, kept, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    for email in (ADA, "nobody@example.com"):
        with pytest.raises(SignInRefused):
            await world.sign_in.with_password(email, "wrong", PLACE)
    assert verified == ["m=8,t=1,p=1"] * 2


async def test_who_may_not_sign_in_any_more_does_not(world: World):
    new = await world.newcomer(ADA)
    signed_in = await world.sign_in.find(new.token)
    assert signed_in is not None
    world.services.leaving.delete(signed_in.user, PLACE)
    assert await world.sign_in.find(new.token) is None
    with pytest.raises(SignInRefused):
        await world.sign_in.with_password(ADA, PASSWORD, PLACE)


@ON_SQLITE
async def test_a_hash_is_made_again_when_costs_have_changed(world: World, database: Database):
    new = await world.newcomer(ADA)
    dearer = make_world(
        database,
        msgspec.structs.replace(Settings(), sign_in=GENEROUS),
        cost=HashCost(memory_kib=16, passes=1),
    )
    user = new.session.user
    before = world.services.entrance.password_hash(user)
    await dearer.sign_in.with_password(ADA, PASSWORD, PLACE)
    after = world.services.entrance.password_hash(user)
    assert (before or "").startswith("$argon2id$v=19$m=8,")
    assert (after or "").startswith("$argon2id$v=19$m=16,")
    await dearer.sign_in.with_password(ADA, PASSWORD, PLACE)
    assert world.services.entrance.password_hash(user) == after


async def test_passwords_are_checked_few_at_a_time_and_the_line_is_bounded():
    import asyncio

    from fairlead.core.errors import Overloaded

    passwords = Passwords(entropy=lambda count: b"x" * count, cost=HashCost(8, 1))
    answers = await asyncio.gather(
        *(passwords.hash(str(n)) for n in range(100)), return_exceptions=True
    )
    assert sum(isinstance(answer, str) for answer in answers) == 66
    assert sum(isinstance(answer, Overloaded) for answer in answers) == 34
    assert isinstance(await passwords.hash("after"), str)
    passwords.close()


@ON_SQLITE
@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaa", "x" * 257, ADA, "ADA@example.com"])
async def test_a_password_that_is_easily_guessed_is_refused(world: World, password: str):
    await world.sign_in.ask_for_account(ADA, PLACE)
    token = await world.link()
    with pytest.raises(PasswordUnfit) as refused:
        await world.sign_in.with_link(token, PLACE, password=password)
    assert password not in str(refused.value) or len(password) < 6
    await world.sign_in.with_link(token, PLACE, password=PASSWORD)  # the link is good still


async def test_a_link_signs_in_once_and_for_a_while(world: World):
    await world.newcomer(ADA)
    await world.sign_in.ask_for_link(ADA, PLACE)
    first = await world.link()
    await world.sign_in.ask_for_link(ADA, PLACE)
    second = await world.link()
    assert (await world.sign_in.look(first, Purpose.SIGN_IN)).email == ADA
    await world.sign_in.with_link(first, PLACE)
    world.clock.ms += 60 * MINUTE_MS
    for token in (first, second, "", "x" * 43, "é" * 43, second + "x"):
        for use in (
            world.sign_in.look(token, Purpose.SIGN_IN),
            world.sign_in.with_link(token, PLACE),
        ):
            with pytest.raises(LinkInvalid):
                await use


async def test_a_link_opens_only_what_it_was_made_for(world: World):
    new = await world.newcomer(ADA)
    await world.sign_in.ask_for_reset(ADA, PLACE)
    reset = await world.link()
    await world.sign_in.ask_for_link(ADA, PLACE)
    link = await world.link()
    signed_in = await world.sign_in.find(new.token)
    assert signed_in is not None
    with pytest.raises(LinkInvalid):
        await world.sign_in.with_link(reset, PLACE)
    with pytest.raises(LinkInvalid):
        await world.sign_in.reset_password(link, PASSWORD, PLACE)
    with pytest.raises(LinkInvalid):
        await world.sign_in.verify_email(link, signed_in, PLACE)
    with pytest.raises(LinkInvalid):
        world.services.organisations.accept(reset, PLACE)


@ON_SQLITE
@pytest.mark.parametrize(
    ("ask", "email", "kinds"),
    [
        ("ask_for_link", "nobody@example.com", ["sign_up"]),
        ("ask_for_account", "nobody@example.com", ["sign_up"]),
        ("ask_for_reset", "nobody@example.com", []),
        ("ask_for_link", ADA, ["sign_in"]),
        ("ask_for_account", ADA, ["sign_up_known"]),
        ("ask_for_reset", ADA, ["reset_password"]),
    ],
)
async def test_what_is_asked_for_looks_the_same_whoever_has_the_address(
    world: World, ask: str, email: str, kinds: list[str]
):
    await world.newcomer(ADA)
    assert await getattr(world.sign_in, ask)(email, PLACE) is None
    subjects = {
        "sign_in": "Sign in to Fairlead",
        "sign_up": "Your Fairlead account",
        "sign_up_known": "You have a Fairlead account",
        "reset_password": "A new password for Fairlead",
    }
    mails = await world.mail()
    assert [mail.subject for mail in mails] == [subjects[kind] for kind in kinds]
    assert {mail.recipient for mail in mails} <= {email}
    with pytest.raises(EmailInvalid):
        await getattr(world.sign_in, ask)("no address", PLACE)


@ON_SQLITE
async def test_only_the_invited_get_an_account_where_it_is_so_and_nobody_where_it_is_closed(
    database: Database,
):
    def settled(sign_up: str) -> World:
        sign_in = msgspec.structs.replace(GENEROUS, sign_up=sign_up)
        return make_world(database, msgspec.structs.replace(Settings(), sign_in=sign_in))

    assert Settings().sign_in.sign_up == "invited"
    invited = settled("invited")
    await invited.sign_in.ask_for_account(ADA, PLACE)
    await invited.sign_in.ask_for_link(ADA, PLACE)
    assert await invited.mail() == []
    closed = settled("closed")
    with pytest.raises(SignUpClosed):
        await closed.sign_in.ask_for_account(ADA, PLACE)
    await closed.sign_in.ask_for_link(ADA, PLACE)
    assert await closed.mail() == []
    # Who has an account signs in all the same.
    closed.accounts.create(email=ADA, billing=Billing.PREPAID)
    await closed.sign_in.ask_for_link(ADA, PLACE)
    await closed.sign_in.with_link(await closed.link(), PLACE)


async def test_a_new_password_ends_every_session_and_every_link(world: World):
    new = await world.newcomer(ADA)
    await world.sign_in.ask_for_link(ADA, PLACE)
    link = await world.link()
    await world.sign_in.ask_for_reset(ADA, PLACE)
    reset = await world.link()
    after = await world.sign_in.reset_password(reset, "another fine password", PLACE)
    assert await world.sign_in.find(new.token) is None
    assert await world.sign_in.find(after.token) is not None
    assert [mail.subject for mail in await world.mail()] == ["Your Fairlead password was changed"]
    for use in (
        world.sign_in.with_password(ADA, PASSWORD, PLACE),
        world.sign_in.with_link(link, PLACE),
        world.sign_in.reset_password(reset, PASSWORD, PLACE),
    ):
        with pytest.raises((SignInRefused, LinkInvalid)):
            await use
    await world.sign_in.with_password(ADA, "another fine password", PLACE)


async def test_a_password_is_changed_by_who_knows_it_or_has_just_signed_in(world: World):
    new = await world.newcomer(ADA, password=None)
    signed_in = await world.sign_in.find(new.token)
    assert signed_in is not None
    world.clock.ms += 61 * MINUTE_MS
    with pytest.raises(SignInRefused):
        await world.sign_in.change_password(signed_in, present=None, wanted=PASSWORD, place=PLACE)
    world.clock.ms -= 2 * MINUTE_MS
    second = await world.sign_in.change_password(
        signed_in, present=None, wanted=PASSWORD, place=PLACE
    )
    assert await world.sign_in.find(new.token) is None, "another token after a change of rights"
    signed_in = await world.sign_in.find(second.token)
    assert signed_in is not None
    for present in (None, "", "wrong"):
        with pytest.raises(SignInRefused):
            await world.sign_in.change_password(
                signed_in, present=present, wanted="another fine password", place=PLACE
            )
    await world.sign_in.change_password(
        signed_in, present=PASSWORD, wanted="another fine password", place=PLACE
    )
    await world.sign_in.with_password(ADA, "another fine password", PLACE)


async def test_an_address_is_changed_by_who_can_read_its_mail(world: World):
    new = await world.newcomer(ADA)
    other = await world.newcomer("bob@example.com")
    ada, bob = await world.sign_in.find(new.token), await world.sign_in.find(other.token)
    assert ada is not None
    assert bob is not None
    await world.sign_in.ask_for_verification(ada, "new@example.com", PLACE, present=PASSWORD)
    token = await world.link()
    with pytest.raises(LinkInvalid):  # Bob was made to follow Ada's link
        await world.sign_in.verify_email(token, bob, PLACE)
    user = await world.sign_in.verify_email(token, ada, PLACE)
    assert user.email == "new@example.com"
    assert world.accounts.find_by_email("new@example.com") is not None
    assert world.accounts.find_by_email(ADA) is None
    (told,) = await world.mail()
    assert (told.recipient, "new@example.com" in told.text) == (ADA, True)
    await world.sign_in.with_password("new@example.com", PASSWORD, PLACE)
    await world.sign_in.ask_for_verification(ada, "bob@example.com", PLACE, present=PASSWORD)
    with pytest.raises(EmailTaken):
        await world.sign_in.verify_email(await world.link(), ada, PLACE)


async def test_a_session_alone_does_not_lead_to_another_address(world: World):
    new = await world.newcomer(ADA)
    other = await world.newcomer("bob@example.com", password=None)
    ada, bob = await world.sign_in.find(new.token), await world.sign_in.find(other.token)
    assert ada is not None
    assert bob is not None
    for present in (None, "", "wrong"):
        with pytest.raises(SignInRefused):
            await world.sign_in.ask_for_verification(ada, "new@example.com", PLACE, present=present)
    await world.sign_in.ask_for_verification(ada, " Ada@example.com", PLACE)  # the one they have
    world.clock.ms += 61 * MINUTE_MS
    with pytest.raises(SignInRefused):
        await world.sign_in.ask_for_verification(bob, "new@example.com", PLACE)
    world.clock.ms -= 2 * MINUTE_MS
    assert [mail.recipient for mail in await world.mail()] == [ADA]
    await world.sign_in.ask_for_verification(bob, "new@example.com", PLACE)
    assert [mail.recipient for mail in await world.mail()] == ["new@example.com"]


async def test_links_to_the_address_before_are_worth_nothing(world: World):
    new = await world.newcomer(ADA)
    ada = await world.sign_in.find(new.token)
    assert ada is not None
    await world.sign_in.ask_for_reset(ADA, PLACE)
    reset = await world.link()
    await world.sign_in.ask_for_link(ADA, PLACE)
    link = await world.link()
    printed = world.services.entrance.mint_link(ada.user.id, valid_ms=DAY_MS)
    await world.sign_in.ask_for_verification(ada, "new@example.com", PLACE, present=PASSWORD)
    await world.sign_in.verify_email(await world.link(), ada, PLACE)
    with pytest.raises(LinkInvalid):
        await world.sign_in.reset_password(reset, "another fine password", PLACE)
    for token in (link, printed):
        with pytest.raises(LinkInvalid):
            await world.sign_in.with_link(token, PLACE)
    with world.database.begin() as connection:  # as one that was minted in the same moment
        late = world.services.tokens.mint(
            connection, Purpose.SIGN_IN, ada.user.id, email=ADA, valid_ms=DAY_MS
        )
    with pytest.raises(LinkInvalid):
        await world.sign_in.with_link(late, PLACE)


async def test_of_two_who_verify_one_address_at_once_one_has_it(world: World):
    tokens, people = [], []
    for name in ("ada", "bob", "eve", "joe"):
        new = await world.newcomer(f"{name}@example.com", password=None)
        signed_in = await world.sign_in.find(new.token)
        assert signed_in is not None
        people.append(signed_in)
        await world.sign_in.ask_for_verification(signed_in, "new@example.com", PLACE)
        tokens.append(await world.link())
    outcomes = await asyncio.gather(
        *(
            world.sign_in.verify_email(token, signed_in, PLACE)
            for token, signed_in in zip(tokens, people, strict=True)
        ),
        return_exceptions=True,
    )
    refused = [one for one in outcomes if isinstance(one, BaseException)]
    assert [type(one) for one in refused] == [EmailTaken] * 3


async def test_the_owner_signs_in_by_a_printed_link_and_gives_themselves_an_address(world: World):
    owner = world.accounts.ensure_owner().account
    user = world.services.people.of_account(owner.id)
    assert user is not None
    token = world.services.entrance.mint_link(user.id, valid_ms=DAY_MS)
    new = await world.sign_in.with_link(token, PLACE)
    signed_in = await world.sign_in.find(new.token)
    assert signed_in is not None
    assert (signed_in.is_owner, signed_in.user.email_verified_ms) == (True, None)
    await world.sign_in.ask_for_verification(signed_in, "owner@example.com", PLACE)
    await world.sign_in.verify_email(await world.link(), signed_in, PLACE)
    assert world.accounts.find_by_email("owner@example.com") == world.accounts.owner()


async def test_whoever_can_read_the_mail_gets_the_account_from_who_used_it_before(world: World):
    """An operator made it for an address, and somebody else was given the printed link."""
    account = world.accounts.create(email=ADA, billing=Billing.PREPAID)
    user = world.services.people.of_account(account.id)
    assert user is not None
    printed = world.services.entrance.mint_link(user.id, valid_ms=DAY_MS)
    stranger = await world.sign_in.with_link(printed, PLACE)
    signed_in = await world.sign_in.find(stranger.token)
    assert signed_in is not None
    stranger = await world.sign_in.change_password(
        signed_in, present=None, wanted=PASSWORD, place=PLACE
    )
    await world.mail()
    await world.sign_in.ask_for_link(ADA, PLACE)
    ada = await world.sign_in.with_link(await world.link(), PLACE)
    assert await world.sign_in.find(ada.token) is not None
    assert await world.sign_in.find(stranger.token) is None
    with pytest.raises(SignInRefused):
        await world.sign_in.with_password(ADA, PASSWORD, PLACE)


def elsewhere(
    email: str | None = ADA, subject: str = "s1", *, may_create: bool = False
) -> Elsewhere:
    return Elsewhere("company", "https://login.example.com", subject, email, "Ada", may_create)


async def test_an_identity_is_linked_by_a_verified_address_and_known_again_without(world: World):
    new = await world.newcomer(ADA)
    first = await world.sign_in.with_identity(elsewhere(), PLACE)
    assert first.session.user == new.session.user
    assert first.session.method == "oidc:company"
    later = await world.sign_in.with_identity(elsewhere("moved@example.com"), PLACE)
    assert later.session.user == new.session.user
    with pytest.raises(SignInRefused):
        await world.sign_in.with_identity(elsewhere(None, "s2"), PLACE)


async def test_an_unknown_identity_gets_an_account_where_that_is_so(database: Database):
    closed = make_world(
        database,
        msgspec.structs.replace(
            Settings(), sign_in=msgspec.structs.replace(GENEROUS, sign_up="closed")
        ),
    )
    with pytest.raises(SignUpClosed):
        await closed.sign_in.with_identity(elsewhere(), PLACE)
    new = await closed.sign_in.with_identity(elsewhere(may_create=True), PLACE)
    signed_in = await closed.sign_in.find(new.token)
    assert signed_in is not None
    assert (signed_in.user.email, signed_in.user.email_verified_ms) == (ADA, closed.clock.ms)
