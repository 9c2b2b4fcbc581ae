"""Money and days as people read them in mails, documents and refusals. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["day_text", "dollars"]


def dollars(cents: int) -> str:
    """As "$1,234.50"."""
    sign, cents = ("-", -cents) if cents < 0 else ("", cents)
    return f"{sign}${cents // 100:,}.{cents % 100:02d}"


def day_text(unix_ms: int) -> str:
    """In UTC, as "2027-01-31"."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).date().isoformat()
