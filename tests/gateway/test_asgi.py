"""An ASGI app on our server: what a framework is told, and what becomes of what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from fairlead.gateway.server.asgi import asgi
from fairlead.testing.server import ServerInMemory, request, served, served_by

Message = MutableMapping[str, Any]


async def echo(asked: Request) -> Response:
    body = await asked.body()
    return JSONResponse(
        {
            "method": asked.method,
            "path": asked.url.path,
            "query": dict(asked.query_params),
            "cookies": asked.cookies,
            "body": body.decode(),
        }
    )


async def counted(_: Request) -> Response:
    async def numbers() -> Any:
        for number in range(3):
            yield f"{number}\n"

    return StreamingResponse(numbers(), media_type="text/plain")


async def broken(_: Request) -> Response:
    raise RuntimeError("a secret in a message")


async def two_cookies(_: Request) -> Response:
    answer = PlainTextResponse("x")
    answer.set_cookie("a", "1")
    answer.set_cookie("b", "2")
    return answer


METHODS = ["GET", "POST"]
SITE = asgi(
    Starlette(
        routes=[
            Route("/echo/{rest:path}", echo, methods=METHODS),
            Route("/counted", counted),
            Route("/broken", broken),
            Route("/cookies", two_cookies),
        ]
    )
)


def test_a_framework_sees_the_whole_request() -> None:
    line = served_by(SITE, request(b"hello", "cookie: c=d", target="/echo/a%20b?e=f%20g"))
    assert line.answer.json() == {
        "method": "POST", "path": "/echo/a b", "query": {"e": "f g"}, "cookies": {"c": "d"},
        "body": "hello",
    }  # fmt: skip


def test_a_large_request_body_comes_in_pieces_and_whole() -> None:
    line = served_by(SITE, request(b"x" * 2_000_000, target="/echo/"))
    assert len(line.answer.json()["body"]) == 2_000_000


def test_a_streamed_response_arrives_in_its_pieces() -> None:
    line = served_by(SITE, request(method="GET", target="/counted"))
    assert [piece for _, piece in line.answer.pieces] == [b"0\n", b"1\n", b"2\n"]
    assert line.answer.headers["transfer-encoding"] == "chunked"


def test_repeated_headers_stay_repeated() -> None:
    line = served_by(SITE, request(method="GET", target="/cookies"))
    assert line.received.count(b"set-cookie: ") == 2


def test_a_question_for_the_head_alone_gets_no_body() -> None:
    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request(method="HEAD", target="/cookies"))
        await asyncio.sleep(1)
        assert b"content-length: 1\r\n" in line.received
        assert line.received.endswith(b"\r\n\r\n")

    served(SITE, scenario)


@pytest.mark.usefixtures("caplog")
def test_a_mistake_in_the_app_is_an_answer_without_its_words() -> None:
    line = served_by(SITE, request(method="GET", target="/broken"))
    assert line.answer.status == 500
    assert b"secret" not in line.received


def test_a_response_that_breaks_off_breaks_the_connection() -> None:
    async def app(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("lost")

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request())
        await line.is_over.wait()
        assert line.answer.body == b"half"
        assert not line.answer.is_complete
        assert line.is_closing()

    served(asgi(app), scenario)


def test_an_app_is_told_when_its_caller_leaves() -> None:
    told: list[str] = []

    async def app(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        del scope
        told.append((await receive())["type"])
        told.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"to nobody"})

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request())
        await asyncio.sleep(5)
        line.abort()
        await asyncio.sleep(5)

    served(asgi(app), scenario)
    assert told == ["http.request", "http.disconnect"]


class Raw:
    """An app that sends just these messages."""

    def __init__(self, *messages: Message) -> None:
        self._messages = messages

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        del scope, receive
        for message in self._messages:
            await send(message)


def starts(*headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": 200, "headers": headers}


def says(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


@pytest.mark.parametrize("pieces", [[b"abc"], [b"abc", b"def"]], ids=["shorter", "longer"])
def test_a_response_that_is_not_as_long_as_it_says_breaks_the_connection(
    pieces: list[bytes],
) -> None:
    """Else the next answer would be taken for its rest, or its rest for the next answer."""
    app = Raw(
        starts((b"content-length", b"5")),
        *(says(piece, more=True) for piece in pieces),
        says(b"", more=False),
    )

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request() + request())
        await asyncio.sleep(1)
        assert line.received.count(b"HTTP/1.1") == 1
        assert b"def" not in line.received
        assert line.is_lost

    served(asgi(app), scenario)


def test_a_question_for_the_head_alone_may_be_told_a_length_without_a_body() -> None:
    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request(method="HEAD"))
        await asyncio.sleep(1)
        assert line.received.count(b"content-length:") == 1
        assert b"content-length: 5\r\n" in line.received

    served(asgi(Raw(starts((b"content-length", b"5")), says(b"", more=False))), scenario)


def test_how_a_message_ends_is_not_for_the_app_to_say() -> None:
    headers = starts((b"Transfer-Encoding", b"chunked"), (b"connection", b"close"))
    line = served_by(asgi(Raw(headers, says(b"a", more=True), says(b"b", more=False))), request())
    assert line.answer.body == b"ab"
    assert line.received.lower().count(b"transfer-encoding") == 1


def test_an_endless_stream_ends_when_its_caller_leaves(caplog: pytest.LogCaptureFixture) -> None:
    async def endless(_: Request) -> Response:
        async def ticks() -> Any:
            while True:
                yield "tick"
                await asyncio.sleep(1)

        return StreamingResponse(ticks())

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request(method="GET"))
        await asyncio.sleep(5)
        line.abort()
        await asyncio.sleep(5)
        assert not server.connections.tasks

    served(asgi(Starlette(routes=[Route("/", endless)])), scenario)
    assert caplog.records == [], "that a caller leaves is nobody's fault"


def test_an_app_that_answers_early_and_then_listens_is_told_that_it_is_over() -> None:
    told: list[str] = []

    async def app(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        del scope
        await send(starts())
        await send(says(b"early", more=False))
        told.append((await receive())["type"])

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        line.send(request(b"body")[:-2])
        await asyncio.sleep(1)
        assert told == ["http.disconnect"]

    served(asgi(app), scenario)
