"""Who signs in, and what people have in common: organisations, workspaces."""

from __future__ import annotations

__all__: list[str] = []
