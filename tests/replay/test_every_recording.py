"""Every recorded exchange, once more, through a real server: what comes out, and what was asked.

The truth is a plain reading of the recording (tests/recordings_truth.py, tests/replay/meaning.py) that knows
nothing of the product.
"""

from __future__ import annotations

import pytest

from tests.providers.test_recordings import ERRORS_INSIDE, FOREIGN, assert_same_told
from tests.recordings import Recording, load, names
from tests.recordings_truth import read
from tests.replay.caller import CHAT, Caller, Heard, read_ending
from tests.replay.catalogue import model_of
from tests.replay.meaning import CHOOSING_TIERS, meaning
from tests.replay.replay_server import Received, ReplayServer

COMPLETIONS = "/api/v1/completions"
REASONING_SWITCHES = ("deepseek", "z-ai")
USD_PER_TOKEN = (1e-6, 2e-6)  # as in the catalogue made for this


USABLE = [
    case
    for name in names()
    for case in load(name)
    if isinstance(case.request, dict) and case.id not in FOREIGN
]
ANSWERS = [case for case in USABLE if case.status == 200 and case.id not in ERRORS_INSIDE]
REFUSALS = [case for case in USABLE if case.status != 200]


def by_id(cases: list[Recording]) -> list[object]:
    return [pytest.param(case, id=case.id) for case in cases]


def send(case: Recording, caller: Caller, replaying: ReplayServer) -> Heard:
    """The recorded request, addressed to us; the recorded answer will be given to whatever is asked."""
    replaying.forget()
    replaying.on(answer=case.id)
    is_completion = (
        case.path.partition("?")[0].endswith("/completions") and "/chat/" not in case.path
    )
    # What the recorded caller said to a router would route elsewhere here.
    body = {k: v for k, v in case.request.items() if k not in ("provider", "models", "preset")}
    body["model"] = model_of(case)
    return caller.call(body, COMPLETIONS if is_completion else CHAT)


def asked(replaying: ReplayServer) -> list[Received]:
    """Without the questions for a local engine's models, which come at any time."""
    return [request for request in replaying.received if not request.path.endswith("/models")]


def test_there_is_something_to_check() -> None:
    assert len(ANSWERS) > 880
    assert len(REFUSALS) > 100


@pytest.mark.parametrize("case", by_id(ANSWERS))
def test_the_answer_and_the_question_come_through(
    case: Recording, caller: Caller, replaying: ReplayServer
) -> None:
    heard = send(case, caller, replaying)
    (request,) = asked(replaying)
    has_switch = request.provider in REASONING_SWITCHES
    assert meaning(request.body, has_switch=has_switch) == meaning(
        case.request, has_switch=has_switch
    )
    assert request.body.get("service_tier") not in CHOOSING_TIERS, "a tier that nobody chose"
    ending = read_ending(heard)
    assert (ending.kind, heard.status) == ("complete", 200)
    assert ending.said is not None
    said = read(case.body, is_sse=case.is_sse)
    assert ending.said.choices.keys() == said.choices.keys()
    for index, choice in ending.said.choices.items():
        assert_same_told(choice, said.choices[index])
    told = ending.said.usage
    assert told is not None
    if said.usage is not None:
        assert told.total == said.usage.total
        assert told.cached == min(said.usage.cached, said.usage.prompt)
    assert told.total == told.prompt + told.completion
    dollars = told.prompt * USD_PER_TOKEN[0] + told.completion * USD_PER_TOKEN[1]
    assert ending.cost == pytest.approx(dollars, abs=1e-9)


@pytest.mark.parametrize("case", by_id(REFUSALS))
def test_a_refusal_comes_through_as_an_error(
    case: Recording, caller: Caller, replaying: ReplayServer
) -> None:
    ending = read_ending(send(case, caller, replaying))
    assert ending.kind == "refused"
    assert ending.error is not None
    assert ending.error["code"] not in (401, 403), "our key was refused, not the caller's"
    assert len(asked(replaying)) == 1
    record = caller.generation(ending.id)
    assert record is not None, "what was tried is kept"
    assert record["total_cost"] == 0


@pytest.mark.parametrize("case", by_id([c for c in USABLE if c.id in ERRORS_INSIDE]))
def test_an_error_under_status_200_is_none_for_the_caller(
    case: Recording, caller: Caller, replaying: ReplayServer
) -> None:
    ending = read_ending(send(case, caller, replaying))
    assert ending.kind in ("refused", "broken")
    assert ending.error is not None
