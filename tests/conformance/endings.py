"""How a stream of each dialect ends: as it should, with an error inside, or not at all. Read with `json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.conformance.callers import Caller

__all__ = ["Ending", "ending_of", "error_in"]


@dataclass(frozen=True)
class Ending:
    """is_proper: the dialect's end mark is there. error: its message, where one was told."""

    is_proper: bool
    error: str | None = None


def ending_of(caller: Caller, stream: bytes) -> Ending:
    """Every event must be readable, and nothing may follow the end."""
    blocks = stream.split(b"\n\n")
    assert blocks.pop() == b"", "the last event is closed"
    data = [block.rpartition(b"data: ")[2] for block in blocks]
    has_mark = bool(data) and data[-1] == b"[DONE]"
    events = [json.loads(line) for line in data[: len(data) - has_mark]]
    last = events[-1] if events else {}
    match caller.name:
        case "messages":
            return _ending_of_messages(events, last)
        case "responses":
            return _ending_of_responses(events, last, has_mark=has_mark)
        case _:
            errors = [event["error"] for event in events if "error" in event]
            if errors:
                assert not has_mark
                assert last["choices"][0]["finish_reason"] == "error"
                return Ending(is_proper=False, error=errors[0]["message"])
            return Ending(is_proper=has_mark and "usage" in last)


def _ending_of_messages(events: list[dict[str, Any]], last: dict[str, Any]) -> Ending:
    kinds = [event["type"] for event in events]
    if "error" in kinds:
        assert kinds.count("error") == 1
        assert last["type"] == "error"
        return Ending(is_proper=False, error=last["error"]["message"])
    return Ending(is_proper=kinds[-2:] == ["message_delta", "message_stop"])


def _ending_of_responses(
    events: list[dict[str, Any]], last: dict[str, Any], *, has_mark: bool
) -> Ending:
    kinds = [event["type"] for event in events]
    if "error" in kinds:
        assert kinds[-2:] == ["error", "response.failed"]
        assert not has_mark
        return Ending(is_proper=False, error=last["response"]["error"]["message"])
    ends = ("response.completed", "response.incomplete")
    return Ending(is_proper=has_mark and kinds[-1] in ends)


def error_in(caller: Caller, body: bytes) -> tuple[str, str]:
    """(message, type) of an error that comes instead of an answer, from the dialect's envelope."""
    fields = json.loads(body)
    if caller.name == "messages":
        assert fields["type"] == "error"
        return fields["error"]["message"], fields["error"]["type"]
    return fields["error"]["message"], str(fields["error"]["code"])
