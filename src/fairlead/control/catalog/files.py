"""The catalogue that comes with the package, read from its files."""

from __future__ import annotations

from importlib.resources import files

from fairlead.core.catalog import Snapshot
from fairlead.core.catalog_data import load_snapshot

__all__ = ["load_seed"]


def load_seed() -> Snapshot:
    """Blocks for some 100 ms. Raises CatalogInvalid if the package's files were damaged."""
    data = files("fairlead") / "data"
    return load_snapshot(
        (data / "models.json").read_bytes(),
        (data / "providers.json").read_bytes(),
        (data / "benchmarks.json").read_bytes(),
    )
