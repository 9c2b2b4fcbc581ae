"""The contract of `UpstreamClient`, for every implementation and on both event loops.

Each test scripts the upstream byte by byte; nothing here knows how a client works inside, except the few
tests at the end that say so.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import os
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest
import trustme
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.gateway.http.answer import Answer
from fairlead.gateway.upstream import Exchange, Limits, Phase, TransportFailure, UpstreamClient
from fairlead.gateway.upstream_aiohttp import AiohttpUpstreamClient
from fairlead.gateway.upstream_native import NativeUpstreamClient
from fairlead.providers.base import UpstreamRequest
from fairlead.testing.upstream_socket import Peer, Script, ScriptedUpstream, scripted_upstream

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(30)]

BODY_BYTES_MAX = 64 * 1024 * 1024
PATIENCE_S = 20.0
SOON_S = 0.2
ROOTS_READ_S = 1.0  # the first TLS connection first reads the system's roots

ClientType = type[NativeUpstreamClient] | type[AiohttpUpstreamClient]
CLIENT_TYPES = [
    pytest.param(NativeUpstreamClient, id="native"),
    pytest.param(AiohttpUpstreamClient, id="aiohttp"),
]


@pytest.fixture(
    scope="session", params=[pytest.param(False, id="asyncio"), pytest.param(True, id="uvloop")]
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture(params=CLIENT_TYPES)
def client_type(request: pytest.FixtureRequest) -> ClientType:
    return request.param


@asynccontextmanager
async def serving(
    script: Script, client_type: ClientType, limits: Limits | None = None, **options: object
) -> AsyncIterator[tuple[ScriptedUpstream, UpstreamClient]]:
    async with scripted_upstream(script) as server:
        client = client_type(limits, **options)
        try:
            yield server, client
        finally:
            await client.aclose()


def post(
    url: str, body: bytes = b"{}", *, headers: tuple[tuple[str, str], ...] = ()
) -> UpstreamRequest:
    return UpstreamRequest("POST", url, headers, body)


def in_s(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def send(client: UpstreamClient, url: str, body: bytes = b"{}") -> Exchange:
    return await client.send(post(url, body), expire_at_s=in_s(PATIENCE_S))


async def ask(client: UpstreamClient, url: str, body: bytes = b"{}") -> tuple[int, bytes]:
    exchange = await send(client, url, body)
    answer = await exchange.read_all(BODY_BYTES_MAX)
    exchange.close()
    return exchange.status, answer


async def pieces_until_failure(exchange: Exchange) -> tuple[bytes, TransportFailure]:
    received = b""
    while True:
        try:
            piece = await exchange.read()
        except TransportFailure as failure:
            return received, failure
        assert piece, "the body ended as if it were whole"
        received += piece


async def failure_of(work: Awaitable[object]) -> TransportFailure:
    with pytest.raises(TransportFailure) as caught:
        await work
    return caught.value


def always(*pieces: bytes) -> Script:
    """Answer every request of every connection with these bytes, and keep the connection."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(*pieces)

    return script


def once(*pieces: bytes, abort: bool = False) -> Script:
    """Answer one request with these bytes, then close."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(*pieces)
        if abort:
            peer.abort()

    return script


async def echo(peer: Peer) -> None:
    while True:
        request = await peer.request()
        await peer.answer(request.body)


# ---- what an answer can look like ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", 200, b"hello", id="counted"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, b"", id="empty"),
        pytest.param(
            b"HTTP/1.1 429\r\ncontent-length: 2\r\n\r\nno", 429, b"no", id="without a reason"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;why=not\r\nlo\r\n0\r\n\r\n",
            200,
            b"hello",
            id="chunked",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
            200,
            b"hello",
            id="chunked with trailers",
        ),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", id="no content"),
        pytest.param(
            b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", 304, b"", id="not modified"
        ),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\ncontent-length: 9\r\n\r\n"
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            200,
            b"hello",
            id="after informational answers",
        ),
        pytest.param(
            b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
            307,
            b"",
            id="redirect is not followed",
        ),
    ],
)
async def test_answer_is_read_whole_and_its_connection_serves_the_next_request(
    client_type: ClientType, answer: bytes, status: int, body: bytes
) -> None:
    async with serving(always(answer), client_type) as (server, client):
        for _ in range(3):
            assert await ask(client, server.url) == (status, body)
        assert len(server.peers) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nhello", id="close-delimited"),
        pytest.param(b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", id="HTTP/1.0"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
            id="connection: close",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello!", id="a byte too many"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad",
            id="a second answer",
        ),
    ],
)
async def test_connection_that_cannot_be_trusted_any_more_is_not_used_again(
    client_type: ClientType, answer: bytes
) -> None:
    async with serving(once(answer), client_type) as (server, client):
        for _ in range(2):
            if client_type is AiohttpUpstreamClient and answer.endswith(b"!"):
                await failure_of(
                    ask(client, server.url)
                )  # it drops an answer that more bytes follow
            else:
                assert await ask(client, server.url) == (200, b"hello")
        assert len(server.peers) == 2


async def test_headers_are_found_by_lower_case_name_and_the_first_of_several_counts(
    client_type: ClientType,
) -> None:
    head = "X-Limit: 1\r\nx-limit: 2\r\nX-Empty:\r\nX-Latin: caf\xe9\r\n"

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"", headers=head)

    async with serving(script, client_type) as (server, client):
        exchange = await send(client, server.url)
        assert exchange.headers.get("x-limit") == "1"
        assert exchange.headers.get("x-empty") == ""
        assert exchange.headers.get("x-latin") == "caf\xe9"
        assert exchange.headers.get("x-other") is None
        assert ("x-limit", "2") in exchange.headers.items()
        exchange.close()


async def test_answer_to_head_has_no_body_whatever_it_announces(client_type: ClientType) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
    async with serving(always(answer), client_type) as (server, client):
        request = UpstreamRequest("HEAD", server.url, (), b"")
        exchange = await client.send(request, expire_at_s=in_s(PATIENCE_S))
        assert await exchange.read() == b""
        exchange.close()


# ---- what we send -------------------------------------------------------------------------------


async def test_request_arrives_as_given_with_only_the_headers_a_client_must_add(
    client_type: ClientType,
) -> None:
    received = []

    async def script(peer: Peer) -> None:
        while True:
            received.append(await peer.request())
            await peer.answer(b"ok")

    async with serving(script, client_type) as (server, client):
        headers = (
            ("authorization", "Bearer key"),
            ("content-type", "application/json"),
            ("x-a", "b: c"),
        )
        request = post(f"{server.url}/v1/chat%2Fx?q=a%20b&r=%7E", b"body \x00\xff", headers=headers)
        for _ in range(2):  # the second one may come from a cache
            exchange = await client.send(request, expire_at_s=in_s(PATIENCE_S))
            assert await exchange.read_all(10) == b"ok"
    for request in received:
        assert (request.method, request.target) == ("POST", "/v1/chat%2Fx?q=a%20b&r=%7E")
        assert request.body == b"body \x00\xff"
        assert request.headers == {
            "host": f"127.0.0.1:{server.port}",
            "authorization": "Bearer key",
            "content-type": "application/json",
            "x-a": "b: c",
            "accept-encoding": "identity",
            "content-length": "7",
        } | ({"accept": "*/*"} if client_type is AiohttpUpstreamClient else {})


async def test_get_without_body_announces_none(client_type: ClientType) -> None:
    received = []

    async def script(peer: Peer) -> None:
        received.append(await peer.request())
        await peer.answer(b"[]")

    async with serving(script, client_type) as (server, client):
        request = UpstreamRequest("GET", f"{server.url}/models", (), b"")
        exchange = await client.send(request, expire_at_s=in_s(PATIENCE_S))
        assert await exchange.read_all(10) == b"[]"
    assert "content-length" not in received[0].headers
    assert "transfer-encoding" not in received[0].headers


async def test_large_body_arrives_whole(client_type: ClientType) -> None:
    body = os.urandom(1024) * 3000
    async with serving(echo, client_type) as (server, client):
        assert await ask(client, server.url, body) == (200, body)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(
            post("http://127.0.0.1/", headers=(("x-a", "s3cret\r\nx-b: 1"),)), id="line break"
        ),
        pytest.param(
            post("http://127.0.0.1/", headers=(("x-a", "s3cret \u20ac"),)), id="not latin-1"
        ),
        pytest.param(
            post("http://127.0.0.1/", headers=(("x a", "s3cret"),)), id="name is not a token"
        ),
        pytest.param(
            post("http://127.0.0.1/", headers=(("Host", "s3cret"),)), id="header of our own"
        ),
        pytest.param(post("http://127.0.0.1/s3cret path"), id="space in the path"),
        pytest.param(post("http://user:s3cret@127.0.0.1/"), id="credentials in the URL"),
        pytest.param(post("http://127.0.0.1:s3cret/"), id="port is no number"),
        pytest.param(post("s3cret"), id="relative URL"),
        pytest.param(post("ftp://127.0.0.1/s3cret"), id="other scheme"),
        pytest.param(
            UpstreamRequest("PO ST", "http://127.0.0.1/", (), b""), id="method is not a token"
        ),
    ],
)
async def test_request_that_cannot_be_sent_fails_before_anything_is_touched(
    client_type: ClientType, request_: UpstreamRequest
) -> None:
    client = client_type()
    failure = await failure_of(client.send(request_, expire_at_s=in_s(PATIENCE_S)))
    assert failure.untouched
    assert "s3cret" not in str(failure)
    await client.aclose()


# ---- broken, ambiguous and hostile answers ------------------------------------------------------


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-le", id="half a head"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell", id="counted body cut"),
        pytest.param(CHUNKED + b"5\r\nhel", id="cut within a chunk"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n", id="cut between chunks"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n0\r\n", id="cut before the last line"),
        pytest.param(CHUNKED + b"5\r\nhelloXX0\r\n\r\n", id="chunk longer than it says"),
        pytest.param(CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n", id="chunk size is no number"),
        pytest.param(CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n", id="chunk size is negative"),
        pytest.param(
            CHUNKED + b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n", id="chunk size overflows"
        ),
        pytest.param(b"s3cret", id="garbage"),
        pytest.param(b"s3cret" * 20_000, id="a lot of garbage"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00s3cret", id="TLS"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
            id="two lengths",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello", id="list of lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello", id="negative length"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello", id="signed length"),
        pytest.param(
            CHUNKED.replace(b"tr", b"content-length: 5\r\ntr", 1) + b"5\r\nhello\r\n0\r\n\r\n",
            id="length and chunked",
        ),
        pytest.param(
            CHUNKED[:-2] + b"content-length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            id="chunked and length",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            id="coded and chunked",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\nhello", id="unknown coding"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nx-a: s3cret\x00\r\n\r\n", id="control character in a header"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nx a: s3cret\r\n\r\n", id="space in a header name"),
        pytest.param(b"HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n", id="status of two digits"),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\ns3cret",
            id="switched protocols",
        ),
    ],
)
async def test_broken_answer_is_a_failure_and_never_a_clean_end(
    client_type: ClientType, answer: bytes
) -> None:
    async with serving(once(answer), client_type) as (server, client):
        exchange: Exchange | None = None
        try:
            exchange = await send(client, server.url)
        except TransportFailure as caught:
            failure, received = caught, b""
        else:
            received, failure = await pieces_until_failure(exchange)
        assert failure.phase is Phase.READ
        assert not failure.timed_out
        assert not failure.untouched
        assert b"hello".startswith(received.removesuffix(b"XX"))
        assert f"127.0.0.1:{server.port}" in str(failure)
        assert "s3cret" not in str(failure)
        assert len(server.peers) == 1
        if exchange is not None:
            with pytest.raises(TransportFailure):
                await exchange.read()
            exchange.close()


async def test_reset_connection_is_a_failure(client_type: ClientType) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello")
        raw = peer.streams[1].get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        peer.abort()

    async with serving(script, client_type) as (server, client):
        exchange = await send(client, server.url)
        _, failure = await pieces_until_failure(exchange)
        assert failure.phase is Phase.READ


@pytest.mark.parametrize(
    "filler", [b"x-a: " + b"a" * 70 + b"\r\n", b"x-a: " + b"a" * 100_000 + b"\r\n"]
)
async def test_endless_head_is_refused(client_type: ClientType, filler: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await peer.send(filler * 50)

    async with serving(script, client_type, Limits(header_bytes_max=16 * 1024)) as (server, client):
        failure = await failure_of(send(client, server.url))
        assert failure.phase is Phase.READ


@pytest.mark.parametrize(("padding", "is_allowed"), [(900, True), (1100, False)])
async def test_head_may_be_as_long_as_the_limit_and_no_longer(
    client_type: ClientType, padding: int, is_allowed: bool
) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nx-a: "
        + b"a" * padding
        + b"\r\ncontent-length: 2000\r\n\r\n"
        + b"b" * 2000
    )
    async with serving(once(answer), client_type, Limits(header_bytes_max=1024)) as (
        server,
        client,
    ):
        if is_allowed:
            assert await ask(client, server.url) == (200, b"b" * 2000)
        else:
            failure = await failure_of(send(client, server.url))
            assert failure.phase is Phase.READ
            assert "1024" in str(failure) or client_type is AiohttpUpstreamClient


async def test_body_longer_than_the_reader_wants_is_a_failure(client_type: ClientType) -> None:
    async with serving(echo, client_type) as (server, client):
        exchange = await send(client, server.url, b"a" * 101)
        failure = await failure_of(exchange.read_all(100))
        assert failure.phase is Phase.READ
        exchange = await send(client, server.url, b"a" * 100)
        assert len(await exchange.read_all(100)) == 100


# ---- compressed although we did not ask ---------------------------------------------------------


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


CODERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", lambda data: gzip.compress(data[:5]) + gzip.compress(data[5:])),
    ("Deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("identity", bytes),
]


@pytest.mark.parametrize(("coding", "encode"), CODERS)
async def test_compressed_answer_is_decoded(
    client_type: ClientType, coding: str, encode: Callable[[bytes], bytes]
) -> None:
    text = b"hello, hello, hello" * 100
    coded = encode(text)
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {len(coded)}\r\n\r\n"
    pieces = [coded[i : i + 7] for i in range(0, len(coded), 7)]
    async with serving(always(head.encode(), *pieces), client_type) as (server, client):
        for _ in range(2):
            assert await ask(client, server.url) == (200, text)
        assert len(server.peers) == 1


@pytest.mark.parametrize(
    ("coding", "coded"),
    [
        pytest.param("gzip", gzip.compress(b"hello" * 100)[:-9], id="gzip cut"),
        pytest.param("deflate", zlib.compress(b"hello" * 100)[:-5], id="deflate cut"),
        pytest.param("deflate", zlib.compress(b"hello") + b"more", id="bytes after deflate"),
        pytest.param("gzip", b"hello", id="not gzip"),
        pytest.param("br", b"hello", id="unknown"),
        pytest.param("gzip, gzip", gzip.compress(gzip.compress(b"hello")), id="twice"),
    ],
)
async def test_compressed_answer_that_cannot_be_decoded_is_a_failure_but_its_status_is_known(
    client_type: ClientType, coding: str, coded: bytes
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(coded, status="503 Busy", headers=f"content-encoding: {coding}\r\n")

    async with serving(script, client_type) as (server, client):
        exchange = await send(client, server.url)
        assert exchange.status == 503
        _, failure = await pieces_until_failure(exchange)
        assert failure.phase is Phase.READ


async def test_empty_body_of_a_compressed_answer_is_empty(client_type: ClientType) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n\r\n"
    async with serving(always(answer), client_type) as (server, client):
        assert await ask(client, server.url) == (200, b"")


async def test_compression_bomb_is_handed_out_in_bounded_pieces(client_type: ClientType) -> None:
    bomb = gzip.compress(bytes(20_000_000))

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.answer(bomb, headers="content-encoding: gzip\r\n")

    limits = Limits(buffered_bytes_max=64 * 1024)
    async with serving(script, client_type, limits) as (server, client):
        exchange = await send(client, server.url)
        length = 0
        while piece := await exchange.read():
            assert len(piece) <= 64 * 1024
            length += len(piece)
        assert length == 20_000_000
        failure = await failure_of((await send(client, server.url)).read_all(1_000_000))
        assert failure.phase is Phase.READ


# ---- flow ---------------------------------------------------------------------------------------


async def test_slow_reader_pauses_its_own_upstream_and_nobody_else(client_type: ClientType) -> None:
    total = 64 * 1024 * 1024
    written = 0

    async def script(peer: Peer) -> None:
        nonlocal written
        request = await peer.request()
        if request.target != "/long":
            await peer.answer(b"short")
            return
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        while written < total:
            await peer.send(bytes(256 * 1024))
            written += 256 * 1024

    async with serving(script, client_type) as (server, client):
        exchange = await send(client, f"{server.url}/long")
        calm_turns, before = 0, -1
        while calm_turns < 500:
            calm_turns = calm_turns + 1 if written == before else 0
            before = written
            await asyncio.sleep(0)
        assert written < total
        assert await ask(client, f"{server.url}/short") == (200, b"short")
        assert written == before
        assert len(await exchange.read_all(total)) == total
        exchange.close()


async def test_early_answer_is_delivered_while_the_request_is_still_being_sent(
    client_type: ClientType,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.answer(b"too large", status="413 Content Too Large")
        await peer.gone()

    async with serving(script, client_type) as (server, client):
        for _ in range(2):
            assert await ask(client, server.url, bytes(16 * 1024 * 1024)) == (413, b"too large")
        assert len(server.peers) == 2
        await server.peers[0].is_gone.wait()


# ---- hanging up ---------------------------------------------------------------------------------


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


async def half_answer(peer: Peer) -> None:
    await peer.request()
    await peer.send(CHUNKED + b"5\r\nhello\r\n")
    await peer.gone()


async def test_cancelled_send_closes_the_connection(client_type: ClientType) -> None:
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()

    async with serving(script, client_type) as (server, client):
        task = asyncio.create_task(send(client, server.url))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.peers[0].is_gone.wait()


async def test_cancelled_read_closes_the_connection(client_type: ClientType) -> None:
    async with serving(half_answer, client_type) as (server, client):
        exchange = await send(client, server.url)
        assert await exchange.read() == b"hello"
        task = asyncio.create_task(exchange.read())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.peers[0].is_gone.wait()


async def test_closed_exchange_closes_the_connection_and_cannot_be_read(
    client_type: ClientType,
) -> None:
    async with serving(half_answer, client_type) as (server, client):
        exchange = await send(client, server.url)
        exchange.close()
        exchange.close()
        await server.peers[0].is_gone.wait()
        await failure_of(exchange.read())


# ---- deadlines ----------------------------------------------------------------------------------


async def test_upstream_that_stays_silent_fails_at_the_deadline_and_is_hung_up_on(
    client_type: ClientType,
) -> None:
    async with serving(silent, client_type) as (server, client):
        failure = await failure_of(client.send(post(server.url), expire_at_s=in_s(SOON_S)))
        assert failure.phase is Phase.FIRST_TOKEN
        assert failure.timed_out
        assert not failure.untouched
        await server.peers[0].is_gone.wait()


@pytest.mark.parametrize("phase", [Phase.BETWEEN_TOKENS, Phase.TOTAL])
async def test_stalled_body_fails_at_the_moved_deadline_with_its_phase(
    client_type: ClientType, phase: Phase
) -> None:
    async with serving(half_answer, client_type) as (server, client):
        exchange = await send(client, server.url)
        assert await exchange.read() == b"hello"
        exchange.expire_at(in_s(SOON_S), phase)
        failure = await failure_of(exchange.read())
        assert (failure.phase, failure.timed_out) == (phase, True)
        assert (await failure_of(exchange.read())).phase is phase
        await server.peers[0].is_gone.wait()


async def test_deadline_that_passed_while_nobody_read_fails_the_next_read(
    client_type: ClientType,
) -> None:
    async with serving(half_answer, client_type) as (server, client):
        exchange = await send(client, server.url)
        exchange.expire_at(in_s(SOON_S), Phase.BETWEEN_TOKENS)
        await server.peers[0].is_gone.wait()
        failure = await failure_of(exchange.read())
        assert (failure.phase, failure.timed_out) == (Phase.BETWEEN_TOKENS, True)


async def test_deadline_moved_later_does_not_strike_at_its_old_time(
    client_type: ClientType,
) -> None:
    struck = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"5\r\nhello\r\n")
        await struck.wait()
        await peer.send(b"0\r\n\r\n")

    async with serving(script, client_type) as (server, client):
        exchange = await client.send(post(server.url), expire_at_s=in_s(PATIENCE_S))
        assert await exchange.read() == b"hello"
        exchange.expire_at(in_s(SOON_S), Phase.BETWEEN_TOKENS)
        asyncio.get_running_loop().call_later(3 * SOON_S, struck.set)
        exchange.expire_at(in_s(PATIENCE_S), Phase.BETWEEN_TOKENS)
        assert await exchange.read() == b""


async def test_no_deadline_is_a_deadline_too(client_type: ClientType) -> None:
    async with serving(echo, client_type) as (server, client):
        exchange = await client.send(post(server.url, b"a"), expire_at_s=float("inf"))
        exchange.expire_at(float("inf"), Phase.TOTAL)
        assert await exchange.read_all(10) == b"a"


async def test_request_that_nobody_reads_fails_in_the_phase_of_sending(
    client_type: ClientType,
) -> None:
    never = asyncio.Event()

    async def script(peer: Peer) -> None:
        peer.streams[1].transport.pause_reading()
        await never.wait()

    async with serving(script, client_type) as (server, client):
        request = post(server.url, bytes(32 * 1024 * 1024))
        failure = await failure_of(client.send(request, expire_at_s=in_s(4 * SOON_S)))
        assert (failure.phase, failure.timed_out) == (Phase.SEND, True)


# ---- connecting ---------------------------------------------------------------------------------


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_refused_connection_has_touched_nothing(client_type: ClientType) -> None:
    client = client_type()
    port = unused_port()
    failure = await failure_of(send(client, f"http://127.0.0.1:{port}"))
    assert failure.phase is Phase.CONNECT
    assert failure.untouched
    assert not failure.timed_out
    assert f"127.0.0.1:{port}" in str(failure)
    await client.aclose()


@pytest.mark.parametrize("is_own_limit", [True, False])
async def test_connecting_that_takes_too_long_has_touched_nothing(
    client_type: ClientType, is_own_limit: bool
) -> None:
    """The peer accepts, but never answers the TLS handshake."""

    async def script(peer: Peer) -> None:
        await peer.gone()

    limits = Limits(connect_s=ROOTS_READ_S if is_own_limit else PATIENCE_S)
    async with serving(script, client_type, limits) as (server, client):
        request = post(server.url.replace("http:", "https:"))
        expire_at_s = in_s(PATIENCE_S if is_own_limit else ROOTS_READ_S)
        failure = await failure_of(client.send(request, expire_at_s=expire_at_s))
        assert failure.phase is Phase.CONNECT
        assert failure.timed_out
        assert failure.untouched
        await server.peers[0].is_gone.wait()


# ---- the pool -----------------------------------------------------------------------------------


async def test_answer_not_yet_read_survives_the_next_request_on_its_connection(
    client_type: ClientType,
) -> None:
    """The race that once lost answers: the connection is free before the reader has taken the body."""
    async with serving(echo, client_type) as (server, client):
        first = await send(client, server.url, b"first")
        await asyncio.sleep(0)
        second = await send(client, server.url, b"second")
        assert len(server.peers) == 1
        assert await second.read_all(10) == b"second"
        assert await first.read_all(10) == b"first"
        first.close()
        assert await ask(client, server.url, b"third") == (200, b"third")
        assert len(server.peers) == 1


async def test_many_callers_on_few_connections_each_get_their_own_answer(
    client_type: ClientType,
) -> None:
    async with serving(echo, client_type, Limits(connections_per_host_max=8)) as (server, client):

        async def caller(name: int) -> None:
            for turn in range(10):
                body = b"%d-%d" % (name, turn) * (1 + 997 * (name % 3))
                assert await ask(client, server.url, body) == (200, body)

        async with asyncio.TaskGroup() as group:
            for name in range(40):
                group.create_task(caller(name))
        assert len(server.peers) == 8


async def test_pooled_connection_that_died_unused_is_replaced_unnoticed(
    client_type: ClientType,
) -> None:
    """The peer closes just as the second request is on its way."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"%d" % peer.number)
        if peer.number == 0:
            await peer.request()
        else:
            await peer.gone()

    async with serving(script, client_type) as (server, client):
        assert await ask(client, server.url) == (200, b"0")
        assert await ask(client, server.url) == (200, b"1")
        assert len(server.peers) == 2


async def test_request_is_not_sent_a_third_time(client_type: ClientType) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            await peer.answer(b"")
            await peer.request()

    async with serving(script, client_type) as (server, client):
        await ask(client, server.url)
        failure = await failure_of(ask(client, server.url))
        assert failure.phase is Phase.READ
        assert len(server.peers) == 2


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_request_that_dies_on_a_new_connection_is_not_repeated(
    client_type: ClientType, method: str
) -> None:
    async with serving(once(), client_type) as (server, client):
        request = UpstreamRequest(method, server.url, (), b"")
        failure = await failure_of(client.send(request, expire_at_s=in_s(PATIENCE_S)))
        assert failure.phase is Phase.READ
        assert not failure.untouched
        assert len(server.peers) == 1


async def test_request_whose_answer_began_is_not_repeated(client_type: ClientType) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"")
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nx-a: b\r\n")

    async with serving(script, client_type) as (server, client):
        await ask(client, server.url)
        failure = await failure_of(ask(client, server.url))
        assert failure.phase is Phase.READ
        assert len(server.peers) == 1


async def test_connection_that_the_peer_closed_while_idle_is_not_used(
    client_type: ClientType,
) -> None:
    async with serving(once(b"HTTP/1.1 204 No Content\r\n\r\n"), client_type) as (server, client):
        for _ in range(3):
            assert await ask(client, server.url) == (204, b"")
        assert len(server.peers) == 3


async def test_idle_connection_is_closed_in_time(client_type: ClientType) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"")
        await peer.gone()

    async with serving(script, client_type, Limits(idle_s=SOON_S)) as (server, client):
        await ask(client, server.url)
        await server.peers[0].is_gone.wait()


async def test_callers_beyond_the_maximum_wait_in_line(client_type: ClientType) -> None:
    order: list[bytes] = []
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            request = await peer.request()
            order.append(request.body)
            await go.wait()
            await peer.answer(b"")

    async with serving(script, client_type, Limits(connections_per_host_max=1)) as (server, client):
        async with asyncio.TaskGroup() as group:
            for name in (b"a", b"b", b"c", b"d"):
                group.create_task(ask(client, server.url, name))
                for _ in range(10):
                    await asyncio.sleep(0)
            while not order:  # noqa: ASYNC110 -- a list has no event
                await asyncio.sleep(0)
            assert order == [b"a"]
            go.set()
        assert order == [b"a", b"b", b"c", b"d"]
        assert len(server.peers) == 1


async def test_waiting_in_line_ends_at_the_deadline_and_has_touched_nothing(
    client_type: ClientType,
) -> None:
    async with serving(half_answer, client_type, Limits(connections_per_host_max=1)) as (
        server,
        client,
    ):
        exchange = await send(client, server.url)
        failure = await failure_of(client.send(post(server.url), expire_at_s=in_s(SOON_S)))
        assert failure.phase is Phase.CONNECT
        assert failure.timed_out
        assert failure.untouched
        exchange.close()


async def test_place_of_a_connection_that_broke_goes_to_the_next_in_line(
    client_type: ClientType,
) -> None:
    async def script(peer: Peer) -> None:
        request = await peer.request()
        if request.body == b"first":
            await half_answer_body(peer)
        else:
            await peer.answer(request.body)

    async def half_answer_body(peer: Peer) -> None:
        await peer.send(CHUNKED + b"5\r\nhello\r\n")
        await peer.gone()

    async with serving(script, client_type, Limits(connections_per_host_max=1)) as (server, client):
        exchange = await send(client, server.url, b"first")
        gave_up = asyncio.create_task(ask(client, server.url, b"gave up"))
        patient = asyncio.create_task(ask(client, server.url, b"patient"))
        for _ in range(10):
            await asyncio.sleep(0)
        gave_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gave_up
        exchange.close()
        assert await patient == (200, b"patient")


# ---- closing the client -------------------------------------------------------------------------


def open_descriptors() -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add(f"{entry.name} {entry.readlink()}")
    return {entry for entry in found if "socket:" in entry}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
async def test_closing_the_client_leaves_no_socket_and_no_task(client_type: ClientType) -> None:
    async def script(peer: Peer) -> None:
        request = await peer.request()
        if request.target == "/stream":
            await peer.send(CHUNKED + b"5\r\nhello\r\n")
        elif request.target == "/idle":
            await peer.answer(b"")
        await peer.gone()

    async with scripted_upstream(script) as server:
        tls_url = server.url.replace("http:", "https:")
        before, tasks = open_descriptors(), len(asyncio.all_tasks())
        client = client_type()
        stream = await send(client, f"{server.url}/stream")
        assert await stream.read() == b"hello"
        silent_call = asyncio.create_task(send(client, f"{server.url}/silent"))
        handshake = asyncio.create_task(send(client, tls_url))
        while len(server.peers) < 3:  # noqa: ASYNC110 -- the server has no event for it
            await asyncio.sleep(0)
        await ask(client, f"{server.url}/idle")
        reader = asyncio.create_task(stream.read())
        await asyncio.sleep(0)
        ours_open = len(server.peers)
        await client.aclose()
        assert ours_open == 4
        for call in (reader, silent_call, handshake):
            if call is handshake and client_type is AiohttpUpstreamClient:
                call.cancel()  # aiohttp lets those who connect go on until their own limit
                with suppress(asyncio.CancelledError, TransportFailure):
                    await call
            else:
                assert isinstance(await failure_of(call), TransportFailure)
        for peer in server.peers:
            await peer.is_gone.wait()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert open_descriptors() <= before
        assert len(asyncio.all_tasks()) <= tasks
        failure = await failure_of(send(client, server.url))
        assert failure.untouched
        await client.aclose()


# ---- TLS and proxies ----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def server_context(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_tls_with_a_trusted_certificate(
    client_type: ClientType, authority: trustme.CA, ca_file: Path
) -> None:
    names: list[str | None] = []
    context = server_context(authority)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    async with scripted_upstream(echo, tls=context, host="localhost") as server:
        client = client_type(ca_file=ca_file)
        body = bytes(1_000_000)
        for _ in range(3):
            assert await ask(client, server.url, body) == (200, body)
        await client.aclose()
        assert len(server.peers) == 1
        assert names == ["localhost"]


async def test_pauses_of_a_pour_lose_nothing_of_what_tls_holds(
    client_type: ClientType, authority: trustme.CA, ca_file: Path
) -> None:
    body = os.urandom(1 << 20) * 3
    async with scripted_upstream(echo, tls=server_context(authority), host="localhost") as server:
        client = client_type(ca_file=ca_file)
        for _ in range(2):
            exchange = await send(client, server.url, body)
            assert await pour_with_pauses(exchange) == body
            exchange.close()
        await client.aclose()
        assert len(server.peers) == 1


@pytest.mark.parametrize(
    ("name", "is_authority_known"), [("localhost", False), ("other.test", True)]
)
async def test_tls_with_a_certificate_that_is_not_trusted_is_refused(
    client_type: ClientType,
    authority: trustme.CA,
    ca_file: Path,
    name: str,
    is_authority_known: bool,
) -> None:
    async with scripted_upstream(
        echo, tls=server_context(authority, name), host="localhost"
    ) as server:
        client = client_type(ca_file=ca_file if is_authority_known else None)
        failure = await failure_of(send(client, server.url))
        await client.aclose()
        assert failure.phase is Phase.CONNECT
        assert failure.untouched
        assert "certificate" in str(failure)
        assert f"localhost:{server.port}" in str(failure)


def forward_proxy(seen: list[str]) -> Script:
    """Notes request line and credentials; tunnels, or answers for the origin."""

    async def script(peer: Peer) -> None:
        request = await peer.request()
        seen.append(
            f"{request.method} {request.target} {request.headers.get('proxy-authorization')}"
        )
        if request.method != "CONNECT":
            await peer.answer(b"through the proxy")
            await peer.gone()
            return
        if "proxy-authorization" not in request.headers:
            await peer.answer(b"", status="407 Proxy Authentication Required")
            return
        host, _, port = request.target.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        await peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        reader, writer = peer.streams

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                while data := await source.read(65536):
                    sink.write(data)
            sink.close()

        try:
            await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
        finally:
            far_writer.close()

    return script


async def test_plain_requests_go_through_the_proxy_in_absolute_form(
    client_type: ClientType,
) -> None:
    seen: list[str] = []
    async with scripted_upstream(forward_proxy(seen)) as proxy:
        client = client_type(proxy=f"http://user:pa%20ss@127.0.0.1:{proxy.port}")
        status, body = await ask(client, "http://upstream.test/v1?a=b")
        await client.aclose()
    assert (status, body) == (200, b"through the proxy")
    assert seen == ["POST http://upstream.test/v1?a=b Basic dXNlcjpwYSBzcw=="]


async def test_encrypted_requests_go_through_a_tunnel(
    client_type: ClientType, authority: trustme.CA, ca_file: Path
) -> None:
    seen: list[str] = []
    async with (
        scripted_upstream(echo, tls=server_context(authority), host="localhost") as origin,
        scripted_upstream(forward_proxy(seen)) as proxy,
    ):
        client = client_type(ca_file=ca_file, proxy=f"http://user:pass@127.0.0.1:{proxy.port}")
        for _ in range(2):
            assert await ask(client, origin.url, b"secret") == (200, b"secret")
        await client.aclose()
        assert seen == [f"CONNECT localhost:{origin.port} Basic dXNlcjpwYXNz"]


async def test_tunnel_that_the_proxy_refuses_has_touched_nothing(client_type: ClientType) -> None:
    async with scripted_upstream(forward_proxy([])) as proxy:
        client = client_type(proxy=f"http://127.0.0.1:{proxy.port}")
        failure = await failure_of(send(client, "https://upstream.test/"))
        await client.aclose()
    assert failure.phase is Phase.CONNECT
    assert failure.untouched
    assert "407" in str(failure)


async def test_proxies_of_the_environment_count_only_if_asked(
    client_type: ClientType, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    async with (
        scripted_upstream(forward_proxy(seen)) as proxy,
        scripted_upstream(echo) as direct,
    ):
        for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "HTTP_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        heedless, heeding = client_type(), client_type(environment_proxies=True)
        assert await ask(heedless, direct.url, b"a") == (200, b"a")
        assert await ask(heeding, direct.url, b"a") == (200, b"through the proxy")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        exempt = client_type(environment_proxies=True)
        assert await ask(exempt, direct.url, b"a") == (200, b"a")
        for client in (heedless, heeding, exempt):
            await client.aclose()
    assert len(seen) == 1


@pytest.mark.parametrize("url", ["s3cret", "socks5://127.0.0.1:1", "http://user:s3cret@host:port"])
async def test_proxy_url_that_is_none_is_refused_without_repeating_it(
    client_type: ClientType, url: str
) -> None:
    with pytest.raises(ValueError, match="proxy URL") as caught:
        client_type(proxy=url)
    assert "s3cret" not in str(caught.value)


# ---- properties ---------------------------------------------------------------------------------


Outcome = tuple[object, ...]


async def read_whole(exchange: Exchange) -> bytes:
    return await exchange.read_all(1 << 20)


async def pour_with_pauses(exchange: Exchange) -> bytes:
    taken: list[bytes] = []

    def take(piece: bytes) -> None:
        taken.append(piece)
        if len(taken) % 2:
            exchange.pause()
            asyncio.get_running_loop().call_soon(exchange.resume)

    await exchange.pour(take, between_s=PATIENCE_S, until_s=in_s(5.0))
    return b"".join(taken)


async def outcome_of(
    client_type: ClientType,
    pieces: list[bytes],
    take_all: Callable[[Exchange], Awaitable[bytes]] = read_whole,
) -> Outcome:
    """What a caller gets from these bytes, sent in these pieces: status and body, or the phase it failed in."""
    limits = Limits(header_bytes_max=512, buffered_bytes_max=64)
    async with serving(once(*pieces), client_type, limits) as (server, client):
        try:
            patience_s = 5.0 if client_type is NativeUpstreamClient else 1.0
            exchange = await client.send(post(server.url), expire_at_s=in_s(patience_s))
            body = await take_all(exchange)
        except TransportFailure as failure:
            return (failure.phase,)
        exchange.close()
        return exchange.status, body


def run(work: Awaitable[Outcome], *, on_uvloop: bool) -> Outcome:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if on_uvloop else None) as runner:
        return runner.run(work)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(at % (len(data) + 1) for at in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Whole answers of every framing, now and then with something wrong."""
    informational = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    chunks = draw(st.lists(st.binary(min_size=1, max_size=90), max_size=5))
    body = b"".join(chunks)
    fields = b"x-a: b\r\n"
    if draw(st.booleans()):
        body = gzip.compress(body, mtime=0)
        chunks = [body[:7], body[7:]]
        fields += b"content-encoding: gzip\r\n"
    framing = draw(st.sampled_from(["counted", "chunked", "closed"]))
    if framing == "counted":
        fields += b"content-length: %d\r\n" % len(body)
    elif framing == "chunked":
        fields += b"transfer-encoding: chunked\r\n"
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    answer = informational + b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n" + body
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(answer)))
        answer = (
            answer[:at] + draw(st.sampled_from([b"", b"\x00", b"\r\n", b":"])) + answer[at + 1 :]
        )
    return answer


PROPERTY = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("on_uvloop", [False, True], ids=["asyncio", "uvloop"])
@given(answer=answers(), cuts=st.lists(st.integers(0, 10_000), max_size=8))
@PROPERTY
def test_any_cutting_of_the_bytes_gives_the_same_answer(
    client_type: ClientType, on_uvloop: bool, answer: bytes, cuts: list[int]
) -> None:
    whole = run(outcome_of(client_type, [answer]), on_uvloop=on_uvloop)
    in_pieces = run(outcome_of(client_type, cut(answer, cuts)), on_uvloop=on_uvloop)
    if client_type is AiohttpUpstreamClient and len(whole) == 1:
        # A cut body whose socket it had paused, it notices at the deadline only.
        assert len(in_pieces) == 1
    else:
        assert in_pieces == whole


@pytest.mark.parametrize("on_uvloop", [False, True], ids=["asyncio", "uvloop"])
@given(answer=answers(), cuts=st.lists(st.integers(0, 10_000), max_size=8))
@PROPERTY
def test_pouring_with_pauses_gives_what_reading_gives(
    on_uvloop: bool, answer: bytes, cuts: list[int]
) -> None:
    """Only ours: aiohttp may notice what is malformed at the deadline only."""
    whole = run(outcome_of(NativeUpstreamClient, [answer]), on_uvloop=on_uvloop)
    pieces = cut(answer, cuts)
    poured = run(outcome_of(NativeUpstreamClient, pieces, pour_with_pauses), on_uvloop=on_uvloop)
    assert poured == whole


PARTS = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 ",
            b"\r\n",
            b"content-length: 3\r\n",
            b"transfer-encoding: chunked\r\n",
            b"content-encoding: deflate\r\n",
            b"3\r\nabc\r\n",
            b"0\r\n\r\n",
            b"connection: close\r\n",
        ]
    ),
)


@pytest.mark.parametrize("on_uvloop", [False, True], ids=["asyncio", "uvloop"])
@given(parts=st.lists(PARTS, max_size=8))
@PROPERTY
def test_arbitrary_bytes_end_in_an_answer_or_a_failure(
    client_type: ClientType, on_uvloop: bool, parts: list[bytes]
) -> None:
    outcome = run(outcome_of(client_type, [b"HTTP/1.1 200 OK\r\n", *parts]), on_uvloop=on_uvloop)
    may_time_out = client_type is AiohttpUpstreamClient
    assert outcome[0] in (200, Phase.READ) or (may_time_out and outcome == (Phase.FIRST_TOKEN,))


# ---- only our own client ------------------------------------------------------------------------


async def test_bytes_before_a_break_are_read_before_the_failure() -> None:
    async with serving(once(CHUNKED + b"5\r\nhello\r\n"), NativeUpstreamClient) as (server, client):
        received, _ = await pieces_until_failure(await send(client, server.url))
        assert received == b"hello"


async def test_whole_answer_that_came_with_its_head_is_taken_without_a_wait() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    async with serving(always(answer), NativeUpstreamClient) as (server, client):
        for _ in range(2):
            exchange = await send(client, server.url)
            assert exchange.take_whole() == b"hello"
            assert await exchange.read() == b""
            exchange.close()
        assert len(server.peers) == 1


@pytest.mark.parametrize(
    ("pieces", "body"),
    [
        pytest.param((CHUNKED, b"5\r\nhello\r\n", b"0\r\n\r\n"), b"hello", id="more to come"),
        pytest.param((CHUNKED + b"5\r\nhello\r\n", b"zz\r\n"), None, id="a failure to come"),
        pytest.param(
            (
                b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%b"
                % (len(gzip.compress(b"hello", mtime=0)), gzip.compress(b"hello", mtime=0)),
            ),
            b"hello",
            id="compressed",
        ),
    ],
)
async def test_answer_that_is_not_ready_yet_is_taken_by_reading(
    client_type: ClientType, pieces: tuple[bytes, ...], body: bytes | None
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        for piece in pieces:
            await peer.send(piece)
            await go.wait()
        await peer.gone()

    go = asyncio.Event()
    async with serving(script, client_type) as (server, client):
        exchange = await client.send(post(server.url), expire_at_s=in_s(PATIENCE_S))
        assert exchange.take_whole() is None
        go.set()
        if body is None:
            exchange.expire_at(in_s(SOON_S), Phase.TOTAL)  # where aiohttp notices
            await failure_of(exchange.read_all(10))
            assert exchange.take_whole() is None
        else:
            assert await exchange.read_all(10) == body
        exchange.close()


async def test_chunked_message_leaves_none_of_its_trailer_in_the_next_head() -> None:
    """One parser serves a connection; before 0.9, httptools took the last trailer for the next header."""
    trailed = CHUNKED + b"5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"
    plain = b"HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 2\r\n\r\nok"

    async def script(peer: Peer) -> None:
        while True:
            request = await peer.request()
            await peer.send(trailed if request.body == b"trailed" else plain)

    async with serving(script, NativeUpstreamClient) as (server, client):
        for body in (
            b"trailed",
            b"plain",
            b"trailed",
            b"plain",
            b"plain",
            b"trailed",
            b"trailed",
            b"plain",
        ):
            exchange = await send(client, server.url, body)
            expected = ["transfer-encoding"] if body == b"trailed" else ["x-a", "content-length"]
            assert [name for name, _ in exchange.headers.items()] == expected
            await exchange.read_all(10)
        assert len(server.peers) == 1


async def test_trailers_in_one_piece_are_bounded_too() -> None:
    trailers = b"".join(b"x-%d: b\r\n" % number for number in range(100))
    answer = CHUNKED + b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n"
    limits = Limits(header_bytes_max=512)
    async with serving(once(answer), NativeUpstreamClient, limits) as (server, client):
        failure = await failure_of(ask(client, server.url))
        assert failure.phase is Phase.READ
        assert "trailers" in str(failure)


async def test_calls_leave_no_garbage_for_the_collector() -> None:
    async with serving(echo, NativeUpstreamClient) as (server, client):
        await ask(client, server.url)
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                await ask(client, server.url, b"hello")
            assert not [thing for thing in gc.get_objects() if isinstance(thing, Answer)]
        finally:
            gc.enable()


async def test_connection_used_last_is_used_first() -> None:
    seen: list[int] = []
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            request = await peer.request()
            if request.target == "/wait":
                await go.wait()
            seen.append(peer.number)
            await peer.answer(b"")

    async with serving(script, NativeUpstreamClient) as (server, client):
        slow = asyncio.create_task(ask(client, f"{server.url}/wait"))
        while not server.peers:  # noqa: ASYNC110 -- the server has no event for it
            await asyncio.sleep(0)
        await ask(client, server.url)
        go.set()
        await slow
        await ask(client, server.url)
        await ask(client, server.url)
        assert seen == [1, 0, 0, 0]


async def test_reset_is_not_the_end_of_a_body_that_ends_with_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        raw = peer.streams[1].get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        peer.abort()

    async with serving(script, NativeUpstreamClient) as (server, client):
        exchange = await send(client, server.url)
        _, failure = await pieces_until_failure(exchange)
        assert failure.phase is Phase.READ


async def test_bytes_that_nobody_asked_for_are_never_taken_for_an_answer() -> None:
    poisoned = asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.answer(b"%d" % peer.number)
            if peer.number == 0:
                await peer.answer(b"poison")
                poisoned.set()
                await peer.gone()

    async with serving(script, NativeUpstreamClient) as (server, client):
        assert await ask(client, server.url) == (200, b"0")
        await poisoned.wait()
        for _ in range(20):  # turns of the loop, so that the client has had the bytes
            await asyncio.sleep(0)
        assert await ask(client, server.url) == (200, b"1")


async def test_surplus_of_idle_connections_is_closed() -> None:
    limits = Limits(idle_per_host_max=1)
    async with serving(echo, NativeUpstreamClient, limits) as (server, client):
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(ask(client, server.url))
        assert len(server.peers) == 3
        await asyncio.wait(
            [asyncio.create_task(peer.is_gone.wait()) for peer in server.peers],
            return_when="FIRST_COMPLETED",
        )
        assert await ask(client, server.url, b"a") == (200, b"a")
        assert len(server.peers) == 3


@pytest.mark.parametrize("framing", [b"1;" + b"x" * 50 + b"\r\n", b"0\r\n" + b"x-a: b\r\n" * 50])
async def test_endless_chunk_framing_is_refused(framing: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + framing[:-2])
        while True:
            await peer.send(framing[2:] if framing[:1] == b"0" else b"x" * 100)

    async with serving(script, NativeUpstreamClient, Limits(header_bytes_max=4096)) as (
        server,
        client,
    ):
        exchange = await send(client, server.url)
        _, failure = await pieces_until_failure(exchange)
        assert failure.phase is Phase.READ


async def test_thousand_chunks_with_moving_deadlines_cost_a_handful_of_timers(
    monkeypatch: pytest.MonkeyPatch, anyio_backend: tuple[str, dict[str, object]]
) -> None:
    if anyio_backend[1]["use_uvloop"]:
        pytest.skip("uvloop's loop cannot be watched")
    loop = asyncio.get_running_loop()
    armed = 0
    call_at = loop.call_at

    def counting(*arguments: object, **options: object) -> asyncio.TimerHandle:
        nonlocal armed
        armed += 1
        return call_at(*arguments, **options)

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(CHUNKED)
            for _ in range(1000):
                await peer.send(b"1\r\na\r\n")
            await peer.send(b"0\r\n\r\n")

    async with serving(script, NativeUpstreamClient) as (server, client):
        await ask(client, server.url)
        monkeypatch.setattr(loop, "call_at", counting)
        exchange = await send(client, server.url)
        count = 0
        while await exchange.read():
            count += 1
            exchange.expire_at(in_s(PATIENCE_S), Phase.BETWEEN_TOKENS)
        monkeypatch.undo()
        assert count > 500
        assert armed <= 3
