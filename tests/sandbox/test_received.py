"""What the twin keeps of its requests is bounded, and only there when it was asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from fairlead.sandbox import received
from fairlead.sandbox.received import Received
from fairlead.testing.twin import RunningTwin, running_twin


def numbers(kept: Received, tag: str | None = None) -> list[int]:
    return [request.number for request in kept.page(tag=tag).requests]


def test_nothing_is_kept_unless_asked_for():
    kept = Received(0)
    kept.add(1, None, "/v1/chat/completions", b"{}")
    assert numbers(kept) == []


def test_the_oldest_go_first():
    kept = Received(2)
    for number in range(5):
        kept.add(number, "even" if number % 2 == 0 else None, "/v1/chat/completions", b"{}")
    assert numbers(kept) == [3, 4]
    assert numbers(kept, tag="even") == [4]
    kept.reset()
    assert numbers(kept) == []


def test_large_requests_push_out_more(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(received, "RECEIVED_BYTES_MAX", 100)
    kept = Received(10)
    for number in range(4):
        kept.add(number, None, "/v1/chat/completions", b'"' + b"x" * 38 + b'"')
    assert numbers(kept) == [2, 3]
    kept.add(4, None, "/v1/chat/completions", b'"' + b"x" * 200 + b'"')
    assert numbers(kept) == []


@pytest.fixture
def keeping() -> Iterator[RunningTwin]:
    with running_twin(requests_kept_max=10) as running:
        yield running


def test_requests_are_shown_as_they_came(keeping: RunningTwin):
    bodies = [b'{"model": "echo",  "odd": [1, 2]}', b"no JSON"]
    for body in bodies:
        httpx.post(f"{keeping.url}/v1/chat/completions", content=body, timeout=10)
    shown = httpx.get(f"{keeping.url}/_twin/requests", timeout=10)
    assert bodies[0] in shown.content
    assert [request["body"] for request in shown.json()["requests"]] == [
        json.loads(bodies[0]),
        None,
    ]


def test_asking_for_ended_calls_waits_until_they_have_ended(keeping: RunningTwin):
    body = {
        "model": "echo",
        "stream": True,
        "messages": [{"role": "user", "content": "twin:tag=waits;tokens=500;delay_between_ms=20"}],
    }
    url = f"{keeping.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, timeout=10) as answer:
        pieces = answer.iter_raw()  # held: an iterator that is dropped hangs up
        next(pieces)
        open_calls = httpx.get(f"{keeping.url}/_twin/calls?tag=waits", timeout=10).json()["calls"]
        assert [call["state"] for call in open_calls] == ["open"]
    ended = httpx.get(f"{keeping.url}/_twin/calls?tag=waits&ended=1", timeout=20).json()["calls"]
    assert [call["state"] for call in ended] == ["cancelled"]
