"""Prompts and answers of accounts that asked us to keep them, encrypted."""

from __future__ import annotations

__all__: list[str] = []
