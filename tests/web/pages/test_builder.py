"""The request builder: the address says it all, and what cannot be is said at its field."""

from __future__ import annotations

import html
import json
import re
import shlex
from typing import get_args, get_type_hints

import httpx
import pytest

from fairlead.core.chat import ReasoningSettings
from fairlead.core.routing.preferences import Sort
from fairlead.web.pages.builder_form import EFFORTS, TEXT_CHARACTERS_MAX, draft_of

PAGE = {"accept": "text/html"}


def code_of(page: httpx.Response) -> str:
    found = re.search(r'id="builder-code".*?<code>(.*?)</code>', page.text, re.DOTALL)
    assert found is not None
    return html.unescape(found[1])


async def built(client: httpx.AsyncClient, *, status: int = 200, **given: str) -> httpx.Response:
    page = await client.get("/request-builder", params=given, headers=PAGE)
    assert page.status_code == status
    return page


@pytest.mark.anyio
async def test_nothing_chosen_is_a_call_that_works_at_once(client: httpx.AsyncClient) -> None:
    page = await built(client)
    assert 'model="sandbox/echo"' in code_of(page)
    assert "http://fairlead.test/api/v1" in code_of(page)
    assert "No model here" not in page.text


@pytest.mark.anyio
async def test_all_that_a_call_may_say_can_be_chosen(client: httpx.AsyncClient) -> None:
    said = get_args(get_type_hints(ReasoningSettings)["effort"])[0]
    assert {name for name, _ in EFFORTS if name} == set(get_args(said))
    for sort in Sort:
        page = await built(client, language="curl", sort=sort)
        assert f'"sort": "{sort}"' in code_of(page)


@pytest.mark.anyio
async def test_the_address_holds_the_whole_call(client: httpx.AsyncClient) -> None:
    page = await built(
        client,
        language="curl",
        model="openai/o1",
        system="Be brief.",
        message='It\'s "fine"',
        stream="true",
        temperature="0.5",
        max_tokens="100",
        stop="END\r\n\r\nSTOP",
        effort="low",
        format="json_object",
        models="openai/o3-mini, openai/o4-mini",
        order="openai,azure",
        sort="price",
        zdr="true",
        no_fallbacks="true",
    )
    words = shlex.split(code_of(page))
    assert json.loads(words[words.index("-d") + 1]) == {
        "model": "openai/o1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": 'It\'s "fine"'},
        ],
        "temperature": 0.5,
        "max_tokens": 100,
        "stop": ["END", "STOP"],
        "reasoning": {"effort": "low"},
        "response_format": {"type": "json_object"},
        "models": ["openai/o3-mini", "openai/o4-mini"],
        "provider": {
            "order": ["openai", "azure"],
            "sort": "price",
            "zdr": True,
            "allow_fallbacks": False,
        },
        "stream": True,
    }
    assert "noindex" in page.text


@pytest.mark.anyio
async def test_what_cannot_be_is_said_at_its_field_and_is_not_in_the_code(
    client: httpx.AsyncClient,
) -> None:
    page = await built(client, status=422, temperature="hot", top_p="7", seed="1.5")
    for name, problem in (
        ("temperature", "Must be a number."),
        ("top_p", "Must be from 0 to 1."),
        ("seed", "Must be a whole number."),
    ):
        assert f'<p class="problem" id="field-{name}-problem">{problem}</p>' in page.text
        assert name not in code_of(page)
    assert 'value="hot"' in page.text


@pytest.mark.anyio
async def test_while_somebody_types_only_the_code_is_answered(client: httpx.AsyncClient) -> None:
    page = await client.get(
        "/request-builder", params={"seed": "x"}, headers=PAGE | {"hx-request": "true"}
    )
    assert page.status_code == 200
    assert page.text.lstrip().startswith('<div id="result"')
    assert "Not in the code" in page.text


@pytest.mark.anyio
@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'])
async def test_hostile_words_stay_words(client: httpx.AsyncClient, text: str) -> None:
    page = await built(client, model=text, system=text, message=text, order=text, language=text)
    assert text not in page.text
    assert text in code_of(page) or text.replace('"', '\\"') in code_of(page)
    assert "No model here has the name" in page.text


@pytest.mark.anyio
async def test_what_a_model_does_not_take_is_said(client: httpx.AsyncClient) -> None:
    page = await built(client, model="sandbox/echo", top_k="5", seed="1")
    assert "sandbox/echo does not take top_k;" in page.text


@pytest.mark.anyio
async def test_nobody_is_offered_to_run_it(client: httpx.AsyncClient) -> None:
    assert 'id="builder-run"' not in (await built(client)).text


def test_an_address_is_bounded() -> None:
    draft = draft_of({"message": "x" * (TEXT_CHARACTERS_MAX + 1)}, model="a/b")
    assert "message" in draft.problems
    assert draft.messages[0]["content"] == "x" * TEXT_CHARACTERS_MAX
