"""Waiting for what no event announces: another process coming to rest."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["at_rest", "wait_until"]

LOOK_S = 0.02
PATIENCE_S = 10.0
STEADY_LOOKS = 5


def at_rest(number: Callable[[], int]) -> int:
    """The number, once it has been the same several times in a row."""
    counts = [number()]
    while len(counts) < STEADY_LOOKS or len(set(counts[-STEADY_LOOKS:])) > 1:
        assert len(counts) < PATIENCE_S / LOOK_S, "it does not come to rest"
        threading.Event().wait(LOOK_S)
        counts.append(number())
    return counts[-1]


def wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(int(PATIENCE_S / LOOK_S)):
        if is_so():
            return
        threading.Event().wait(LOOK_S)
    raise AssertionError("it did not come to be")
