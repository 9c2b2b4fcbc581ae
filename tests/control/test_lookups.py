"""One question for all who wait; what was said holds for a while; nothing old comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from fairlead.control.serving.lookups import Absent, LookUps, Terms
from fairlead.core.errors import Overloaded
from fairlead.store.database import DatabaseUnreadable

pytestmark = pytest.mark.anyio

PATIENCE_S = 10.0
TERMS = Terms(things="boats", unknown="Boats cannot be seen at the moment.")
NONE = Absent("there is no such boat")
OUT = Absent("she is out", believed_s=1.0)

Answer = str | Absent[str]


class Harbour:
    """What is true, and who was asked for. An answer is what was true when its question left."""

    def __init__(self, **terms: float) -> None:
        self.now_s = 1000.0
        self.boats: dict[str, Answer] = {"a": "old"}
        self.asked: list[str] = []
        self.is_away = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.look_ups: LookUps[str, str, str] = LookUps(
            self.load, terms=replace(TERMS, **terms), monotonic_s=lambda: self.now_s
        )

    async def load(self, key: str, _known: str | None, _timeout_s: float) -> Answer:
        return (await self.load_all([key]))[key]

    async def load_all(self, keys: Sequence[str]) -> dict[str, Answer]:
        self.asked.extend(keys)
        answers = {key: self.boats.get(key, NONE) for key in keys}
        await self.may_answer.wait()
        if self.is_away:
            raise DatabaseUnreadable("away")
        return answers

    async def find(self, key: str = "a") -> Answer:
        async with asyncio.timeout(PATIENCE_S):
            return await self.look_ups.find(key)

    async def confirm(self) -> None:
        await self.look_ups.confirm(self.load_all)

    async def silent(self, *keys: str) -> list[asyncio.Task[Answer]]:
        """Those who ask, and wait now for a database that says nothing."""
        self.may_answer.clear()
        asking = [asyncio.create_task(self.find(key)) for key in keys]
        await asyncio.sleep(0)
        return asking


async def told(asking: Sequence[asyncio.Task[Answer]]) -> list[object]:
    return await asyncio.gather(*asking, return_exceptions=True)


async def test_what_is_fresh_is_given_without_a_question() -> None:
    harbour = Harbour()
    assert harbour.look_ups.peek("a") is None
    assert await harbour.find() == "old"
    harbour.boats["a"] = "new"
    harbour.now_s += TERMS.fresh_max_s * 0.99
    assert await harbour.find() == harbour.look_ups.peek("a") == "old"
    assert harbour.asked == ["a"]
    harbour.now_s += TERMS.fresh_max_s * 0.01
    assert harbour.look_ups.peek("a") is None
    assert await harbour.find() == "new"


async def test_all_who_ask_at_once_share_one_question() -> None:
    harbour = Harbour()
    asking = await harbour.silent(*"aabab")
    assert harbour.asked == ["a", "b"]
    harbour.may_answer.set()
    assert await told(asking) == ["old", "old", NONE, "old", NONE]
    assert harbour.asked == ["a", "b"]


async def test_questions_at_the_same_time_are_bounded() -> None:
    harbour = Harbour(look_ups_max=1)
    asking = await harbour.silent("a", "a")
    with pytest.raises(Overloaded, match="Too many boats"):
        await harbour.find("b")
    harbour.may_answer.set()
    assert await told(asking) == ["old", "old"]
    assert await harbour.find("b") is NONE


async def test_one_who_leaves_takes_nobody_with_him() -> None:
    harbour = Harbour(look_ups_max=1)
    first, second, third = await harbour.silent(*"aaa")
    second.cancel()
    await told([second])
    assert harbour.asked == ["a"]
    first.cancel()  # he who asks
    await told([first])
    await asyncio.sleep(0)
    assert harbour.asked == ["a", "a"]
    harbour.may_answer.set()
    assert await third == "old"


async def test_a_failure_is_told_to_all_who_wait() -> None:
    harbour = Harbour()
    harbour.is_away = True
    asking = await harbour.silent(*"aaa")
    harbour.may_answer.set()
    failures = await told(asking)
    assert [str(one) for one in failures] == [TERMS.unknown] * 3
    assert len({id(one) for one in failures}) == 3  # each has one of his own to raise
    assert harbour.asked == ["a"]


async def test_while_the_database_is_away_what_it_said_holds_for_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    harbour = Harbour()
    await harbour.find()
    harbour.is_away = True
    harbour.now_s += TERMS.fresh_max_s
    assert await harbour.find() == "old"
    assert harbour.look_ups.is_away
    harbour.now_s += TERMS.known_max_s - TERMS.fresh_max_s - 1
    await harbour.confirm()  # although nobody has used it
    assert harbour.look_ups.peek("a") == "old"
    with pytest.raises(Overloaded, match=TERMS.unknown):
        await harbour.find("b")
    harbour.now_s += 1
    with pytest.raises(Overloaded, match=TERMS.unknown):
        await harbour.find()
    harbour.now_s += 1
    await harbour.confirm()
    assert not harbour.look_ups.known
    harbour.is_away = False
    await harbour.confirm()
    assert not harbour.look_ups.is_away
    assert [one.message.split(",")[0] for one in caplog.records] == [
        "boats cannot be checked",
        "boats can be checked again",
    ]


async def test_what_nobody_confirms_is_asked_for_again_after_a_pause() -> None:
    harbour = Harbour(retry_after_s=1.0)
    await harbour.find()
    harbour.is_away = True
    harbour.now_s += TERMS.fresh_max_s
    for _ in range(3):
        assert await harbour.find() == "old"
    assert harbour.asked == ["a", "a"]
    harbour.is_away = False
    harbour.boats["a"] = "new"
    harbour.now_s += 1.0
    assert await harbour.find() == "new"


async def test_a_database_that_says_nothing_is_away_until_it_answers() -> None:
    harbour = Harbour(answer_max_s=0.01)
    await harbour.find()
    harbour.now_s += TERMS.fresh_max_s
    harbour.boats["a"] = "new"
    harbour.may_answer.clear()
    confirming = asyncio.create_task(harbour.confirm())
    async with asyncio.timeout(PATIENCE_S):
        while harbour.look_ups.peek("a") is None:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.001)
    assert harbour.look_ups.peek("a") == "old"
    harbour.may_answer.set()
    await confirming
    assert harbour.look_ups.peek("a") == "new"


async def test_that_there_is_nothing_is_believed_as_long_as_it_is_said_to_be() -> None:
    harbour = Harbour(absent_entries_max=2)
    assert [await harbour.find("none") for _ in range(2)] == [NONE, NONE]
    harbour.boats |= dict.fromkeys("xyz", OUT)
    assert [await harbour.find(key) for key in "xyzyz"] == [OUT] * 5
    assert harbour.asked == [*("none", "none"), *"xyz"]
    assert harbour.look_ups.peek("x") is None  # no more than two
    harbour.now_s += OUT.believed_s
    harbour.boats["z"] = "back"
    assert await harbour.find("z") == "back"


async def test_what_is_forgotten_does_not_come_back_with_an_answer_on_its_way() -> None:
    harbour = Harbour()
    asking = await harbour.silent("a", "a")
    harbour.boats["a"] = "new"
    harbour.look_ups.forget("a")
    asking += await harbour.silent("a")
    harbour.may_answer.set()
    assert await told(asking) == ["new"] * 3
    assert harbour.asked == ["a", "a"]


async def test_what_is_forgotten_does_not_come_back_when_all_is_confirmed() -> None:
    harbour = Harbour()
    await harbour.find()
    harbour.may_answer.clear()
    confirming = asyncio.create_task(harbour.confirm())
    await asyncio.sleep(0)
    harbour.look_ups.forget("a")
    harbour.may_answer.set()
    await confirming
    assert not harbour.look_ups.known


@pytest.mark.parametrize("now", ["new", OUT, NONE])
async def test_of_two_questions_on_their_way_the_later_one_counts(now: Answer) -> None:
    harbour = Harbour()
    await harbour.find()
    harbour.now_s += TERMS.fresh_max_s
    asking = await harbour.silent("a", "a")
    slow, harbour.may_answer = harbour.may_answer, asyncio.Event()
    harbour.may_answer.set()
    harbour.boats["a"] = now
    harbour.now_s += 0.1
    await harbour.confirm()
    slow.set()
    assert await told(asking) == [now, now]
    assert await harbour.find() == now


async def test_memory_is_bounded_and_what_nobody_uses_is_forgotten() -> None:
    harbour = Harbour(known_entries_max=2)
    harbour.boats = dict.fromkeys("abc", "here")
    for key in "abc":
        await harbour.find(key)
    assert list(harbour.look_ups.known) == ["b", "c"]
    harbour.now_s += TERMS.idle_max_s
    await harbour.confirm()
    harbour.look_ups.peek("c")
    harbour.now_s += 1
    await harbour.confirm()
    assert list(harbour.look_ups.known) == ["c"]
