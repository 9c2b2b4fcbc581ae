"""Reasoning of any author goes through thinking blocks and comes back as it was."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.wire.anthropic_reasoning import (
    redacted_data,
    redacted_detail,
    signature,
    thinking_detail,
)

FORMATS = ("anthropic-claude-v1", "google-gemini-v1", "openai-responses-v1", "unknown")


def test_what_claude_wrote_stays_as_it_is() -> None:
    thought = {"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0}
    assert signature({**thought, "format": "anthropic-claude-v1"}) == "s"
    assert signature(thought) == "s"
    hidden = {"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1"}
    assert redacted_data(hidden) == "d"
    assert thinking_detail("hm", "s", 2) == {
        "type": "reasoning.text",
        "text": "hm",
        "signature": "s",
        "format": "anthropic-claude-v1",
        "index": 2,
    }
    assert redacted_detail("d", 2) == {**hidden, "index": 2}


def test_a_thought_without_a_signature_is_nobodys() -> None:
    """Claude's provider would refuse it as its own."""
    assert signature({"type": "reasoning.text", "text": "hm", "format": "unknown"}) == ""
    assert thinking_detail("hm", "", 0)["format"] == "unknown"
    assert "signature" not in thinking_detail("hm", "", 0)


@given(
    st.sampled_from(FORMATS[1:3]),
    st.sampled_from(("reasoning.text", "reasoning.summary")),
    st.text(),
    st.dictionaries(st.sampled_from(("id", "signature")), st.text()),
    st.integers(0, 9),
)
def test_a_thought_of_another_author_comes_back(
    written_by: str, kind: str, text: str, more: dict[str, Any], index: int
) -> None:
    name = "text" if kind == "reasoning.text" else "summary"
    detail = {"type": kind, name: text, "format": written_by, "index": index, **more}
    assert thinking_detail(text, signature(detail), 7) == detail


@given(st.sampled_from(FORMATS), st.text(), st.integers(0, 9))
def test_hidden_reasoning_comes_back(written_by: str, data: str, index: int) -> None:
    detail = {
        "type": "reasoning.encrypted",
        "data": data,
        "format": written_by,
        "index": index,
    }
    assert redacted_detail(redacted_data(detail), index) == detail


@pytest.mark.parametrize(
    "text",
    [
        "fairlead.reasoning:",
        "fairlead.reasoning:!!!",
        "fairlead.reasoning:" + b64encode(b"[1]").decode(),
        "fairlead.reasoning:" + b64encode(b'{"type":1}').decode(),
        "fairlead.reasoning:" + b64encode(b"[" * 100_000).decode(),
    ],
)
def test_what_looks_like_a_pack_and_is_none_is_kept_as_it_is(text: str) -> None:
    assert redacted_detail(text, 0)["data"] == text
    assert thinking_detail("hm", text, 0)["signature"] == text
