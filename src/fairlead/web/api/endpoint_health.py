"""An endpoint's health as the public API shows it: status, uptime, speed. Pure.

The public document names the values that `status` may have, and not what they mean; ours are in
docs/operate/health.md.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.health import EndpointFigures
from fairlead.core.routing.facts import Percentiles, Standing

__all__ = ["NOT_ROUTABLE", "STATUS", "UNMEASURED", "health_fields"]

Json = dict[str, object]

STATUS: Final[dict[Standing, int]] = {
    Standing.GOOD: 0,
    Standing.LIMITED: -1,
    Standing.DEGRADED: -2,
    Standing.UNSTABLE: -3,
    Standing.DOWN: -5,
}
NOT_ROUTABLE: Final = -10  # this installation has no credential for it

_PERCENT_DIGITS: Final = 2
_RATE_DIGITS: Final = 2


def health_fields(
    figures: EndpointFigures, *, can_serve: bool = True, shows_speed: bool = True
) -> Json:
    """shows_speed: percentiles are for callers with a key; the others see null."""
    return {
        "status": STATUS[figures.standing] if can_serve else NOT_ROUTABLE,
        "uptime_last_5m": _percent(figures.uptime_5m),
        "uptime_last_30m": _percent(figures.uptime_30m),
        "uptime_last_1d": _percent(figures.uptime_1d),
        "latency_last_30m": _milliseconds(figures.latency_30m) if shows_speed else None,
        "throughput_last_30m": _rates(figures.throughput_30m) if shows_speed else None,
    }


def _percent(uptime: float | None) -> float | None:
    return None if uptime is None else round(uptime, _PERCENT_DIGITS)


def _milliseconds(latency_s: Percentiles | None) -> Json | None:
    if latency_s is None:
        return None
    return {name: round(value * 1000) for name, value in msgspec.structs.asdict(latency_s).items()}


def _rates(throughput: Percentiles | None) -> Json | None:
    if throughput is None:
        return None
    return {
        name: round(value, _RATE_DIGITS)
        for name, value in msgspec.structs.asdict(throughput).items()
    }


UNMEASURED: Final[Json] = health_fields(EndpointFigures())
