"""`/data`: the data sets, with examples that call this installation."""

from __future__ import annotations

import re
from html import unescape

from tests.web.management.stage import Stage


def test_each_example_can_be_called_and_has_its_place_in_the_reference(stage: Stage) -> None:
    answer = stage.send("GET", "/data")
    assert answer.status_code == 200
    page = unescape(answer.text)
    called = re.findall(r'curl "http://fairlead\.test(/api/v1/[^"]+)"', page)
    assert len(called) == 5
    for path in called:
        assert stage.send("GET", path, key=stage.ada.key.secret).status_code == 200, path
    reference = stage.send("GET", "/docs/api/data").text
    for place in re.findall(r'href="/docs/api/data#([^"]+)"', page):
        assert f'id="{place}"' in reference


def test_the_foot_of_every_page_leads_there(stage: Stage) -> None:
    assert 'href="/data"' in stage.send("GET", "/providers").text
