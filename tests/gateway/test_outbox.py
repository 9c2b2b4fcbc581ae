"""Writes of one turn of the loop are made at its end, in their order, and never without bound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from fairlead.gateway.outbox import HELD_BYTES_MAX, Outbox
from fairlead.testing.vtime import run_simulated


class Line(asyncio.Transport):
    def __init__(self, journal: list[tuple[str, bytes]], name: str) -> None:
        super().__init__()
        self._journal = journal
        self._name = name
        self.is_gone = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._journal.append((self._name, bytes(data)))

    def is_closing(self) -> bool:
        return self.is_gone


def run(scenario: Callable[[Outbox, list[tuple[str, bytes]]], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await scenario(Outbox(asyncio.get_running_loop()), [])

    run_simulated(main())


def test_nothing_is_written_before_the_turn_ends_and_then_everything_in_order() -> None:
    async def scenario(outbox: Outbox, written: list[tuple[str, bytes]]) -> None:
        a, b = Line(written, "a"), Line(written, "b")
        outbox.write(a, b"1")
        outbox.write(b, b"2")
        outbox.write(a, b"3")
        assert written == []
        assert outbox.holds(a) == 2
        await asyncio.sleep(0)
        assert written == [("a", b"13"), ("b", b"2")]
        assert outbox.holds(a) == 0
        outbox.write(b, b"4")
        await asyncio.sleep(0)
        assert written[2:] == [("b", b"4")]

    run(scenario)


def test_who_is_flushed_before_has_his_place_and_is_not_written_twice() -> None:
    async def scenario(outbox: Outbox, written: list[tuple[str, bytes]]) -> None:
        a, b = Line(written, "a"), Line(written, "b")
        outbox.write(a, b"1")
        outbox.write(b, b"2")
        outbox.flush(b)
        outbox.flush(b)
        assert written == [("b", b"2")]
        await asyncio.sleep(0)
        assert written == [("b", b"2"), ("a", b"1")]

    run(scenario)


def test_a_transport_that_closes_meanwhile_is_left_alone() -> None:
    async def scenario(outbox: Outbox, written: list[tuple[str, bytes]]) -> None:
        a, b = Line(written, "a"), Line(written, "b")
        outbox.write(a, b"1")
        outbox.write(b, b"2")
        a.is_gone = True
        outbox.flush(a)
        await asyncio.sleep(0)
        assert written == [("b", b"2")]

    run(scenario)


def test_beyond_the_bound_a_transport_gets_its_bytes_at_once_and_in_order() -> None:
    async def scenario(outbox: Outbox, written: list[tuple[str, bytes]]) -> None:
        a = Line(written, "a")
        outbox.write(a, b"1" * HELD_BYTES_MAX)
        assert written == []
        outbox.write(a, b"2")
        assert written == [("a", b"1" * HELD_BYTES_MAX + b"2")]
        outbox.write(a, b"3")
        await asyncio.sleep(0)
        assert written[1:] == [("a", b"3")]

    run(scenario)


def test_one_that_cannot_be_written_to_does_not_cost_the_others_their_bytes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Line):
        def write(self, data: bytes | bytearray | memoryview) -> None:
            raise RuntimeError("a bug")

    async def scenario(outbox: Outbox, written: list[tuple[str, bytes]]) -> None:
        outbox.write(Broken(written, "a"), b"1")
        outbox.write(Line(written, "b"), b"2")
        await asyncio.sleep(0)
        assert written == [("b", b"2")]

    run(scenario)
    assert "could not be written to" in caplog.text


def test_what_is_written_while_others_are_written_for_keeps_its_order() -> None:
    async def scenario(outbox: Outbox, written: list[tuple[str, bytes]]) -> None:
        b = Line(written, "b")

        class Talkative(Line):
            def write(self, data: bytes | bytearray | memoryview) -> None:
                outbox.write(b, b"2" * (HELD_BYTES_MAX + 1))

        outbox.write(Talkative(written, "a"), b"0")
        outbox.write(b, b"1")
        await asyncio.sleep(0)
        assert b"".join(data for _, data in written) == b"1" + b"2" * (HELD_BYTES_MAX + 1)

    run(scenario)
