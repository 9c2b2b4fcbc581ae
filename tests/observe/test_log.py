"""The log: one line for each event, and never a key."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from logging import Logger

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.observe.log import LINE_CHARACTERS_MAX, masked, set_up

OURS = "sk-fl-v1-" + "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Logging is global: what a test sets up is gone after it."""
    root = logging.getLogger()
    loggers = [
        logging.getLogger(name)
        for name in ("fairlead", "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
    ]
    before = [(one, one.level, one.handlers[:], one.propagate, one.disabled) for one in loggers]
    root_before = (root.level, root.handlers[:])
    yield
    for one, level, handlers, propagate, disabled in before:
        one.setLevel(level)
        one.handlers[:] = handlers
        one.propagate, one.disabled = propagate, disabled
    root.setLevel(root_before[0])
    root.handlers[:] = root_before[1]
    logging.captureWarnings(capture=False)


def logged(line_format: str, level: str = "info") -> tuple[Logger, io.StringIO]:
    stream = io.StringIO()
    set_up(level, line_format, stream)
    return logging.getLogger("fairlead.test"), stream


def test_text_lines_have_time_level_logger_message_and_fields() -> None:
    logger, stream = logged("text")
    logger.warning("provider %s is slow", "groq", extra={"latency_ms": 7})
    line = stream.getvalue()
    assert line.endswith("Z WARNING fairlead.test: provider groq is slow latency_ms=7\n")


def test_json_lines_are_one_object_each_even_with_a_traceback() -> None:
    logger, stream = logged("json")
    try:
        raise RuntimeError(f"refused {OURS}")
    except RuntimeError:
        logger.exception("failed\nbadly", extra={"key": OURS, "attempt": 2})
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert entry["message"] == "failed\nbadly"
    assert entry["level"] == "error"
    assert "RuntimeError" in entry["traceback"]
    assert entry["attempt"] == "2"
    assert OURS not in line


def test_a_traceback_in_text_shows_no_key() -> None:
    logger, stream = logged("text")
    try:
        raise RuntimeError(f"authorization: Bearer {OURS}")
    except RuntimeError:
        logger.exception("failed")
    assert "RuntimeError" in stream.getvalue()
    assert OURS not in stream.getvalue()


@pytest.mark.parametrize(
    "line",
    [
        "key {}",
        "Authorization: Bearer {}",
        '{{"api_key": "{}"}}',
        "x-api-key={}",
        "https://user:{}@host/v1",
    ],
)
@given(secret=st.text("abcdefghij0123456789", min_size=24, max_size=64))
def test_whatever_looks_like_a_key_is_masked(line: str, secret: str) -> None:
    text = f"sk-{secret}"
    assert secret not in masked(line.format(text))


def test_ordinary_words_are_left_alone() -> None:
    line = "GET https://api.example.com/v1/models gave 401 for openai/o3-mini in 12 ms"
    assert masked(line) == line


def test_a_line_has_a_bound() -> None:
    logger, stream = logged("text")
    logger.error("x" * (2 * LINE_CHARACTERS_MAX))
    assert len(stream.getvalue()) <= LINE_CHARACTERS_MAX + 4


def test_the_servers_own_loggers_come_through_us_and_its_access_log_is_off() -> None:
    _, stream = logged("text")
    logging.getLogger("uvicorn.error").error("trouble")
    logging.getLogger("uvicorn.access").warning("GET / 200")
    assert "uvicorn.error: trouble" in stream.getvalue()
    assert "GET /" not in stream.getvalue()


def test_libraries_are_quiet_at_info_and_speak_at_debug() -> None:
    _, stream = logged("text")
    logging.getLogger("somebody").info("chatter")
    assert not stream.getvalue()
    _, stream = logged("text", "debug")
    logging.getLogger("somebody").info("chatter")
    assert "chatter" in stream.getvalue()
