"""How often somebody may try, and how much mail an address is sent."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.control.people.rules import counted_from
from fairlead.control.people.types import Place, SignInRefused
from fairlead.core.errors import RateLimited
from fairlead.settings import Settings, SignIn
from fairlead.store.database import Database
from tests.control.people.world import PASSWORD, PLACE, make_world

pytestmark = pytest.mark.anyio

# What the database has no part in is shown on one of them.
ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])

ADA = "ada@example.com"
MINUTE_MS = 60_000
PACED = SignIn(
    sign_up="open",
    attempts_per_minute_from=30,
    attempts_per_minute_to=10,
    mails_per_minute_from=5,
    mails_per_day_to=3,
)


@ON_SQLITE
async def test_two_hundred_attempts_a_minute_are_refused_with_when_to_come_again(
    database: Database,
):
    world = make_world(database, msgspec.structs.replace(Settings(), sign_in=PACED))
    await world.newcomer(ADA)
    outcomes: list[str] = []
    said: list[RateLimited] = []
    for attempt in range(200):
        place = Place(f"198.51.100.{attempt % 50}")  # from fifty addresses at once
        try:
            await world.sign_in.with_password(ADA, f"guess {attempt}", place)
        except SignInRefused:
            outcomes.append("refused")
        except RateLimited as limited:
            outcomes.append("limited")
            said.append(limited)
        world.clock.ms += 300
    # Ten at once, and then one every six seconds: whatever the addresses.
    assert outcomes[:11] == ["refused"] * 10 + ["limited"]
    assert 18 <= outcomes.count("refused") <= 20
    assert {1 <= one.retry_after_s <= 6 for one in said} == {True}
    assert all("sign-ins-per-min-to-an-account" in one.message for one in said)
    assert not any(ADA in one.message for one in said)

    for number in range(30):  # from one address, to whatever accounts
        with pytest.raises(SignInRefused):
            await world.sign_in.with_password(f"{number}@example.com", "x", PLACE)
    with pytest.raises(RateLimited, match="sign-ins-per-min-from-an-address"):
        await world.sign_in.with_password("other@example.com", "x", PLACE)
    world.clock.ms += MINUTE_MS
    await world.sign_in.with_password(ADA, PASSWORD, PLACE)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_a_network_of_ipv6_is_one_caller(address: str, counted: str):
    assert counted_from(address) == counted


@ON_SQLITE
async def test_attempts_of_one_network_are_counted_together(database: Database):
    world = make_world(database, msgspec.structs.replace(Settings(), sign_in=SignIn()))
    refused = 0
    for host in range(1, 40):
        try:
            await world.sign_in.with_password(
                f"{host}@example.com", "guess", Place(f"2001:db8::{host:x}", "")
            )
        except RateLimited:
            refused += 1
        except SignInRefused:
            pass
    assert refused > 0
    with pytest.raises(SignInRefused):
        await world.sign_in.with_password(ADA, "guess", Place("2001:db8:0:1::1", ""))


@ON_SQLITE
async def test_nobodys_mailbox_is_flooded(database: Database):
    world = make_world(database, msgspec.structs.replace(Settings(), sign_in=PACED))
    for number in range(3):
        await world.sign_in.ask_for_link(ADA, Place(f"198.51.100.{number}"))
    for email in (ADA, "ADA@EXAMPLE.COM "):
        with pytest.raises(RateLimited) as limited:
            await world.sign_in.ask_for_reset(email, Place("198.51.100.9"))
        assert limited.value.retry_after_s > 60
