"""`/data`: the data sets, with examples that call this installation."""

from __future__ import annotations

import re
from html import unescape

from tests.web.management.stage import Stage


def test_each_example_can_be_called_and_has_its_place_in_the_reference(stage: Stage) -> None:
    page = unescape(stage.send("GET", "/data").text)
    calls = re.findall(r'curl -G "http://fairlead\.test(/api/v1/[^"]+)"((?: \\\n  -d \S+)+)', page)
    assert len(calls) == 5
    for path, given in calls:
        query = dict(one.split("=") for one in re.findall(r"-d (\S+)", given))
        answer = stage.send("GET", path, key=stage.ada.key.secret, query=query)
        assert answer.status_code == 200, path
    reference = stage.send("GET", "/docs/api/data").text
    for place in re.findall(r'href="/docs/api/data#([^"]+)"', page):
        assert f'id="{place}"' in reference


def test_the_foot_of_every_page_leads_there(stage: Stage) -> None:
    assert 'href="/data"' in stage.send("GET", "/providers").text
