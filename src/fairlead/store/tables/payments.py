"""Purchases, refunds, and what the payment company tells us."""

from __future__ import annotations

__all__: list[str] = []
