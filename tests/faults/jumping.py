"""`fairlead` with a wall clock that can be set while it runs: by a file that holds seconds, added to the time.

python -m tests.faults.jumping FILE serve ...
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from fairlead.cli.main import main
from fairlead.compose import system

__all__ = ["JumpingTime"]


class JumpingTime:
    """Stands where the module `time` does. The monotonic clock never jumps."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def time(self) -> float:
        return time.time() + self._offset_s()

    def time_ns(self) -> int:
        return time.time_ns() + self._offset_s() * 1_000_000_000

    def _offset_s(self) -> int:
        return int(self._file.read_text() or 0)


if __name__ == "__main__":
    system.time = JumpingTime(Path(sys.argv[1]))  # type: ignore[assignment]
    del sys.argv[1]
    main()
