from __future__ import annotations

from collections.abc import Iterator

import pytest

from fairlead.testing.twin import RunningTwin, running_twin


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    """One twin for a module's tests; each test marks its own calls with a tag."""
    with running_twin() as running:
        yield running
