"""What shall go wrong at the replay server, in one small language: `cut_after_events=3;cut=rst`.

delay_headers_ms=N      wait before the status line
delay_first_byte_ms=N   wait between the head and the first byte of the body
event_delay_ms=N        wait between the events of a stream
chunking=event          one write per event (the default); `whole`: one write; `bytes:N`: N bytes per write,
                        which splits characters, line ends and events anywhere
drip_bytes=N;drip_ms=M  N bytes every M ms; drip_headers: the head as well
status=N                an error: one that was recorded of this provider, else one in its format
retry_after=S           a retry-after header
html                    with status: a page, as from a proxy in between
hang=headers|body       say nothing more, before the head or after it; hang_after_events=N: after N events
refuse                  close the connection before any byte
cut_after_events=N      close it after N events, without the end of the body; cut_after_bytes=N
cut=fin|rst             how (fin unless told)
truncate_after_events=N end the body properly, but early
error_event_after=N     after N events an error in the format of the stream, then the end
garbage                 nonsense in place of the body; garbage_after_events=N: in the middle of it
comments                a comment line between events
crlf                    lines end in CRLF
gzip                    the body is compressed, flushed after each write
no_content_type         no such header; content_type=T: another one
close                   `connection: close`
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

__all__ = ["NO_FAULT", "Fault", "parse"]


@dataclass(frozen=True, slots=True)
class Fault:
    """See the top of the file. None, False and 0: nothing of the kind."""

    delay_headers_ms: int = 0
    delay_first_byte_ms: int = 0
    event_delay_ms: int = 0
    chunking: str = "event"
    drip_bytes: int = 0
    drip_ms: int = 0
    drip_headers: bool = False
    status: int | None = None
    retry_after: int | None = None
    html: bool = False
    hang: str | None = None
    hang_after_events: int | None = None
    refuse: bool = False
    cut_after_events: int | None = None
    cut_after_bytes: int | None = None
    cut: str = "fin"
    truncate_after_events: int | None = None
    error_event_after: int | None = None
    garbage: bool = False
    garbage_after_events: int | None = None
    comments: bool = False
    crlf: bool = False
    gzip: bool = False
    no_content_type: bool = False
    content_type: str | None = None
    close: bool = False


NO_FAULT = Fault()
_KINDS: dict[str, str] = {field.name: str(field.type) for field in fields(Fault)}


def parse(text: str) -> Fault:
    """Raises ValueError for a word that is none of these."""
    values: dict[str, Any] = {}
    for word in filter(None, text.split(";")):
        name, _, value = word.partition("=")
        if name not in _KINDS:
            raise ValueError(f"{name!r} is not a fault")
        if _KINDS[name] == "bool":
            values[name] = True
        else:
            values[name] = int(value) if _KINDS[name].startswith("int") else value
    return Fault(**values)
