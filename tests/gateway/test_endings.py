"""Raced and continued calls that break, are left, and are stopped at any moment: each is settled once.

One story that every endpoint knows by heart, told over endpoints whose fates are drawn; afterwards nothing may
be open, no task may run, every endpoint's health has heard the end of what it heard begin, and nobody has paid
for more than he got.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal
from unittest.mock import patch

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.generation import Generation, Outcome
from fairlead.core.health import EndpointOutcome, HealthBook
from fairlead.core.ids import EndpointId
from fairlead.gateway.server.listener import end_what_is_left
from fairlead.gateway.services import Timeouts
from fairlead.providers.base import UpstreamRequest
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import ACCOUNT, Answer, GatewayInMemory, Reader
from fairlead.testing.upstream import Script, ScriptedUpstream, chat_stream
from fairlead.testing.vtime import run_simulated

STORY: Final = "Once upon a time there was a gateway that nobody ever had to think about, and so"
PRICES: Final = {"prompt": "0.000001", "completion": "0.000002"}
# Two that go on with a begun answer, one that has to be asked in words.
ENDPOINTS: Final = tuple(an_endpoint(slug, **PRICES) for slug in ("one", "two", "openai"))
SNAPSHOT: Final = a_snapshot(
    a_model(*ENDPOINTS),
    providers=tuple(
        a_provider(one.provider, base_url=f"http://{one.provider}.test/v1") for one in ENDPOINTS
    ),
)
PROMPT_TOKENS: Final = 2  # of "Hello there", as the fakes count and report
STREAM: Final = (("content-type", "text/event-stream"),)


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one request. said: so many pieces; None: all that are left."""

    head_after_s: float = 0.1
    step_s: float = 0.1
    said: int | None = None
    end: Literal["end", "cut", "hang"] = "cut"
    status: int = 200


GOOD: Final = Fate(end="end")
FATES: Final = st.builds(
    Fate,
    head_after_s=st.sampled_from([0.0, 0.1, 0.7]),
    step_s=st.sampled_from([0.0, 0.1, 0.3]),
    said=st.integers(0, 6) | st.integers(1, 6) | st.none(),
    end=st.sampled_from(["end", "cut", "cut", "hang"]),
    status=st.sampled_from([200] * 8 + [400, 429, 500]),
)


def told(request: UpstreamRequest, fate: Fate) -> Script:
    """The story from where the request's messages leave it."""
    if fate.status != 200:
        return Script([(0, b'{"error":{"message":"no"}}')], fate.status, head_after_s=0.1)
    messages = msgspec.json.decode(request.body)["messages"]
    known = next((m["content"] for m in messages if m["role"] == "assistant"), "")
    repeated = messages[-1]["content"].rpartition("\n")[2] if len(messages) > 2 else ""
    pieces = re.findall(r"\s*\S+", repeated + STORY[len(known) :])
    said = len(pieces) if fate.said is None else fate.said
    events = chat_stream(pieces, prompt_tokens=PROMPT_TOKENS)
    # One event opens the answer; each piece is one more.
    steps = [(fate.step_s, event) for event in events[: 1 + said]]
    end = fate.end
    if said >= len(pieces) and end == "end":
        steps += [(0.0, event) for event in events[1 + said :]]
    return Script(steps, headers=STREAM, head_after_s=fate.head_after_s, end=end)


class Told:
    """What health was told, by endpoint."""

    def __init__(self) -> None:
        self.open: Counter[EndpointId] = Counter()
        self.ended = 0
        self.said: Counter[tuple[str, str | None]] = Counter()  # endpoint, failure


def balanced(told_of: Told) -> tuple[object, object]:
    began, ended = HealthBook.began, HealthBook.ended

    def begins(book: HealthBook, endpoint: EndpointId, now_s: float) -> None:
        told_of.open[endpoint] += 1
        began(book, endpoint, now_s)

    def ends(
        book: HealthBook, endpoint: EndpointId, outcome: EndpointOutcome, now_s: float
    ) -> None:
        told_of.open[endpoint] -= 1
        told_of.ended += 1
        if not outcome.is_abandoned:
            told_of.said[endpoint, outcome.failure] += 1
        assert told_of.open[endpoint] >= 0, "an end without a beginning"
        ended(book, endpoint, outcome, now_s)

    return begins, ends


@settings(max_examples=300, deadline=None)
@given(
    fates=st.lists(FATES, min_size=1, max_size=6),
    wishes=st.fixed_dictionaries(
        {
            "continue_streams": st.sampled_from([True, True, False]),
            "hedge": st.sampled_from([False, {"after_s": 0.4}]),
        }
    ),
    reader=st.builds(
        Reader,
        pause_s=st.sampled_from([0.0, 0.0, 0.5]),
        leaves_after_s=st.none() | st.none() | st.integers(0, 80).map(lambda n: n / 20 + 0.01),
    ),
    stops_after_s=st.none() | st.none() | st.integers(0, 80).map(lambda n: n / 20 + 0.02),
    recorded_in_s=st.sampled_from([0.0, 0.2]),
)
def test_whatever_happens_when_a_call_is_settled_once_and_paid_once(
    fates: list[Fate],
    wishes: dict[str, object],
    reader: Reader,
    stops_after_s: float | None,
    recorded_in_s: float,
) -> None:
    told_of = Told()
    begins, ends = balanced(told_of)
    left = list(fates)

    async def main() -> None:
        upstream = ScriptedUpstream(lambda one: told(one, left.pop(0) if left else GOOD))
        patient = Timeouts(first_token=3, between_tokens=2, total=15)
        gateway = GatewayInMemory(upstream, SNAPSHOT, timeouts=patient)
        gateway.journal.takes_s = recorded_in_s
        line = gateway.chatting(reader, stream=True, provider=wishes)
        async with asyncio.TaskGroup() as tasks:
            leaving = tasks.create_task(line.leave_in_time())
            try:
                async with asyncio.timeout(stops_after_s):
                    await line.is_over.wait()
            except TimeoutError:
                await end_what_is_left(gateway.connections)
                if not reader.pause_s:
                    assert line.is_lost or line.answer.is_complete
            leaving.cancel()
        line.abort()
        while gateway.connections.tasks:
            await gateway.connections.change()
        await asyncio.sleep(0)
        assert upstream.open_count == 0, "an upstream exchange was left open"
        assert asyncio.all_tasks() == {asyncio.current_task()}, "a task was left behind"
        assert gateway.app.calls_under_way == 0
        now_s = gateway.services.clock.now_s()
        assert gateway.services.hedges.of(ACCOUNT).figures(now_s).staked == 0
        assert told_of.ended == len(upstream.requests)
        assert not +told_of.open, "health still waits for an end"
        assert len(gateway.recorded) <= 1
        for generation in gateway.recorded:
            assert len(generation.attempts) == len(upstream.requests)
            check(generation, line.answer)
            kept = Counter(
                (one.endpoint, one.failure) for one in generation.attempts if not one.was_let_go
            )
            assert not told_of.said - kept, "health knows of what is not on record"
            # When time passes, it is not always the provider's fault.
            assert {failure for _, failure in kept - told_of.said} <= {"timeout"}
        if not gateway.recorded and not line.is_lost:
            assert not line.answer.body or b'"error"' in line.answer.body

    with patch.object(HealthBook, "began", begins), patch.object(HealthBook, "ended", ends):
        run_simulated(main())


def check(generation: Generation, answer: Answer) -> None:
    """What was paid against what was got."""
    events = answer.events()
    text = "".join(c["delta"].get("content") or "" for e in events for c in e["choices"])
    assert STORY.startswith(text), "the parts do not fit"
    words = len(text.split())
    whole_cost = PROMPT_TOKENS * 1000 + words * 2000
    match generation.outcome:
        case Outcome.COMPLETED:
            # A caller may leave, or take his time, while the last bytes wait for him.
            if answer.is_complete:
                assert text == STORY
                # An endpoint that goes on in words reports the words that it repeats, too.
                repeated = 12 * sum(one.manner == "instruction" for one in generation.splices)
                assert whole_cost <= generation.cost <= whole_cost + repeated * 2000
        case Outcome.FAILED:
            assert generation.cost == 0
        case Outcome.CANCELLED:
            # Where a word was held back, so much is not estimated at the other end of its text.
            words = len(STORY.split()) + len(generation.splices)
            assert generation.cost <= PROMPT_TOKENS * 1000 + words * 2000
    for attempt in generation.attempts:
        assert not (attempt.was_let_go and attempt.failure)
