"""What is open, and stays open: files of credentials, sign-ins and their tasks, other configurations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qs

from fairlead.core.ids import ProviderSlug
from fairlead.gateway.credentials import Lacking
from fairlead.gateway.keyring import Keyring, Opened, open_providers
from fairlead.providers.base import Credential, UpstreamRequest
from fairlead.settings import ProviderSettings, Secret
from fairlead.testing.upstream import Script, ScriptedUpstream
from fairlead.testing.vtime import run_simulated
from tests.shipped import SEED

PROVIDERS = SEED.providers
VERTEX = ProviderSlug("google-vertex")
OPENAI = ProviderSlug("openai")


def user_file(folder: Path, name: str, **fields: str) -> str:
    """A user's file: to sign statements for simulated hours would take real seconds."""
    path = folder / name
    told = {
        "type": "authorized_user",
        "client_id": name,
        "client_secret": "s",
        "refresh_token": "r",
    }
    path.write_text(json.dumps(told | fields))
    return str(path)


def opened(**settings: Mapping[str, str]) -> Opened:
    """settings: by provider, with `_` for `-`; `api_key` is the key, all else are options."""
    configured = {
        ProviderSlug(name.replace("_", "-")): ProviderSettings(
            api_key=Secret(given["api_key"]) if "api_key" in given else None,
            options={key: Secret(text) for key, text in given.items() if key != "api_key"},
        )
        for name, given in settings.items()
    }
    return open_providers(PROVIDERS, configured, spoken=PROVIDERS)


def found(one: Opened) -> Credential:
    credential = one.found(VERTEX)
    assert isinstance(credential, Credential)
    return credential


def lacking(one: Opened) -> Lacking:
    missing = one.found(VERTEX)
    assert isinstance(missing, Lacking)
    return missing


# --- what opens -------------------------------------------------------------------------------------------


def test_the_accounts_own_project_is_used_and_the_global_location(tmp_path: Path) -> None:
    path = user_file(tmp_path, "a", quota_project_id="its-own")
    one = opened(google_vertex={"credentials_file": path})
    assert found(one).base_url == (
        "https://global-aiplatform.googleapis.com/v1/projects/its-own/locations/global"
    )
    assert VERTEX in one.accounts
    told = opened(
        google_vertex={"credentials_file": path, "project": "ours", "location": "europe-west4"}
    )
    assert found(told).base_url.endswith("/projects/ours/locations/europe-west4")


def test_an_account_without_a_project_needs_one(tmp_path: Path) -> None:
    one = opened(google_vertex={"credentials_file": user_file(tmp_path, "a")})
    assert lacking(one).remedy.startswith("set providers.google-vertex.project")
    assert not one.accounts


def test_a_file_that_cannot_be_read_closes_its_provider_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "missing.json")
    one = opened(google_vertex={"credentials_file": path}, openai={"api_key": "k"})
    assert path in lacking(one).remedy
    assert lacking(one).is_mistake
    assert one.unreadable == (VERTEX,)
    assert OPENAI in one.credentials


def test_a_token_of_ones_own_needs_no_sign_in(tmp_path: Path) -> None:
    path = str(tmp_path / "missing.json")
    one = opened(google_vertex={"api_key": "t", "project": "p", "credentials_file": path})
    assert found(one).api_key == "t"
    assert not one.accounts
    assert "api_key" not in lacking(opened(google_vertex={"project": "p"})).remedy


def test_a_format_that_nobody_speaks_opens_nothing() -> None:
    configured = {OPENAI: ProviderSettings(api_key=Secret("k"))}
    one = open_providers(PROVIDERS, configured, spoken={})
    assert one.found(OPENAI) == Lacking("this version does not speak its format yet")


# --- staying signed in ------------------------------------------------------------------------------------


class Google:
    """Grants tokens of an hour, numbered for each account."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, request: UpstreamRequest) -> Script:
        account = parse_qs(request.body.decode())["client_id"][0]
        self.asked.append(account)
        token = f"{account}-{self.asked.count(account)}"
        answer = {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}
        return Script([(0.1, json.dumps(answer).encode())])


class FixedClock:
    def now_s(self) -> float:
        return 1_790_000_000.0


Story = Callable[[Google, Keyring], Awaitable[None]]


def kept(begin: Opened, story: Story) -> None:
    """Run a story beside the keyring's tasks, in simulated time; nothing of them may be left."""

    async def main() -> None:
        google = Google()
        upstream = ScriptedUpstream(google)
        keyring = Keyring(begin, client=upstream, clock=FixedClock())
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(keyring.run())
            await keyring.signed_in(timeout_s=5)
            await story(google, keyring)
            running.cancel()
        assert len(asyncio.all_tasks()) == 1
        await upstream.aclose()  # complains about what was left open

    run_simulated(main())


def vertex(folder: Path, name: str) -> dict[str, str]:
    return {"credentials_file": user_file(folder, name), "project": "p"}


def test_the_current_token_is_the_key(tmp_path: Path) -> None:
    async def story(google: Google, keyring: Keyring) -> None:
        assert keyring.has(VERTEX)
        assert keyring.find(VERTEX).api_key == "a-1"
        assert keyring.find(OPENAI).api_key == "k"
        await asyncio.sleep(1801)
        assert keyring.find(VERTEX).api_key == "a-2"

    kept(opened(google_vertex=vertex(tmp_path, "a"), openai={"api_key": "k"}), story)


def test_without_a_token_there_is_no_credential(tmp_path: Path) -> None:
    async def main() -> None:
        upstream = ScriptedUpstream(lambda _: Script([], refuses=True))
        one = opened(google_vertex=vertex(tmp_path, "a"), openai={"api_key": "k"})
        keyring = Keyring(one, client=upstream, clock=FixedClock())
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(keyring.run())
            await keyring.signed_in(timeout_s=5)
            assert not keyring.has(VERTEX)
            assert keyring.has(OPENAI)
            running.cancel()

    run_simulated(main())


def test_a_google_that_is_silent_does_not_hold_up_the_start(tmp_path: Path) -> None:
    async def main() -> None:
        upstream = ScriptedUpstream(lambda _: Script([], end="hang"))
        one = opened(google_vertex=vertex(tmp_path, "a"))
        keyring = Keyring(one, client=upstream, clock=FixedClock())
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(keyring.run())
            began_s = asyncio.get_running_loop().time()
            await keyring.signed_in(timeout_s=3)
            assert asyncio.get_running_loop().time() - began_s == 3
            running.cancel()

    run_simulated(main())


def test_an_account_that_stays_keeps_its_token_when_the_configuration_changes(
    tmp_path: Path,
) -> None:
    async def story(google: Google, keyring: Keyring) -> None:
        before = keyring.find(VERTEX)
        keyring.replace(opened(google_vertex=vertex(tmp_path, "a") | {"project": "other"}))
        after = keyring.find(VERTEX)
        assert (before.api_key, after.api_key) == ("a-1", "a-1")
        assert after.base_url.endswith("/projects/other/locations/global")
        await asyncio.sleep(60)
        assert google.asked == ["a"]

    kept(opened(google_vertex=vertex(tmp_path, "a")), story)


def test_a_changed_account_is_signed_in_anew_and_the_old_ones_task_ends(tmp_path: Path) -> None:
    async def story(google: Google, keyring: Keyring) -> None:
        keyring.replace(opened(google_vertex=vertex(tmp_path, "b")))
        assert not keyring.has(VERTEX)
        await asyncio.sleep(1)
        assert keyring.find(VERTEX).api_key == "b-1"
        await asyncio.sleep(7200)
        assert google.asked.count("a") == 1
        assert google.asked.count("b") > 2

    kept(opened(google_vertex=vertex(tmp_path, "a")), story)


def test_an_account_can_come_and_go_while_running(tmp_path: Path) -> None:
    async def story(google: Google, keyring: Keyring) -> None:
        assert not keyring.has(VERTEX)
        keyring.replace(opened(google_vertex=vertex(tmp_path, "a")))
        await asyncio.sleep(1)
        assert keyring.find(VERTEX).api_key == "a-1"
        keyring.replace(opened(openai={"api_key": "k"}))
        assert not keyring.has(VERTEX)
        await asyncio.sleep(7200)
        assert google.asked == ["a"]

    kept(opened(openai={"api_key": "k"}), story)
