"""Recorded traffic of providers, for any test that wants real bytes. See tests/recordings/README.md."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

__all__ = [
    "RecordedHeaders",
    "Recording",
    "load",
    "load_native",
    "names",
    "native_recording",
    "recording",
]

FOLDER = Path(__file__).parent / "recordings"
NATIVE = FOLDER / "native"


@dataclass(frozen=True)
class RecordedHeaders:
    """Headers as adapters read them: by lower-case name."""

    values: dict[str, str]

    def get(self, name: str) -> str | None:
        return self.values.get(name)


@dataclass(frozen=True)
class Recording:
    """One request and its answer. body: the exact bytes of the answer, not compressed."""

    id: str
    provider: str
    path: str
    streamed: bool
    request: Any
    status: int
    headers: RecordedHeaders
    body: bytes
    request_headers: dict[str, str] = field(default_factory=dict)

    @property
    def is_sse(self) -> bool:
        return (self.headers.get("content-type") or "").startswith("text/event-stream")

    def __repr__(self) -> str:
        return self.id


def names() -> list[str]:
    """Providers that there are recordings of."""
    return sorted(path.stem for path in FOLDER.glob("*.jsonl"))


@cache
def load(provider: str) -> tuple[Recording, ...]:
    """All recordings of one provider, in a fixed order."""
    with (FOLDER / f"{provider}.jsonl").open(encoding="utf-8") as lines:
        return tuple(_recording(provider, json.loads(line)) for line in lines)


def recording(case_id: str) -> Recording:
    """One recording by its id, "<provider>.<api>-<source>-<number>"."""
    provider = case_id.partition(".")[0]
    return next(case for case in load(provider) if case.id == case_id)


@cache
def load_native(name: str) -> tuple[Recording, ...]:
    """All recordings of one file in `native/`: formats other than OpenAI's chat, in a fixed order."""
    with (NATIVE / f"{name}.jsonl").open(encoding="utf-8") as lines:
        return tuple(_recording(name, json.loads(line)) for line in lines)


def native_recording(name: str, case_id: str) -> Recording:
    """One recording of one file in `native/`."""
    return next(case for case in load_native(name) if case.id == case_id)


def _recording(provider: str, line: dict[str, Any]) -> Recording:
    return Recording(
        id=line["id"],
        provider=provider,
        path=line["path"],
        streamed=line["streamed"],
        request=line["request"],
        status=line["status"],
        headers=RecordedHeaders(line["headers"]),
        body=(
            base64.b64decode(line["response"])
            if line.get("encoding") == "base64"
            else line["response"].encode()
        ),
        request_headers=line.get("request_headers", {}),
    )
