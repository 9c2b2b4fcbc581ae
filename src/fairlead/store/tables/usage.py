"""Usage added up by minute, hour and day: what people look at."""

from __future__ import annotations

__all__: list[str] = []
