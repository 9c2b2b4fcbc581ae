"""The real clock, the real randomness, and the limits of this machine."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import resource
import time
from typing import Final

from fairlead.core.ids import GenerationId, generation_id

__all__ = ["SystemClock", "SystemIds", "allow_many_connections", "spare_the_collector"]

YOUNG_OBJECTS_MAX: Final = 5_000  # of a few hundred bytes each, before the collector looks at them


class SystemClock:
    """Wall-clock time of this machine."""

    def now_s(self) -> float:
        return time.time()

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class SystemIds:
    """Generation ids: time-ordered, with 80 bits from a generator seeded by the system's entropy.

    They need not be unguessable: reading a generation takes its account's key.
    """

    def __init__(self) -> None:
        self._random = random.Random(os.urandom(32))  # noqa: S311 — ids, not secrets

    def generation(self) -> GenerationId:
        return generation_id(time.time_ns() // 1_000_000, self._random.getrandbits(80))

    def seed(self) -> int:
        return self._random.getrandbits(53)


def allow_many_connections() -> None:
    """As many descriptors as the machine lets us have: the usual 1024 are 500 calls and their upstreams."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(
        OSError, ValueError
    ):  # some systems name a limit that they do not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def spare_the_collector() -> None:
    """Keep the garbage collector away from what lives as long as the process.

    Modules and the catalogue are some 70,000 objects: a full collection looks at each and stops the loop
    for 40 ms. And calls leave next to no cycles behind, so it need not look often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, 20, 20)
