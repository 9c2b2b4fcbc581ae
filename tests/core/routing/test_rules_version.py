"""Decisions kept from an earlier program come out as they were, or the rules have another version.

`replay` makes a decision again by today's rules, so it cannot notice that they changed. These decisions were
made once and kept in a file. If a change of the planner is meant to give other plans, raise ROUTING_VERSION and
record the file anew: `.venv/bin/python -m tests.core.routing.test_rules_version`.
"""

from __future__ import annotations

import random
from pathlib import Path

import msgspec

from fairlead.core.routing.decision import ROUTING_VERSION, Decision, agrees, replayed
from fairlead.core.routing.planner import plan
from tests.core.test_replay import SNAPSHOT, arbitrary_call

FILE = Path(__file__).with_name("kept_decisions.msgpack")
COUNT = 150
SEED = 20_261_121


def test_kept_decisions_come_out_as_they_were() -> None:
    kept = msgspec.msgpack.decode(FILE.read_bytes(), type=list[Decision])
    assert len(kept) == COUNT
    assert {decision.version for decision in kept} == {ROUTING_VERSION}, (
        "the rules have another version: record the decisions anew"
    )
    differing = [
        number
        for number, decision in enumerate(kept)
        if not agrees(decision, replayed(decision, SNAPSHOT, plan))
    ]
    assert differing == [], "the rules changed without a new ROUTING_VERSION"


def record() -> None:
    source = random.Random(SEED)
    FILE.write_bytes(msgspec.msgpack.encode([arbitrary_call(source) for _ in range(COUNT)]))


if __name__ == "__main__":
    record()
