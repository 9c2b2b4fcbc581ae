"""How well endpoints are, from what their calls came to. Pure: the caller says what time it is.

Start with `book.py`: what the gateway tells the book, and what routing asks of it. `endpoint.py` is what is
kept of one endpoint, in `counts.py` (how many), `sketches.py` (how fast) and `breaker.py` (whether it may be
asked at all); `silence.py` finds out who hangs. `outcome.py` says what an outcome means. `news.py` is what one
process tells the others, `saved.py` what outlives a process.
"""

from __future__ import annotations

from fairlead.core.health.book import ENDPOINTS_MAX, HealthBook
from fairlead.core.health.endpoint import EndpointFigures
from fairlead.core.health.outcome import EndpointOutcome

__all__ = [
    "ENDPOINTS_MAX",
    "EndpointFigures",
    "EndpointOutcome",
    "HealthBook",
]
