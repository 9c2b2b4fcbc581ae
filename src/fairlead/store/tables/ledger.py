"""The ledger: entries and their postings, and the lots in which credit is held."""

from __future__ import annotations

__all__: list[str] = []
