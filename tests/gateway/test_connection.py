"""Requests on a connection: in their order, within their bounds, and never one that nobody sent."""

from __future__ import annotations

import asyncio
import gc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.gateway.caller_side import CallerSide
from fairlead.gateway.server.connection import FIELDS_MAX, PIPELINED_MAX, CallerConnection
from fairlead.testing.caller_line import Reader
from fairlead.testing.server import Echo, ServerInMemory, request, served, served_by

CHUNKED = (
    b"POST /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
)
UPGRADING = (
    b"POST /u HTTP/1.1\r\nhost: a\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n"
    b"http2-settings: AAEA\r\ncontent-length: 4\r\n\r\nbody"
)


def test_requests_that_are_sent_ahead_are_answered_one_by_one_in_their_order() -> None:
    busy: list[str] = []

    async def app(side: CallerSide) -> None:
        assert not busy, "one at a time"
        busy.append(side.path)
        await asyncio.sleep(3)
        busy.clear()
        side.answer(200, b"", side.path.encode())

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(b"".join(request(target=f"/{number}") for number in range(5)))
        await asyncio.sleep(20)
        assert [answer.body for answer in line.answers] == [b"/0", b"/1", b"/2", b"/3", b"/4"]
        line.send(request(target="/later"))
        await asyncio.sleep(10)
        assert line.answers[-1].body == b"/later"

    served(app, scenario)


def test_more_than_may_wait_are_left_to_another_connection() -> None:
    async def app(side: CallerSide) -> None:
        await asyncio.sleep(1)
        side.answer(200, b"", b"")

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request() * (PIPELINED_MAX + 20))
        await asyncio.sleep(1000)
        assert len(line.answers) == PIPELINED_MAX + 1
        assert line.answers[-1].headers["connection"] == "close"
        assert line.is_closing()

    served(app, scenario)


@pytest.mark.parametrize(
    "data",
    [
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, gzip\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\nhost: a\ncontent-length: 3\n\nabc",
        b"GET / HTTP/1.1\r\nhost: a\r\n folded: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nx: a\x00b\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"POST / HTTP/1.0\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\ncontent-length: 3\r\n\r\n",
    ],
)
def test_what_two_servers_could_read_in_two_ways_is_refused_and_nothing_after_it_is_served(
    data: bytes,
) -> None:
    echo = Echo()

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(data + request(b"smuggled", target="/admin"))
        await asyncio.sleep(10)
        assert [answer.status for answer in line.answers] == [400]
        assert line.answer.headers["connection"] == "close"
        assert line.answer.json()["error"]["metadata"] == {"error_type": "invalid_request"}
        assert line.is_closing()

    served(echo, scenario)
    assert echo.seen == []


def test_garbage_behind_a_good_request_does_not_take_its_answer_away() -> None:
    async def app(side: CallerSide) -> None:
        await asyncio.sleep(5)
        side.answer(200, b"", b"good")

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request() + b"\x00garbage\r\n\r\n")
        await asyncio.sleep(10)
        assert [answer.body for answer in line.answers] == [b"good"]
        assert line.answer.headers["connection"] == "close"

    served(app, scenario)


def test_a_broken_chunk_ends_the_call_that_waits_for_it() -> None:
    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await asyncio.sleep(1)
        line.send(b"zz\r\n")
        await asyncio.sleep(5)
        assert line.answer.status == 400
        assert line.is_closing()

    served(Echo(), scenario)


def test_an_offer_of_another_protocol_is_passed_over_with_its_body_intact() -> None:
    """Some clients offer HTTP/2 with every request; the parser would end theirs before its body."""
    echo = Echo()

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(UPGRADING + request(b"next", target="/n") + UPGRADING)
        await asyncio.sleep(1)
        assert [answer.body for answer in line.answers] == [b"body", b"next", b"body"]
        line.send(
            b"GET /g HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        )
        await asyncio.sleep(1)
        assert line.answers[-1].status == 200
        assert len(line.answers) == 4

    served(echo, scenario)


WHOLE = UPGRADING + request(b"x" * 50, target="/a?b") + CHUNKED + request(method="GET") + UPGRADING


@given(cuts=st.lists(st.integers(1, len(WHOLE) - 1), max_size=12))
def test_however_the_bytes_are_cut_the_requests_are_the_same(cuts: list[int]) -> None:
    def seen(edges: list[int]) -> list[object]:
        echo = Echo()

        async def scenario(server: ServerInMemory) -> None:
            line = server.line()
            for start, end in zip([0, *edges], [*edges, len(WHOLE)], strict=True):
                line.send(WHOLE[start:end])
                await asyncio.sleep(0)
            await asyncio.sleep(1)
            assert all(answer.is_complete for answer in line.answers)

        served(echo, scenario)
        return list(echo.seen)

    assert seen(sorted(set(cuts))) == seen([])


@given(data=st.binary(max_size=300))
def test_arbitrary_bytes_never_escape_as_an_exception(data: bytes) -> None:
    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(data)
        line.send(request())
        await asyncio.sleep(1)

    served(Echo(), scenario)


def test_a_body_that_nobody_waits_for_is_not_read_ahead_without_end() -> None:
    async def app(side: CallerSide) -> None:
        await asyncio.sleep(10)
        side.answer(200, b"", b"%d" % len(await side.body(1 << 24)))

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        data = request(b"x" * 3_000_000)
        sent = 0
        while sent < len(data):
            if line.is_read:
                line.send(data[sent : sent + 64 * 1024])
                sent += 64 * 1024
            await asyncio.sleep(0.01)
            if asyncio.get_running_loop().time() < 9:
                assert sent < 400_000
        await line.is_over.wait()
        assert line.answer.body == b"3000000"

    served(app, scenario)


def test_an_answer_before_the_end_of_its_request_ends_the_connection_once_it_was_read() -> None:
    async def app(side: CallerSide) -> None:
        side.answer(413, b"", b"too much")

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request(b"x" * 100)[:-50])
        await asyncio.sleep(0.1)
        assert line.answer.headers["connection"] == "close"
        assert line.has_been_shut
        assert not line.is_closing()
        line.send(b"x" * 50 + request(target="/smuggled"))
        await asyncio.sleep(5)
        assert line.is_closing()
        assert len(line.answers) == 1

    served(app, scenario, linger_s=2)


def test_an_idle_connection_is_closed_in_the_end() -> None:
    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request())
        await asyncio.sleep(70)
        assert not line.is_closing()
        line.send(request())
        await asyncio.sleep(70)
        assert not line.is_closing()
        await asyncio.sleep(10)
        assert line.is_closing()

    served(Echo(), scenario, idle_s=75)


def test_a_head_that_drips_is_given_up() -> None:
    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        for _ in range(29):
            line.send(b"G" if not line.received else b"x")
            await asyncio.sleep(1)
            if line.is_closing():
                break
        drip = server.line()
        drip.send(b"GET / HTTP/1.1\r\n")
        began_s = asyncio.get_running_loop().time()
        while not drip.is_closing():
            drip.send(b"x: y\r\n")
            await asyncio.sleep(1)
        assert asyncio.get_running_loop().time() - began_s <= 31

    served(Echo(), scenario, head_s=30)


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_head_over_the_limit_is_refused_to_the_byte(pieces: int) -> None:
    def status(filler: int) -> int:
        head = b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * filler + b"\r\n\r\n"

        async def scenario(server: ServerInMemory) -> None:
            line = server.line()
            size = len(head) // pieces + 1
            for start in range(0, len(head), size):
                line.send(head[start : start + size])
            line.send(b"")
            await asyncio.sleep(1)
            found.append(line.answer.status)

        found: list[int] = []
        served(Echo(), scenario, head_bytes_max=1000)
        return found[0]

    assert status(900) == 200
    assert status(1000) == 431


def test_a_large_body_in_the_same_piece_does_not_count_as_head() -> None:
    line = served_by(Echo(), request(b"x" * 5000), head_bytes_max=1000)
    assert line.answer.status == 200


def test_a_draining_server_closes_each_connection_after_its_answer() -> None:
    async def app(side: CallerSide) -> None:
        await asyncio.sleep(5)
        side.answer(200, b"", b"done")

    async def scenario(server: ServerInMemory) -> None:
        idle, busy = server.line(), server.line()
        busy.send(request() * 2)
        await asyncio.sleep(1)
        server.connections.is_draining = True
        for connection in list(server.connections.open):
            connection.drain()
        await asyncio.sleep(0)
        assert idle.is_closing()
        await asyncio.sleep(20)
        assert [answer.body for answer in busy.answers] == [b"done"]
        assert busy.answer.headers["connection"] == "close"
        assert busy.is_closing()

    served(app, scenario)


@pytest.mark.parametrize("line", [b"GET / HTTP/2.0", b"GET / HTTP/0.9", b"GET /"])
def test_another_version_of_http_is_not_spoken(line: bytes) -> None:
    assert served_by(Echo(), line + b"\r\n\r\n").answer.status == 505


def test_the_next_request_is_read_however_quickly_a_large_body_came() -> None:
    """A body that is whole before anybody asks for it must not leave the socket unread."""

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        data = request(b"x" * 400_000)
        line.send(data[:200_000])
        line.send(data[200_000:])
        await asyncio.sleep(1)
        assert len(line.answer.body) == 400_000
        assert line.is_read

    served(Echo(), scenario)


def test_a_body_that_stops_arriving_behind_another_request_is_given_up() -> None:
    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request(b"one") + request(b"two")[:-2])
        await asyncio.sleep(61)
        assert line.is_lost

    served(Echo(), scenario, body_stall_s=60)


def test_a_body_that_stops_arriving_after_a_pause_of_its_reader_is_given_up() -> None:
    """The time for the next piece of a body runs on after the caller was slow to take an answer."""

    async def app(side: CallerSide) -> None:
        side.stream(b"")
        side.write(b"so far")
        await side.relief()
        await side.body(100)

    async def scenario(server: ServerInMemory) -> None:
        line = server.line(Reader(pause_s=10))
        line.send(request(b"body")[:-2])
        await asyncio.sleep(75)
        assert line.is_lost

    served(app, scenario, body_stall_s=60)


def test_a_caller_is_not_given_up_while_it_is_we_who_do_not_read() -> None:
    async def app(side: CallerSide) -> None:
        await asyncio.sleep(200)
        side.answer(200, b"", b"%d" % len(await side.body(1 << 24)))

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        data = request(b"x" * 400_000)
        line.send(data[:300_000])
        assert not line.is_read
        await asyncio.sleep(201)
        line.send(data[300_000:])
        await asyncio.sleep(1)
        assert line.answer.body == b"400000"

    served(app, scenario, body_stall_s=60)


@pytest.mark.parametrize(
    "endless", [b"0\r\nx: " + b"y" * 5000, b"1;x=" + b"y" * 5000], ids=["trailer", "extension"]
)
def test_what_comes_without_a_body_is_bounded_as_a_head_is(endless: bytes) -> None:
    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + endless)
        line.send(b"y" * 5000)
        await asyncio.sleep(1)
        assert line.answer.status == 431

    served(Echo(), scenario, head_bytes_max=4096)


def test_a_head_that_follows_a_large_body_is_not_taken_for_large() -> None:
    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        following = request(b"two")
        line.send(request(b"x" * 5000) + following[:30])
        line.send(following[30:])
        await asyncio.sleep(1)
        assert [answer.status for answer in line.answers] == [200, 200]
        line.send(request() + request(b"", "x: " + "y" * 5000))
        await asyncio.sleep(5)
        assert [answer.status for answer in line.answers] == [200, 200, 200]
        assert line.is_lost, "what is too large is so behind another request, too"

    served(Echo(), scenario, head_bytes_max=4096)


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_head_of_very_many_headers_is_refused(is_whole: bool) -> None:
    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(b"GET / HTTP/1.1\r\n" + b"a:\r\n" * (FIELDS_MAX + 2) + b"\r\n" * is_whole)
        await asyncio.sleep(1)
        assert line.answer.status == 431

    served(Echo(), scenario)


def test_who_asks_again_and_again_and_takes_no_answer_does_not_fill_our_memory() -> None:
    answered: list[str] = []

    async def app(side: CallerSide) -> None:
        answered.append(side.path)
        side.answer(200, b"", b"x" * 100_000)

    async def scenario(server: ServerInMemory) -> None:
        line = server.line(Reader(pause_s=50))
        for _ in range(50):
            if line.is_read:
                line.send(request() * 3)
            await asyncio.sleep(0)
        assert len(answered) == 1
        await asyncio.sleep(200)
        assert len(answered) == 3, "those that wait are served when he has taken the one before"
        assert line.get_write_buffer_size() < 300_000

    served(app, scenario)


@pytest.mark.parametrize("ending", ["close", "idle", "drain", "half-closed"])
def test_a_last_answer_that_nobody_takes_is_given_up(ending: str) -> None:
    """Also one so short that it fits the buffers, and so never counts as congestion."""

    async def scenario(server: ServerInMemory) -> None:
        line = server.line(Reader(pause_s=10_000, unread_bytes=1 << 20))
        line.send(
            request(b"hello", f"connection: {'close' if ending == 'close' else 'keep-alive'}")
        )
        await asyncio.sleep(1)
        if ending == "drain":
            line.connection.drain()
        elif ending == "half-closed":
            line.half_close()
        await asyncio.sleep(75 + 60)
        assert line.is_lost

    served(Echo(), scenario, idle_s=75, stall_s=60)


def test_who_stops_sending_before_his_answer_is_taken_for_gone() -> None:
    left: list[bool] = []

    async def app(side: CallerSide) -> None:
        side.stream(b"")
        side.write(b"x" * 100)
        try:
            await asyncio.sleep(1000)
        finally:
            left.append(side.has_left)

    async def scenario(server: ServerInMemory) -> None:
        line = server.line(Reader(pause_s=20, unread_bytes=1 << 20))
        line.send(request())
        await asyncio.sleep(1)
        line.half_close()
        await asyncio.sleep(1)
        assert left == [True], "at once, although what was written is not taken yet"
        await asyncio.sleep(20)
        assert len(line.answer.body) == 100

    served(app, scenario)


@pytest.mark.parametrize("has_started", [True, False])
def test_a_call_that_ends_without_an_answer_breaks_its_connection(has_started: bool) -> None:
    async def app(side: CallerSide) -> None:
        if has_started:
            side.stream(b"", keep_alive=b":\n\n")
            side.write(b"data: 1\n\n")
        raise ZeroDivisionError

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request())
        await asyncio.sleep(1)
        assert line.is_lost
        assert not line.answer.is_complete

    served(app, scenario)


def test_a_connection_that_comes_while_we_stop_or_have_too_many_is_closed() -> None:
    async def scenario(server: ServerInMemory) -> None:
        lines = [server.line() for _ in range(3)]
        await asyncio.sleep(1)
        assert [line.is_lost for line in lines] == [False, False, True]
        lines[0].abort()
        await asyncio.sleep(1)
        server.connections.is_draining = True
        late = server.line()
        await asyncio.sleep(1)
        assert late.is_lost

    served(Echo(), scenario, connections_max=2)


def test_a_stream_that_begins_while_we_stop_says_that_it_is_the_last() -> None:
    async def app(side: CallerSide) -> None:
        side.stream(b"")
        await asyncio.sleep(5)
        side.end(b"x")

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request())
        await asyncio.sleep(1)
        server.connections.is_draining = True
        await asyncio.sleep(5)
        assert line.answer.headers["connection"] == "close"
        assert line.is_lost

    served(app, scenario)


def connections_in_memory() -> list[CallerConnection]:
    return [found for found in gc.get_objects() if isinstance(found, CallerConnection)]


def test_a_connection_that_is_gone_leaves_nothing_to_the_garbage_collector() -> None:
    async def scenario(server: ServerInMemory) -> None:
        gc.collect()
        gc.disable()
        others = connections_in_memory()  # of tests before this one, in the same process
        try:
            for data in (request(b"x"), request(b"x")[:-1], b"GET / HT", b"hello\r\n\r\n"):
                line = server.line()
                line.send(data)
                await asyncio.sleep(5)
                line.abort()
                await asyncio.sleep(5)
                line.connection = None  # type: ignore[assignment] # the line's own hold on it
                del line
                await asyncio.sleep(5)
                assert [left for left in connections_in_memory() if left not in others] == []
        finally:
            gc.enable()

    served(Echo(), scenario)


PIECES = st.sampled_from(
    [
        request(b"ab"),
        request(b"ab")[:-1],
        request(b"x" * 300_000),
        b"GET /stream HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /early HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n",
        b"GET /raise HTTP/1.0\r\n\r\n",
        b"GET / HT",
        CHUNKED,
        CHUNKED[:-6],
        UPGRADING,
        b"\r\n",
        b"\x00",
    ]
)


@settings(max_examples=200)
@given(
    moves=st.lists(st.tuples(PIECES, st.sampled_from([0.0, 0.5, 3.0, 100.0])), max_size=8),
    ending=st.sampled_from(["nothing", "half-closes", "we drain"]),
    reader=st.builds(
        Reader,
        pause_s=st.sampled_from([0.0, 2.0, 1000.0]),
        unread_bytes=st.sampled_from([0, 100, 1 << 20]),
    ),
)
def test_whatever_a_caller_does_his_connection_ends(
    moves: list[tuple[bytes, float]], ending: str, reader: Reader
) -> None:
    """No state waits for ever, and none of our own faults is a caller's to cause."""

    async def app(side: CallerSide) -> None:
        if side.path == "/raise":
            raise ZeroDivisionError
        if side.path == "/early":
            side.answer(413, b"", b"too much")
        elif side.path == "/stream":
            side.stream(b"", keep_alive=b":\n\n")
            for _ in range(3):
                side.write(b"data: 1\n\n")
                await side.relief()
                await asyncio.sleep(15)
            side.end()
        else:
            side.answer(200, b"", await side.body(1 << 20))

    async def scenario(server: ServerInMemory) -> None:
        line = server.line(reader)
        for data, pause_s in moves:
            if line.is_read and not line.is_closing():
                line.send(data)
            await asyncio.sleep(pause_s)
        if ending == "half-closes":
            line.half_close()
        elif ending == "we drain":
            server.connections.is_draining = True
            line.connection.drain()
        await asyncio.sleep(3000)
        assert line.is_lost
        assert not server.connections.tasks

    served(app, scenario)
