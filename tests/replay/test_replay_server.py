"""The replay server does what it is told: otherwise every test with it says nothing."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from tests.recordings import Recording, load
from tests.replay.faults import parse
from tests.replay.playing import Cut, Hang, Head, Send, Step, events_of, play
from tests.replay.replay_server import ReplayServer

CHAT = "/openai/v1/chat/completions"
STREAM = next(case for case in load("openai") if case.is_sse and len(events_of(case)) > 8)
WHOLE = next(case for case in load("openai") if not case.is_sse and case.status == 200)


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    with ReplayServer([STREAM, WHOLE]) as running:
        yield running


@contextmanager
def asking(server: ReplayServer, path: str, body: dict[str, object]) -> Iterator[Any]:
    """The answer's head, until the block ends."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("POST", path, json.dumps(body))
    with closing(connection), connection.getresponse() as response:
        yield response


def ask(server: ReplayServer, path: str = CHAT, **body: object) -> tuple[int, bytes]:
    with asking(server, path, body) as response:
        return response.status, response.read()


def payload(steps: list[Step]) -> bytes:
    """The body that a client reads from a chunked answer."""
    framed = b"".join(step.data for step in steps if isinstance(step, Send))
    body = b""
    while framed:
        size, _, framed = framed.partition(b"\r\n")
        length = int(size, 16)
        body, framed = body + framed[:length], framed[length + 2 :]
    return body


def played(fault: str, case: Recording = STREAM) -> list[Step]:
    return list(play(case, parse(fault)))


@pytest.mark.parametrize("case", [*load("openai")[:60], *load("mistral")[:20]], ids=repr)
def test_a_recording_is_played_byte_for_byte(case: Recording) -> None:
    assert b"".join(events_of(case)) == case.body
    for fault in ("", "chunking=bytes:7", "chunking=whole"):
        steps = played(fault, case)
        sent = b"".join(step.data for step in steps if isinstance(step, Send))
        assert (payload(steps) if case.is_sse else sent) == case.body


def test_a_stream_breaks_where_it_is_told_to() -> None:
    events = events_of(STREAM)
    for count in range(len(events) + 1):
        expected = b"".join(events[:count])
        *cut, last = played(f"cut_after_events={count};cut=rst")
        assert (payload(cut), last) == (expected, Cut(is_reset=True))
        *hung, last = played(f"hang_after_events={count}")
        assert (payload(hung), last) == (expected, Hang())
        truncated = played(f"truncate_after_events={count}")
        assert payload(truncated) == expected
        assert truncated[-1] == Send(b"0\r\n\r\n")
        assert payload(played(f"error_event_after={count}")).startswith(
            expected + b'data: {"error"'
        )
        assert len(payload(played(f"garbage_after_events={count}"))) > len(STREAM.body)


def test_manners_change_the_bytes_and_not_their_meaning() -> None:
    assert gzip.decompress(payload(played("gzip"))) == STREAM.body
    assert gzip.decompress(payload(played("gzip;chunking=bytes:3"))) == STREAM.body
    assert payload(played("crlf")).replace(b"\r\n", b"\n") == STREAM.body
    assert payload(played("comments")).replace(b": keep-alive\n\n", b"") == STREAM.body
    assert b": keep-alive\n\n" in payload(played("comments"))


def test_a_head_says_what_it_is_told_to() -> None:
    def head(fault: str) -> bytes:
        (first, *_) = played(fault)
        assert isinstance(first, Head)
        return first.data

    assert head("status=429;retry_after=3").startswith(b"HTTP/1.1 429 ")
    assert b"retry-after: 3\r\n" in head("status=429;retry_after=3")
    assert b"content-type: text/html\r\n" in head("status=503;html")
    assert b"content-type" not in head("no_content_type")
    assert b"connection: close\r\n" in head("close")
    assert played("refuse") == [Cut(is_reset=False)]
    assert played("hang=headers") == [Hang()]


def test_unknown_faults_are_refused() -> None:
    with pytest.raises(ValueError, match="explode"):
        parse("explode=1")


def test_rules_choose_by_provider_and_model_as_often_as_they_say(server: ReplayServer) -> None:
    server.on(answer=WHOLE.id)
    server.on(model="m", fault="status=500", answer=WHOLE.id, times=1)
    assert ask(server, model="other")[0] == 200
    assert ask(server, model="m")[0] == 500
    assert ask(server, model="m")[0] == 200


def test_the_most_similar_recording_answers_where_no_rule_does(server: ReplayServer) -> None:
    assert ask(server, **STREAM.request)[1] == STREAM.body
    assert ask(server, **WHOLE.request)[1] == WHOLE.body
    assert server.received[-1].differences == []
    ask(server, **(WHOLE.request | {"model": "other", "extra": {"x": 1}}))
    assert {found.at for found in server.received[-1].differences} == {"model", "extra.x"}


def test_an_address_can_carry_fault_and_answer(server: ReplayServer) -> None:
    base = server.base("openai", fault="status=418", answer=WHOLE.id)
    assert ask(server, base.removeprefix(server.url) + "/chat/completions")[0] == 418


def test_a_client_that_leaves_is_noticed(server: ReplayServer) -> None:
    server.on(answer=STREAM.id, fault="hang_after_events=2")
    with asking(server, CHAT, {}):
        server.wait_until(lambda: server.received[0].events_sent == 2)
    server.wait_until(lambda: server.received[0].outcome == "client_gone")
    server.wait_until(lambda: server.connections.open == 0)
