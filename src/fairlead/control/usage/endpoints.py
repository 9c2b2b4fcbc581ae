"""How endpoints did in the past. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import add
from typing import Final

from fairlead.control.usage.histograms import LATENCY_BOUNDS_MS, PACE_BOUNDS, percentile
from fairlead.store.tables.usage import ENDPOINT_COUNTS, LATENCY_BUCKETS

__all__ = ["EndpointSpan", "together"]

_COUNTS: Final = len(ENDPOINT_COUNTS)
_MS_PER_S: Final = 1000


@dataclass(frozen=True, slots=True)
class EndpointSpan:
    """One endpoint in one hour or day.

    counts: of ENDPOINT_COUNTS, the latency buckets and the pace buckets, in that order.
    """

    model: str
    start_ms: int
    endpoint: str
    provider: str
    counts: tuple[int, ...]

    def count(self, name: str) -> int:
        """One of ENDPOINT_COUNTS."""
        return self.counts[ENDPOINT_COUNTS.index(name)]

    @property
    def calls(self) -> int:
        """All that came to something."""
        return sum(self.counts[: ENDPOINT_COUNTS.index("latency_ms")])

    @property
    def uptime(self) -> float | None:
        """Successes, as a share of the calls that tell; None: none does. Rate limits and callers' mistakes
        tell nothing."""
        successes, outages = self.count("successes"), self.count("outages")
        return successes / (successes + outages) if successes + outages else None

    @property
    def latency_s(self) -> float | None:
        """Mean time to the first token."""
        successes = self.count("successes")
        return self.count("latency_ms") / successes / _MS_PER_S if successes else None

    @property
    def tokens_per_s(self) -> float | None:
        """Mean pace after the first token."""
        paced_ms = self.count("paced_ms")
        return self.count("paced_tokens") * _MS_PER_S / paced_ms if paced_ms else None

    def latency_percentile_s(self, share: float) -> float | None:
        """share: in [0, 1], as 0.95; within a fifth of the truth."""
        of_latency = self.counts[_COUNTS : _COUNTS + LATENCY_BUCKETS]
        found = percentile(of_latency, LATENCY_BOUNDS_MS, share)
        return None if found is None else found / _MS_PER_S

    def pace_percentile(self, share: float) -> float | None:
        """Tokens per second; as latency_percentile_s."""
        return percentile(self.counts[_COUNTS + LATENCY_BUCKETS :], PACE_BOUNDS, share)


def together(spans: Iterable[EndpointSpan]) -> dict[str, EndpointSpan]:
    """By endpoint, each from the first of its spans on."""
    found: dict[str, EndpointSpan] = {}
    for one in spans:
        before = found.get(one.endpoint)
        if before is None:
            found[one.endpoint] = one
            continue
        found[one.endpoint] = EndpointSpan(
            one.model,
            min(before.start_ms, one.start_ms),
            one.endpoint,
            one.provider,
            _added(before.counts, one.counts),
        )
    return found


def _added(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    return tuple(map(add, one, other))
