"""The twin on a real port: what goes wrong on the wire, and what its bill says about it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from fairlead.sandbox.bill import Bill, BilledCall, CallState
from fairlead.sandbox.perform import Incoming, Situation, respond
from fairlead.testing.twin import FAULT_HEADER, RunningTwin, running_twin

_WAIT_S = 10.0


@contextmanager
def _client(twin: RunningTwin) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=twin.url, timeout=_WAIT_S, trust_env=False) as client:
        yield client


def _body(tag: str, text: str = "one two three four", **fields: Any) -> dict[str, Any]:
    return {"model": "echo", "user": tag, "messages": [{"role": "user", "content": text}], **fields}


def _post(twin: RunningTwin, body: dict[str, Any], fault: str = "") -> httpx.Response:
    with _client(twin) as client:
        headers = {FAULT_HEADER: fault} if fault else {}
        return client.post("/v1/chat/completions", json=body, headers=headers)


def _stream_into(parts: list[bytes], twin: RunningTwin, body: dict[str, Any], fault: str) -> None:
    headers = {FAULT_HEADER: fault}
    with (
        _client(twin) as client,
        client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as response,
    ):
        for part in response.iter_raw():
            parts.append(part)  # noqa: PERF402 - what came before a break must be kept


def _settled(twin: RunningTwin, tag: str) -> BilledCall:
    """The call with this tag, once it is no longer open."""
    deadline = time.monotonic() + _WAIT_S
    pause = threading.Event()
    while time.monotonic() < deadline:
        calls = twin.bill(tag).calls
        if calls and calls[0].state is not CallState.OPEN:
            return calls[0]
        pause.wait(0.005)  # the twin lives in another thread and has no bell for us
    raise AssertionError(f"the call {tag} is still open: {twin.bill(tag).calls}")


def test_the_bill_says_what_the_answer_said(twin: RunningTwin) -> None:
    answer = _post(twin, _body("billed")).json()
    call = _settled(twin, "billed")
    assert (call.state, call.id) == (CallState.COMPLETED, answer["id"])
    assert call.prompt_tokens == answer["usage"]["prompt_tokens"]
    assert call.completion_tokens == answer["usage"]["completion_tokens"] == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_a_status_on_request_is_an_error_of_the_format(twin: RunningTwin, status: int) -> None:
    response = _post(twin, _body(f"status-{status}"), f"status={status};retry_after=7")
    assert (response.status_code, response.headers["retry-after"]) == (status, "7")
    assert response.json()["error"]["message"]
    assert _settled(twin, f"status-{status}").state is CallState.FAILED


def test_a_status_below_300_comes_with_an_answer(twin: RunningTwin) -> None:
    response = _post(twin, _body("201"), "status=201")
    assert (response.status_code, response.json()["object"]) == (201, "chat.completion")


@pytest.mark.parametrize("events", [0, 1, 3])
def test_a_stream_is_cut_after_exactly_so_many_events(twin: RunningTwin, events: int) -> None:
    tag = f"cut-{events}"
    got: list[bytes] = []
    with pytest.raises(httpx.RemoteProtocolError):
        _stream_into(got, twin, _body(tag, stream=True), f"cut_after_events={events}")
    assert b"".join(got).count(b"\n\n") == events
    assert _settled(twin, tag).state is CallState.CUT


def test_a_whole_answer_is_cut_within_its_body(twin: RunningTwin) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        _post(twin, _body("cut-whole"), "cut_after_events=1")
    assert _settled(twin, "cut-whole").state is CallState.CUT


def test_a_drop_closes_without_a_byte(twin: RunningTwin) -> None:
    body = json.dumps(_body("drop")).encode()
    host, port = twin.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), _WAIT_S) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: twin\r\nx-twin-fault: drop\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        assert connection.recv(100) == b""
    assert _settled(twin, "drop").state is CallState.CUT


@pytest.mark.parametrize("fault", ["hang", "hang_after_events=2"])
def test_a_hang_lasts_until_the_caller_leaves(twin: RunningTwin, fault: str) -> None:
    tag = fault.partition("=")[0]
    with _client(twin) as client, pytest.raises(httpx.ReadTimeout):
        client.post(
            "/v1/chat/completions",
            json=_body(tag, stream=True),
            headers={FAULT_HEADER: fault},
            timeout=0.2,
        )
    assert _settled(twin, tag).state is CallState.CANCELLED


def test_a_caller_who_hangs_up_in_mid_stream_is_seen_and_not_billed(twin: RunningTwin) -> None:
    body = _body("hung-up", "twin:tokens=10000;delay_ms=5", stream=True)
    with (
        _client(twin) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        assert next(answer.iter_raw())
    call = _settled(twin, "hung-up")
    assert call.state is CallState.CANCELLED
    assert call.chunks < 10_000


def test_a_caller_who_hangs_up_on_an_unpaced_stream_is_seen_too(twin: RunningTwin) -> None:
    body = _body("hung-up-fast", "twin:tokens=150000", stream=True)
    with (
        _client(twin) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        assert next(answer.iter_raw())
    assert _settled(twin, "hung-up-fast").state is CallState.CANCELLED


def test_garbage_is_no_json_and_no_completed_call(twin: RunningTwin) -> None:
    response = _post(twin, _body("garbage"), "garbage")
    assert response.status_code == 200
    with pytest.raises(ValueError, match="Expecting"):
        response.json()
    assert _settled(twin, "garbage").state is CallState.CUT


def test_an_error_in_band_ends_the_stream(twin: RunningTwin) -> None:
    text = _post(twin, _body("in-band", stream=True), "error_event_after=2").text
    *_, last, empty = text.split("\n\n")
    assert "error" in json.loads(last.removeprefix("data: "))
    assert (empty, text.count("\n\n")) == ("", 3)
    assert _settled(twin, "in-band").state is CallState.CUT


def test_a_drip_is_the_same_answer_in_tiny_pieces(twin: RunningTwin) -> None:
    dripped = _post(twin, _body("drip", stream=True), "drip").text
    plain = _post(twin, _body("plain", stream=True)).text
    assert _without_ids(dripped) == _without_ids(plain)
    assert _settled(twin, "drip").chunks > 20 * _settled(twin, "plain").chunks


def _without_ids(stream: str) -> list[str]:
    return [event.partition('"object"')[2] for event in stream.split("\n\n")]


def test_no_usage_and_empty_do_as_they_say(twin: RunningTwin) -> None:
    assert "usage" not in _post(twin, _body("no-usage"), "no_usage").json()
    streamed = _body("no-usage-2", stream=True, stream_options={"include_usage": True})
    assert "usage" not in _post(twin, streamed, "no_usage").text
    empty = _post(twin, _body("empty"), "empty").json()
    assert empty["choices"][0]["message"]["content"] == ""
    assert empty["usage"]["completion_tokens"] == 0


def test_a_delay_is_kept(twin: RunningTwin) -> None:
    begun = time.perf_counter()
    _post(twin, _body("delay"), "delay_first_ms=120")
    assert time.perf_counter() - begun >= 0.12


def test_an_unknown_fault_is_refused(twin: RunningTwin) -> None:
    response = _post(twin, _body("unknown"), "explode")
    assert response.status_code == 400
    assert "explode" in response.json()["error"]["message"]


def test_faults_come_through_model_and_prompt_as_well(twin: RunningTwin) -> None:
    assert _post(twin, _body("model", model="echo!status=418")).status_code == 418
    assert _post(twin, _body("prompt", "please twin:status=429 now")).status_code == 429


def test_scripted_faults_are_used_up_in_order_and_the_bill_can_be_reset() -> None:
    with running_twin() as twin, _client(twin) as client:
        script = {"faults": ["status=500", "", "status=429"]}
        assert client.post("/_twin/faults", json=script).json() == {"waiting": 3}
        statuses = [_post(twin, _body("x")).status_code for _ in range(4)]
        assert statuses == [500, 200, 429, 200]
        page = client.get("/_twin/calls", params={"tag": "x"}).json()
        assert [call["status"] for call in page["calls"]] == statuses
        assert (page["totals"]["completed"], page["totals"]["failed"]) == (2, 2)
        client.delete("/_twin/calls")
        page = client.get("/_twin/calls").json()
        assert (page["calls"], page["totals"]["calls"]) == ([], 0)


def test_waiting_faults_can_be_forgotten_and_bad_ones_are_refused() -> None:
    with running_twin() as twin, _client(twin) as client:
        assert client.post("/_twin/faults", json={"faults": ["bang"]}).status_code == 400
        assert client.post("/_twin/faults", content=b"{").status_code == 400
        client.post("/_twin/faults", json={"faults": ["status=500"]})
        client.delete("/_twin/faults")
        assert _post(twin, _body("x")).status_code == 200
        assert client.get("/_twin/health").status_code == 200
        assert client.get("/_twin/nothing").status_code == 404


@pytest.mark.parametrize(
    ("path", "headers", "query"),
    [
        ("/v1/chat/completions", {"authorization": "Bearer right"}, ""),
        ("/v1/messages", {"x-api-key": "right"}, ""),
        ("/v1beta/models/echo:generateContent", {"x-goog-api-key": "right"}, ""),
        ("/v1beta/models/echo:generateContent", {}, "key=right"),
    ],
)
def test_a_required_key_is_taken_from_each_formats_own_place(
    path: str, headers: dict[str, str], query: str
) -> None:
    def status(sent: dict[str, str], query: str) -> int:
        incoming = Incoming("POST", path, sent, b"{}", query)
        return respond(incoming, Situation(0, "t", 0, key="right")).status

    assert status(headers, query) == 400  # past the key, at the body
    assert status(dict.fromkeys(headers, "Bearer wrong"), "key=wrong") == 401
    assert status({}, "") == 401


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", b'{"model":"echo","messages":[]}', b"null"]
)
@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/v1/messages",
        "/v1/embeddings",
        "/v1beta/models/echo:generateContent",
    ],
)
def test_a_bad_body_is_a_400_of_the_format(path: str, body: bytes) -> None:
    made = respond(Incoming("POST", path, {}, body), Situation(0, "t", 0))
    assert made.status == 400
    ((_, answer),) = made.chunks
    assert "message" in json.loads(answer)["error"]


def test_unknown_paths_and_methods_are_told_so(twin: RunningTwin) -> None:
    with _client(twin) as client:
        assert client.get("/v1/nothing").status_code == 404
        assert client.post("/v1/nothing").status_code == 404
        assert client.put("/v1/models").status_code == 405
        assert client.post("/v1beta/models/echo:fly", json={}).status_code == 404


def test_the_bill_is_bounded_and_its_totals_are_not() -> None:
    bill = Bill(kept_max=3)
    made = respond(
        Incoming("POST", "/v1/chat/completions", {}, json.dumps(_body("x")).encode()),
        Situation(0, "t", 0),
    )
    for number in range(10):
        bill.close(bill.open(number, made), CallState.COMPLETED)
    page = bill.page()
    assert [call.number for call in page.calls] == [7, 8, 9]
    assert (page.totals.completed, page.dropped) == (10, 7)
    assert page.totals.completion_tokens == 40
