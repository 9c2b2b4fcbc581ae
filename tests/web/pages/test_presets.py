"""The pages of presets: made, revised, taken back, switched off; what is wrong is said where it stands."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from tests.web.management.stage import Stage
from tests.web.pages.test_settings import SCRIPT, Window, problem_at, saved

PATH = "/settings/presets"
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


@pytest.fixture
def ada(stage: Stage) -> Window:
    return Window(stage, stage.ada)


@pytest.fixture
def bob(stage: Stage) -> Window:
    return Window(stage, stage.bob)


def kept(stage: Stage, slug: str, version: int | None = None) -> Any:
    """What the API shows of Ada's preset."""
    name = "GET /presets/{slug}" if version is None else "GET /presets/{slug}/versions/{version}"
    path = {"slug": slug, "version": str(version)}
    return stage.ask(name, key=stage.ada.key.secret, path=path).json()["data"]


def form_of(page: str) -> dict[str, str]:
    """What a browser would send of the big form, if nothing was changed."""
    form = max(re.findall(r"<form method=\"post\">.*?</form>", page, re.DOTALL), key=len)
    fields: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if attributes.get("type") != "checkbox" or " checked" in tag:
            fields[attributes["name"]] = attributes["value"]
    areas = r'<textarea[^>]*name="(\w+)"[^>]*>\n(.*?)</textarea>'
    fields |= dict(re.findall(areas, form, re.DOTALL))
    for name, options in re.findall(
        r'<select[^>]*name="(\w+)"[^>]*>(.*?)</select>', form, re.DOTALL
    ):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        fields[name] = chosen[1] if chosen else ""
    return {name: html.unescape(text) for name, text in fields.items() if name != "csrf"}


EVERYTHING = {
    "name": "support",
    "title": f"Help {SCRIPT}",
    "description": "For the help centre",
    "model": "openai/gpt-4o",
    "models": "openai/o1\nopenai/o3",
    "system_prompt": "Be brief.\r\nBe kind.",
    "temperature": "0.7",
    "top_p": "0.9",
    "max_tokens": "500",
    "seed": "5",
    "effort": "low",
    "stop": "END\nSTOP HERE",
    "tools": json.dumps(TOOLS),
    "more": '{"frequency_penalty": 0.3, "tool_choice": "auto"}',
    "order": "openai",
    "allow_fallbacks": "true",
    "max_prompt": "2.5",
    "zdr": "true",
    "cache": "on",
    "cache_ttl_seconds": "600",
}
CONFIG = {
    "model": "openai/gpt-4o",
    "models": ["openai/o1", "openai/o3"],
    "provider": {"order": ["openai"], "zdr": True, "max_price": {"prompt": "2.5"}},
    "temperature": 0.7,
    "top_p": 0.9,
    "frequency_penalty": 0.3,
    "max_tokens": 500,
    "seed": 5,
    "stop": ["END", "STOP HERE"],
    "reasoning": {"effort": "low"},
    "tools": TOOLS,
    "tool_choice": "auto",
    "cache_enabled": True,
    "cache_ttl_seconds": 600,
}


def test_a_form_says_all_and_shows_it_again(stage: Stage, ada: Window) -> None:
    assert "No presets yet" in ada.get(PATH).text
    made = ada.post(f"{PATH}/new", **EVERYTHING)
    assert made.headers["location"].startswith(f"{PATH}/support?")
    version = kept(stage, "support")["designated_version"]
    assert (version["config"], version["system_prompt"]) == (CONFIG, "Be brief.\nBe kind.")
    listed, page = ada.get(PATH).text, ada.get(f"{PATH}/support").text
    for shown in (listed, page):
        assert "@preset/support" in shown
        assert SCRIPT not in shown
    assert "openai/gpt-4o, openai/o1, openai/o3" in listed
    # Saved again as it is shown, it says the same, and that makes no new version.
    again = form_of(page)
    assert again.keys() >= EVERYTHING.keys() - {"name"}
    assert saved(ada.post(f"{PATH}/support", **again))
    assert kept(stage, "support")["designated_version"] == version
    assert saved(ada.post(f"{PATH}/support", **{**again, "temperature": ""}))
    revised = kept(stage, "support")["designated_version"]
    assert (revised["version"], "temperature" in revised["config"]) == (2, False)


@pytest.mark.parametrize("stop", ["a\nb", "a\u2028b"])
def test_what_has_no_field_stays_as_it_is(stage: Stage, ada: Window, stop: str) -> None:
    body = {
        "provider": {"quantizations": ["fp8"], "sort": {"by": "price", "partition": "none"}},
        "stop": [stop],
        "reasoning": {"max_tokens": 2000},
        "logit_bias": {"5": 1},
    }
    name = "POST /presets/{slug}/chat/completions"
    stage.ask(name, key=stage.ada.key.secret, path={"slug": "odd"}, body=body)
    form = form_of(ada.get(f"{PATH}/odd").text)
    assert saved(ada.post(f"{PATH}/odd", **{**form, "model": "openai/o1"}))
    version = kept(stage, "odd")["designated_version"]
    assert version["config"] == {**body, "model": "openai/o1"}


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("name", SCRIPT),
        ("name", "-"),
        ("title", "x" * 101),
        ("description", "x" * 501),
        ("model", "@preset/other"),
        ("temperature", "3"),
        ("temperature", "warm"),
        ("max_tokens", "0"),
        ("max_tokens", "1.5"),
        ("seed", "true"),
        ("effort", "huge"),
        ("stop", "1\n2\n3\n4\n5"),
        ("tools", "{"),
        ("tools", "{}"),
        ("tools", '[{"type": "function"}]'),
        ("more", "[]"),
        ("more", '{"temprature": 1}'),
        ("more", '{"temperature": 1}'),
        ("more", '{"stream": true}'),
        ("more", '{"provider": {}}'),
        ("max_prompt", "cheap"),
        ("cache_ttl_seconds", "86401"),
        ("system_prompt", "x" * 65_537),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    stage: Stage, ada: Window, field: str, said: str
) -> None:
    answer = ada.post(f"{PATH}/new", **{"name": "x", field: said})
    assert problem_at(answer, field)
    assert SCRIPT not in answer.text
    assert stage.ask("GET /presets", key=stage.ada.key.secret).json()["total_count"] == 0


def test_a_version_is_taken_back_and_a_preset_switched_off(stage: Stage, ada: Window) -> None:
    assert saved(ada.post(f"{PATH}/new", name="a", model="openai/o1", allow_fallbacks="true"))
    assert problem_at(ada.post(f"{PATH}/new", name="a"), "name")
    assert saved(ada.post(f"{PATH}/a", model="openai/o3", allow_fallbacks="true"))
    assert saved(ada.post(f"{PATH}/a/designate", version="1"))
    assert kept(stage, "a")["designated_version"]["config"]["model"] == "openai/o1"
    assert ada.post(f"{PATH}/a/designate", version="7").status_code == 404
    for status, words in (("disabled", "It is disabled"), ("archived", "It is archived")):
        assert saved(ada.post(f"{PATH}/a/status", status=status))
        assert kept(stage, "a")["status"] == status
        assert words in ada.get(f"{PATH}/a").text
    assert ada.post(f"{PATH}/a/status", status="broken").status_code == 400
    assert ada.post(f"{PATH}/a", model="openai/o3").status_code == 422  # archived ones stay
    assert saved(ada.post(f"{PATH}/a/status", status="active"))
    assert ada.post(f"{PATH}/a/delete").status_code == 409
    ada.post(f"{PATH}/a/status", status="archived")
    assert ada.post(f"{PATH}/a/delete").headers["location"].startswith(f"{PATH}?")
    assert ada.get(f"{PATH}/a").status_code == 404


def test_presets_are_a_workspaces_and_who_works_in_it_changes_them(
    stage: Stage, bob: Window
) -> None:
    crew = stage.organisation(stage.ada, stage.bob)
    admin, member = Window(stage, stage.ada, crew), Window(stage, stage.bob, crew)
    assert saved(admin.post("/settings/workspaces", name="Lab", slug="lab"))
    lab = "?workspace=lab"
    assert (
        admin.post(f"{PATH}/new{lab}", name="secret")
        .headers["location"]
        .startswith(f"{PATH}/secret{lab}")
    )
    assert saved(member.post(f"{PATH}/new", name="shared", model="openai/o1"))
    assert "@preset/shared" in admin.get(PATH).text
    assert "@preset/secret" in admin.get(f"{PATH}{lab}").text
    assert "@preset/secret" not in admin.get(PATH).text
    for where in (f"{PATH}{lab}", f"{PATH}/secret{lab}", f"{PATH}/secret"):
        assert member.get(where).status_code == 404
    for action in ("", "/designate", "/status", "/delete"):
        fields = {"version": "1", "status": "disabled"}
        assert member.post(f"{PATH}/secret{action}{lab}", **fields).status_code == 404
        assert bob.post(f"{PATH}/shared{action}", **fields).status_code == 404
