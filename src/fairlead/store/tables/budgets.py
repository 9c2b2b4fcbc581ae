"""What may be spent: limits, what is spent of them, and the slices that processes have leased."""

from __future__ import annotations

__all__: list[str] = []
