"""The chat's page: for who is signed in; others are told why, and where to."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
import pytest

from fairlead.control.audit.types import Actor
from fairlead.control.workspaces.types import WorkspaceChange
from fairlead.core.catalog import Snapshot
from fairlead.core.health import EndpointFigures
from fairlead.core.ids import EndpointId, ProviderSlug
from fairlead.web.pages.chat import chat_models
from fairlead.web.pages.model_list import catalogue_of
from tests.web.management.stage import Stage

PAGE = {"accept": "text/html"}


@dataclass(frozen=True)
class Opened:
    """One provider has a credential."""

    provider: str

    def figures(self, _endpoint: EndpointId) -> EndpointFigures:
        return EndpointFigures()

    def can_serve(self, provider: ProviderSlug) -> bool:
        return provider == self.provider


@pytest.mark.anyio
async def test_without_sessions_it_says_so(client: httpx.AsyncClient) -> None:
    page = await client.get("/chat", headers=PAGE)
    assert page.status_code == 200
    assert "Nobody can sign in here" in page.text
    assert "chat.js" not in page.text


def test_nobody_is_led_to_the_sign_in_and_back(stage: Stage) -> None:
    page = stage.send("GET", "/chat", query={"model": "openai/o1"}, headers=PAGE)
    assert page.status_code == 200
    assert 'href="/sign-in?next=/chat%3Fmodel%3Dopenai%252Fo1"' in page.text


def test_who_is_signed_in_has_a_place_of_their_own(stage: Stage) -> None:
    ada = stage.signed_in(stage.ada.user)
    page = stage.send("GET", "/chat", headers=PAGE | ada)
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert f'data-owner="{stage.ada.account} {stage.ada.user}"' in page.text
    assert 'data-default="sandbox/echo"' in page.text
    assert f'data-csrf="{ada["x-csrf-token"]}"' in page.text


def test_workspaces_are_offered_where_there_are_several(stage: Stage) -> None:
    headers = PAGE | stage.signed_in(stage.ada.user)
    assert "data-workspace" not in stage.send("GET", "/chat", headers=headers).text
    wanted = WorkspaceChange(name="Lab <i>", slug="lab")
    actor = Actor.user(stage.ada.user)
    lab = stage.control.workspaces.create(stage.ada.account, wanted, actor=actor)
    page = stage.send("GET", "/chat", headers=headers).text
    assert f'<option value="{lab.id}">Lab &lt;i&gt;</option>' in page
    assert 'data-workspace=""' in page
    assert "more can be opened" not in page


def test_an_address_names_a_workspace_also_one_beyond_those_that_are_offered(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead.web.pages.workspace_choice.OFFERED_MAX", 2)
    headers = PAGE | stage.signed_in(stage.ada.user)
    actor = Actor.user(stage.ada.user)
    made = [
        stage.control.workspaces.create(
            stage.ada.account, WorkspaceChange(name=f"Lab {slug}", slug=slug), actor=actor
        )
        for slug in ("a", "b", "c")
    ]

    def shown(wanted: str) -> str:
        query = {"workspace": wanted} if wanted else {}
        return stage.send("GET", "/chat", query=query, headers=headers).text

    page = shown("")
    beyond = next(one for one in made if one.name not in page)
    assert '2 more can be opened from <a href="/settings/workspaces">' in page
    page = shown(beyond.slug)
    assert f'data-workspace="{beyond.id}" data-has-others' in page
    assert f'<option value="{beyond.id}" selected>{beyond.name}</option>' in page
    assert '1 more can be opened from <a href="/settings/workspaces">' in page
    assert 'data-workspace=""' in shown("gone")


def test_an_address_names_the_first_model_if_there_is_one(stage: Stage) -> None:
    ada = stage.signed_in(stage.ada.user)
    for wanted, shown in (
        ("openai/o1", "openai/o1"),
        ('"><script>alert(1)</script>', "sandbox/echo"),
    ):
        page = stage.send("GET", "/chat", query={"model": wanted}, headers=PAGE | ada)
        assert f'data-default="{shown}"' in page.text
        assert "<script>alert" not in page.text


@pytest.mark.anyio
async def test_models_are_listed_once_and_then_known(client: httpx.AsyncClient) -> None:
    first = await client.get("/chat/models.json")
    assert first.headers["content-encoding"] == "gzip"
    found = {one["id"]: one for one in first.json()["data"]}
    assert found["sandbox/echo"]["reads"] == ["audio", "file", "image", "video"]
    assert "sandbox/embed" not in found
    again = await client.get("/chat/models.json", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304


def test_models_that_cannot_be_called_here_are_told_apart(seed: Snapshot) -> None:
    found = {one.id: one for one in chat_models(catalogue_of(seed), Opened("sandbox"))}
    assert found["sandbox/echo"].ready
    assert not found["openai/o1"].ready
    assert found["sandbox/reasoner"].reasons
