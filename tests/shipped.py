"""The catalogue that comes with the package, read once for all modules of a test process: it takes 0.14 s."""

from __future__ import annotations

from typing import Final

from fairlead.control.catalog.files import load_seed

__all__ = ["SEED"]

SEED: Final = load_seed()
