"""The caller's side of a call: bounded bodies, streams that are kept alive, hang-ups that are noticed."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.core.errors import PayloadTooLarge, RequestInvalid
from fairlead.gateway.caller_side import CallerSide, header_lines
from fairlead.testing.caller_line import Reader
from fairlead.testing.server import Echo, ServerInMemory, request, served, served_by

EVENT_STREAM = b"content-type: text/event-stream\r\n"


def test_a_body_in_pieces_is_joined() -> None:
    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        data = request(b"one two three")
        for start in range(0, len(data), 7):
            line.send(data[start : start + 7])
            await asyncio.sleep(1)
        await line.is_over.wait()
        assert line.answer.body == b"one two three"

    served(Echo(), scenario)


def test_a_caller_who_asks_first_is_told_to_go_on_once() -> None:
    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(
            b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"
        )
        await asyncio.sleep(1)
        assert line.continues_count == 1
        line.send(b"bo")
        await asyncio.sleep(1)
        line.send(b"dy")
        await asyncio.sleep(1)
        assert line.continues_count == 1
        assert line.answer.body == b"body"

    served(Echo(), scenario)


@pytest.mark.parametrize(
    "data",
    [
        request(b"x" * 11),
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n6\r\nxxxxxx\r\n5\r\nxxxxx\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\n",
    ],
    ids=["whole", "in chunks", "announced"],
)
def test_a_body_over_the_limit_is_refused(data: bytes) -> None:
    refused: list[str] = []

    async def app(side: CallerSide) -> None:
        with pytest.raises(PayloadTooLarge) as failure:
            await side.body(10)
        refused.append(str(failure.value))
        side.answer(413, b"", b"")

    line = served_by(app, data)
    assert ["10 bytes" in words for words in refused] == [True]
    assert line.answer.status == 413


def test_a_body_in_a_content_coding_is_refused() -> None:
    async def app(side: CallerSide) -> None:
        with pytest.raises(RequestInvalid, match="content-encoding"):
            await side.body(10)
        side.answer(400, b"", b"")

    assert served_by(app, request(b"", "content-encoding: gzip")).answer.status == 400


def test_who_leaves_before_the_body_is_whole_ends_the_call() -> None:
    left: list[bool] = []

    async def app(side: CallerSide) -> None:
        try:
            await side.body(100)
        finally:
            left.append(side.has_left)

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request(b"body")[:-2])
        await asyncio.sleep(1)
        line.abort()
        await asyncio.sleep(1)
        assert left == [True]

    served(app, scenario)


def test_a_body_that_stops_arriving_is_given_up() -> None:
    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request(b"body")[:-2])
        await line.is_over.wait()
        assert 60 <= asyncio.get_running_loop().time() < 61
        assert not line.answer.is_complete

    served(Echo(), scenario, body_stall_s=60)


def test_a_silent_stream_is_kept_alive_and_the_head_is_sent_once() -> None:
    async def app(side: CallerSide) -> None:
        side.stream(EVENT_STREAM, keep_alive=b": wait\n\n")
        await asyncio.sleep(25)
        side.write(b"data: 1\n\n")
        await asyncio.sleep(9)
        side.end(b"data: 2\n\n")

    line = served_by(app, request(), keep_alive_s=10)
    assert line.answer.pieces == [
        (10, b": wait\n\n"), (20, b": wait\n\n"), (25, b"data: 1\n\n"), (34, b"data: 2\n\n"),
    ]  # fmt: skip
    assert line.received.count(b"HTTP/1.1 200") == 1


def test_nothing_is_sent_into_a_whole_answer_however_long_it_takes() -> None:
    async def app(side: CallerSide) -> None:
        await asyncio.sleep(1000)
        side.answer(200, b"", b"{}")

    assert served_by(app, request(), keep_alive_s=10).answer.pieces == [(1000, b"{}")]


def test_a_hang_up_cancels_the_serving_task_at_once() -> None:
    noticed_s: list[float] = []

    async def app(side: CallerSide) -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            assert side.has_left
            noticed_s.append(asyncio.get_running_loop().time())

    async def scenario(server: ServerInMemory) -> None:
        line = server.line(Reader(leaves_after_s=5))
        line.send(request())
        await line.leave_in_time()
        await line.is_over.wait()

    served(app, scenario)
    assert noticed_s == [5]


def test_a_hang_up_after_the_answer_disturbs_nobody() -> None:
    done: list[bool] = []

    async def app(side: CallerSide) -> None:
        side.answer(200, b"", b"{}")
        await asyncio.sleep(10)
        done.append(not side.has_left)

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request())
        await line.is_over.wait()
        line.abort()
        await asyncio.sleep(20)

    served(app, scenario)
    assert done == [True]


def test_a_caller_who_takes_nothing_is_taken_for_gone() -> None:
    ended_s: list[float] = []

    async def app(side: CallerSide) -> None:
        side.stream(EVENT_STREAM, keep_alive=b":\n\n")
        side.write(b"data: 1\n\n")
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            ended_s.append(asyncio.get_running_loop().time())

    async def scenario(server: ServerInMemory) -> None:
        line = server.line(Reader(pause_s=10_000))
        line.send(request())
        await line.is_over.wait()

    served(app, scenario, stall_s=60)
    assert ended_s == [60]


def test_a_caller_who_takes_little_but_steadily_is_not() -> None:
    async def app(side: CallerSide) -> None:
        side.stream(EVENT_STREAM)
        for number in range(20):
            side.write(b"data: %d\n\n" % number)
            await asyncio.sleep(1)
        side.end()

    async def scenario(server: ServerInMemory) -> None:
        line = server.line(Reader(pause_s=50))
        line.send(request())
        await line.is_over.wait()
        assert line.answer.is_complete
        assert asyncio.get_running_loop().time() > 900

    served(app, scenario, stall_s=60)


def test_who_asks_is_told_of_congestion_and_of_its_end() -> None:
    told: list[str] = []

    async def app(side: CallerSide) -> None:
        side.stream(EVENT_STREAM)
        side.when_congested(lambda: told.append("full"), lambda: told.append("taken"))
        side.write(b"data: 1\n\n")
        await asyncio.sleep(1)
        assert told == ["full"]
        await asyncio.sleep(5)
        assert told == ["full", "taken"]
        side.write(b"data: 2\n\n")
        await asyncio.sleep(1)
        await side.relief()
        assert not side.is_congested
        assert told == ["full", "taken", "full"], "who waits for relief himself is not told as well"
        side.end()

    async def scenario(server: ServerInMemory) -> None:
        line = server.line(Reader(pause_s=5))
        line.send(request())
        await line.is_over.wait()

    served(app, scenario)


def test_a_comment_never_keeps_a_slow_caller_from_what_he_waits_for() -> None:
    """He takes one piece in the very time after which a silent stream gets a comment."""

    async def app(side: CallerSide) -> None:
        side.stream(EVENT_STREAM, keep_alive=b":\n\n")
        for number in range(5):
            side.write(b"data: %d\n\n" % number)
            await asyncio.sleep(0.1)
            await side.relief()
        side.end()

    async def scenario(server: ServerInMemory) -> None:
        line = server.line(Reader(pause_s=10))
        line.send(request())
        await line.is_over.wait()
        assert [piece for _, piece in line.answer.pieces] == [
            b"data: %d\n\n" % number for number in range(5)
        ]

    served(app, scenario, keep_alive_s=10)


def test_an_answer_says_its_length_its_date_and_what_it_is() -> None:
    line = served_by(Echo(), request(b"hello"))
    assert line.received == (
        b"HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
        b"content-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"
    )


def test_a_head_is_answered_without_a_body() -> None:
    async def app(side: CallerSide) -> None:
        side.answer(200, b"", b"hello")

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request(method="HEAD"))
        await asyncio.sleep(1)
        assert line.received.endswith(b"content-length: 5\r\n\r\n")

    served(app, scenario)


def test_an_answer_that_has_no_content_announces_none() -> None:
    async def app(side: CallerSide) -> None:
        side.answer(204, b"", b"")

    assert b"content-length" not in served_by(app, request()).received


def test_a_stream_to_an_old_client_ends_with_the_connection() -> None:
    async def app(side: CallerSide) -> None:
        side.stream(EVENT_STREAM)
        side.write(b"data: 1\n\n")
        side.end(b"data: 2\n\n")

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        await asyncio.sleep(1)
        assert line.received.endswith(b"\r\n\r\ndata: 1\n\ndata: 2\n\n")
        assert b"chunked" not in line.received
        assert line.is_closing()

    served(app, scenario)


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"a\0b"])
def test_a_header_cannot_smuggle_another(value: bytes) -> None:
    with pytest.raises(ValueError, match="header holds"):
        header_lines([(b"x", value)])


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/a%20b/c?d=e&f=%20", "/a b/c", b"d=e&f=%20"),
        ("http://host:80/x?y", "/x", b"y"),
        ("http://host", "/", b""),
        ("/%ff", "/\N{REPLACEMENT CHARACTER}", b""),
        ("*", "*", b""),
    ],
)
def test_a_target_is_a_path_and_a_query(target: str, path: str, query: bytes) -> None:
    echo = Echo()
    served_by(echo, request(target=target, method="GET"))
    assert [(seen.path, seen.query) for seen in echo.seen] == [(path, query)]


def test_an_old_client_is_not_told_to_go_on() -> None:
    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(b"POST / HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        await asyncio.sleep(1)
        assert line.received == b""
        line.send(b"body")
        await asyncio.sleep(1)
        assert line.answer.body == b"body"

    served(Echo(), scenario)


def test_nobody_is_told_to_go_on_in_the_middle_of_an_answer() -> None:
    async def app(side: CallerSide) -> None:
        side.stream(EVENT_STREAM)
        side.write(b"data: 1\n\n")
        side.write(b"data: %b\n\n" % await side.body(100))
        side.end()

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(
            b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"
        )
        await asyncio.sleep(1)
        line.send(b"body")
        await asyncio.sleep(1)
        assert line.continues_count == 0
        assert line.answer.body == b"data: 1\n\ndata: body\n\n"

    served(app, scenario)


def test_who_was_answered_early_sends_the_rest_to_nobody() -> None:
    """A task that waits for it must not wait for ever."""
    ended: list[str] = []

    async def app(side: CallerSide) -> None:
        async def rest() -> None:
            with pytest.raises(RequestInvalid):
                await side.body(100)
            ended.append("waiting")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(rest())
            await asyncio.sleep(1)
            side.answer(200, b"", b"early")
        with pytest.raises(RequestInvalid):
            await side.body(100)
        ended.append("asking")

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request(b"body")[:-2])
        await asyncio.sleep(2)
        assert ended == ["waiting", "asking"]

    served(app, scenario)


def test_what_is_written_for_one_who_has_left_goes_nowhere() -> None:
    async def app(side: CallerSide) -> None:
        try:
            await side.body(100)
        except asyncio.CancelledError:
            side.answer(200, b"", b"too late")

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")
        await asyncio.sleep(1)
        assert line.has_been_shut
        assert b"too late" not in line.received
        assert [answer.status for answer in line.answers] == [400]

    served(app, scenario)


def test_a_stream_without_content_has_none_whatever_is_written() -> None:
    async def app(side: CallerSide) -> None:
        side.stream(b"", status=204)
        side.write(b"smuggled")
        side.end(b"smuggled")

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request())
        await asyncio.sleep(1)
        assert b"smuggled" not in line.received
        assert b"chunked" not in line.received

    served(app, scenario)


def test_relief_that_ends_in_congestion_does_not_let_more_be_written() -> None:
    """A comment for a silent stream must not undo the pause that it causes."""
    told: list[str] = []

    async def app(side: CallerSide) -> None:
        side.stream(EVENT_STREAM, keep_alive=b": wait\n\n")
        side.when_congested(lambda: told.append("full"), lambda: told.append("taken"))
        side.write(b"data: 1\n\n")
        await asyncio.sleep(100)
        side.end()

    async def scenario(server: ServerInMemory) -> None:
        line = server.line(Reader(pause_s=15))
        line.send(request())
        await asyncio.sleep(17)
        assert told == ["full", "taken"]
        await asyncio.sleep(9)
        assert told == ["full", "taken", "full"]

    served(app, scenario, keep_alive_s=10)
