"""Chance for what takes hundreds of draws, as an arbitrary generation does."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["SEEDED"]

# Hypothesis draws, varies and tells the seed alone. To do so with each draw takes twenty times as long, and is
# worth it where draws are few and the shortest failing story is wanted.
SEEDED = st.randoms(use_true_random=True)
