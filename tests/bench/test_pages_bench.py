"""Every page, asked among 700 models and more of everything else than it shows: bench/pages.py in miniature.

How fast a busy machine is says nothing; how much work a page makes does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN_S_MAX = 100.0
QUERIES_MAX = 40  # whatever a page shows fifty of, it asks for together
SENT_BYTES_MAX = 150_000  # of a page; scripts, styles and font are some 90 KB besides


@pytest.mark.timeout(RUN_S_MAX + 15)
def test_no_page_asks_or_sends_more_the_more_there_is(tmp_path: Path) -> None:
    raw = tmp_path / "raw.json"
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "pages.py"), "--quick", "--json", str(raw)],
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    assert raw.exists(), done.stderr  # whatever it says of how fast they are
    pages = json.loads(raw.read_bytes())
    assert len(pages) > 100
    asking = {name: one["queries"] for name, one in pages.items()}
    assert {name: count for name, count in asking.items() if count > QUERIES_MAX} == {}
    sent = {name: one["sent_bytes"] for name, one in pages.items()}
    assert {name: size for name, size in sent.items() if size > SENT_BYTES_MAX} == {}
