"""The log: one line for each event, as text or JSON, on standard error. Set up once per process.

No prompt, answer or key belongs into a log call. Should one slip in, through an exception's text or a
library's own line, the last step before writing masks whatever looks like a key: it works on the finished
line, traceback included, so there is no way around it.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Mapping
from typing import Final, TextIO

import msgspec

__all__ = ["FORMATS", "LINE_CHARACTERS_MAX", "masked", "set_up"]

LINE_CHARACTERS_MAX: Final = 16_384  # a traceback fits; a body that slipped in is cut

# Key shapes: ours and most providers' (sk-..., gsk_..., xai-..., AIza..., hf_...), what follows an
# authorization scheme or a key's name, and the user part of an address.
_SECRETS: Final = (
    re.compile(r"\b(sk|pk|rk|gsk|xai|pplx|nvapi|hf|fw|r8|ghp|github_pat)([-_])[A-Za-z0-9_\-]{8,}"),
    re.compile(r"\b(AIza)()[A-Za-z0-9_\-]{20,}"),
    re.compile(r"\b(Bearer|Basic)(\s+)[A-Za-z0-9._~+/=\-]{4,}", re.IGNORECASE),
    re.compile(
        r"""\b(authorization|(?:x-)?api[-_]?key|cookie|password)(["']?\s*[:=]\s*["']?)"""
        r"""(?!Bearer|Basic)[^\s"',}]{4,}""",
        re.IGNORECASE,
    ),
    re.compile(r"\b(\w+)(://)[^\s/@]+(?=@)"),  # without \b, a long word is tried at each letter
)

# What a LogRecord has by itself; everything else was passed as `extra` and belongs to the event.
_OWN_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def masked(text: str) -> str:
    """The text with everything that looks like a secret replaced by ***."""
    for pattern in _SECRETS:
        text = pattern.sub(r"\1\2***", text)
    return text


class _Masking(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = masked(self.line(record))
        return line if len(line) <= LINE_CHARACTERS_MAX else f"{line[:LINE_CHARACTERS_MAX]}..."

    def line(self, record: logging.LogRecord) -> str:
        raise NotImplementedError

    def _when(self, record: logging.LogRecord) -> str:
        return f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z"

    def _traceback(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info) if record.exc_info else ""


class TextLines(_Masking):
    """`2026-01-31T12:00:00.000Z WARNING fairlead.gateway: provider slow provider=openai`."""

    def line(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        head = (
            f"{self._when(record)} {record.levelname} {record.name}: {record.getMessage()}{fields}"
        )
        traceback = self._traceback(record)
        return f"{head}\n{traceback}" if traceback else head


class JsonLines(_Masking):
    """One JSON object per line: time, level, logger, message, the event's fields, traceback."""

    def line(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": self._when(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(record.getMessage())[:LINE_CHARACTERS_MAX],
        }
        entry.update(
            {
                name: masked(str(value))[:LINE_CHARACTERS_MAX]
                for name, value in _fields(record).items()
            }
        )
        if traceback := self._traceback(record):
            entry["traceback"] = masked(traceback)[:LINE_CHARACTERS_MAX]
        return msgspec.json.encode(entry).decode()

    def format(self, record: logging.LogRecord) -> str:
        return self.line(record)  # masked value by value: masking the encoded line could break it


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}


FORMATS: Final[Mapping[str, type[_Masking]]] = {"text": TextLines, "json": JsonLines}


def set_up(level: str, line_format: str, stream: TextIO | None = None) -> None:
    """Route every logger of this process through us. level: as in the settings; line_format: see FORMATS.

    uvicorn's loggers lose handlers of their own, and its access log is off: a call is an event of ours.
    """
    formatter = FORMATS[line_format]()
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    # Libraries speak when something is wrong, unless somebody debugs; we also say what we do.
    root.setLevel(logging.DEBUG if level == "debug" else max(logging.WARNING, _number(level)))
    logging.getLogger("fairlead").setLevel(_number(level))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    logging.getLogger("uvicorn.access").disabled = True
    logging.captureWarnings(capture=True)


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
