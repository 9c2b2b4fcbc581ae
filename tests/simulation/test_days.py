"""Simulated days: a seed drives callers, faults, slow readers and hang-ups through the real pipeline.

Time is virtual, so an hour takes a moment, and a failing seed replays exactly: the seed is the test's id.
Afterwards the books must be in order, whatever happened during the day.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

import pytest

from fairlead.core.generation import Outcome
from fairlead.gateway.services import Timeouts
from fairlead.providers.base import UpstreamRequest
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import Answer, GatewayInMemory, Reader
from fairlead.testing.upstream import End, Script, ScriptedUpstream, chat_stream, chat_whole
from fairlead.testing.vtime import run_simulated

CALLS = 250
DAY_S = 6 * 3600.0
PROVIDERS = ("alpha", "beta", "gamma")
STREAM = (("content-type", "text/event-stream"),)


class Weather:
    """What each provider does to a request, by seed."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def script(self, request: UpstreamRequest) -> Script:
        random = self._random
        streamed = b'"stream":true' in request.body
        words = [f" w{index}" for index in range(random.randint(1, 12))]
        kind = random.choices(
            ["fine", "refused", "status", "cut", "hang", "garbage", "slow", "silent usage"],
            weights=[60, 4, 10, 8, 3, 3, 7, 5],
        )[0]
        if kind == "refused":
            return Script([], refuses=True)
        if kind == "status":
            status = random.choice([400, 401, 402, 404, 429, 500, 503, 529])
            return Script(
                [(0.1, b'{"error":{"message":"no","type":"x","code":null}}')], status=status
            )
        if kind == "garbage":
            return Script([(0.1, bytes(random.randrange(256) for _ in range(40)))], headers=STREAM)
        if not streamed:
            ends: dict[str, End] = {"cut": "cut", "hang": "hang"}
            body = chat_whole("".join(words))
            end = ends.get(kind, "end")
            if end != "end":
                body = body[: random.randrange(len(body))]
            return Script([(random.expovariate(0.5), body)], end=end)
        events = chat_stream(words, usage=kind != "silent usage")
        end = "end"
        if kind in ("cut", "hang"):
            events = events[: random.randrange(len(events) - 1)]
            end = "cut" if kind == "cut" else "hang"
        pace_s = 30.0 if kind == "slow" else 0.2
        steps = [(random.expovariate(1 / pace_s), event) for event in events]
        return Script(steps, headers=STREAM, end=end, head_after_s=random.expovariate(1.0))


def _reader(random: Random) -> Reader:
    kind = random.choices(["patient", "slow", "leaves", "leaves midway"], weights=[70, 10, 12, 8])[
        0
    ]
    if kind == "slow":
        return Reader(pause_s=random.uniform(0.5, 20))
    if kind == "leaves":
        return Reader(leaves_after_s=random.expovariate(1 / 5))
    if kind == "leaves midway":
        return Reader(leaves_after_pieces=random.randint(1, 5))
    return Reader()


async def _a_day(
    seed: int,
) -> tuple[GatewayInMemory, ScriptedUpstream, list[tuple[Reader, Answer]]]:
    random = Random(seed)
    upstream = ScriptedUpstream(Weather(random).script)
    endpoints = [an_endpoint(slug, prompt=f"0.00000{n + 1}") for n, slug in enumerate(PROVIDERS)]
    snapshot = a_snapshot(a_model(*endpoints), providers=tuple(map(a_provider, PROVIDERS)))
    gateway = GatewayInMemory(
        upstream, snapshot, timeouts=Timeouts(first_token=60, between_tokens=45, total=300)
    )
    answers: list[tuple[Reader, Answer]] = []

    async def a_caller(at_s: float, reader: Reader, *, streamed: bool) -> None:
        await asyncio.sleep(at_s)
        answers.append((reader, await gateway.chat(reader, stream=streamed)))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(CALLS):
            streamed = random.random() < 0.7
            tasks.create_task(
                a_caller(random.uniform(0, DAY_S), _reader(random), streamed=streamed)
            )
    assert asyncio.all_tasks() == {asyncio.current_task()}, "a task outlived its call"
    return gateway, upstream, answers


@pytest.mark.parametrize("seed", range(20))
def test_after_a_day_the_books_are_in_order(seed: int) -> None:
    gateway, upstream, answers = run_simulated(_a_day(seed))
    assert len(answers) == CALLS
    assert upstream.open_count == 0, "an upstream exchange was left open"
    assert gateway.app.calls_under_way == 0

    records = {generation.id: generation for generation in gateway.recorded}
    assert len(records) == len(gateway.recorded), "a call was recorded twice"

    seen = Counter[str]()
    for reader, answer in answers:
        has_hung_up = reader.leaves_after_s is not None or reader.leaves_after_pieces is not None
        if not has_hung_up:
            assert answer.is_complete, "a caller who stayed got a proper end"
        generation = records.get(answer.headers.get("x-generation-id", ""))  # type: ignore[call-overload]
        if answer.status == 200 and answer.is_complete:
            is_stream = answer.headers["content-type"].startswith("text/event-stream")
            last = answer.events()[-1] if is_stream else answer.json()
            if "error" in last or any(
                "error" in event for event in (answer.events() if is_stream else ())
            ):
                seen["error in band"] += 1
                assert generation is None or generation.cost == 0, "an answer cut short is free"
            else:
                seen["answered"] += 1
                assert generation is not None, "an answer was given and not recorded"
                assert generation.outcome is Outcome.COMPLETED
                assert last["usage"]["cost"] * 1e9 == pytest.approx(generation.cost, abs=0.5)
                assert last["usage"]["total_tokens"] == generation.usage.total_tokens
        elif answer.is_complete:
            seen["refused"] += 1
            assert answer.json()["error"]["code"] == answer.status
            assert generation is not None, "a call that failed is kept, with what was tried"
            assert generation.outcome is Outcome.FAILED
            assert generation.cost == 0
    for generation in gateway.recorded:
        seen[generation.outcome] += 1
        if generation.outcome is not Outcome.COMPLETED:
            assert generation.cost == 0 or generation.outcome is Outcome.CANCELLED
    # A day on which nothing happened would show nothing.
    assert seen["answered"] > 100
    assert seen["refused"] > 0
    assert seen[Outcome.CANCELLED] > 0
    assert seen[Outcome.FAILED] > 0


def test_the_same_seed_is_the_same_day() -> None:
    first, _, _ = run_simulated(_a_day(7))
    second, _, _ = run_simulated(_a_day(7))
    assert first.recorded == second.recorded
