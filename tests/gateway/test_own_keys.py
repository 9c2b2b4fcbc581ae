"""What opens providers for callers who bring credentials: order, filters, addresses, signing in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from fairlead.core.belongings import NOTHING, Belongings, OwnCredential
from fairlead.core.caller import Caller
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.ids import AccountId, KeyId, ProviderSlug, UserId, WorkspaceId
from fairlead.core.own_keys import OwnKey, read_own_key
from fairlead.core.routing.types import INSTALLATION, Access, Opening
from fairlead.gateway.own_keys import ACCESSES_MAX, OwnKeys
from fairlead.providers.base import UpstreamRequest
from fairlead.settings import ProviderSettings
from fairlead.testing.upstream import Script, ScriptedUpstream
from fairlead.testing.vtime import run_simulated
from tests.shipped import SEED

PROVIDERS = SEED.providers
OPENAI, AZURE, BEDROCK = (ProviderSlug(one) for one in ("openai", "azure", "amazon-bedrock"))
GROQ, VERTEX = ProviderSlug("groq"), ProviderSlug("google-vertex")
SHARED: Access = {OPENAI: INSTALLATION, GROQ: INSTALLATION}
CALLER = Caller(AccountId("acc-1"), KeyId("key-1"), workspace=WorkspaceId("w-1"))


class Clock:
    def now_s(self) -> float:
        return 1_795_219_200.0


def keyring(upstream: ScriptedUpstream | None = None, **settings: ProviderSettings) -> OwnKeys:
    configured = {ProviderSlug(name.replace("_", "-")): one for name, one in settings.items()}
    return OwnKeys(
        lambda: PROVIDERS,
        lambda: configured,
        client=upstream or ScriptedUpstream(Google()),
        clock=Clock(),
    )


def own(
    name: str, key: object = "sk-own", provider: ProviderSlug = OPENAI, **fields: object
) -> OwnCredential:
    text = key if isinstance(key, str) else json.dumps(key)
    return OwnCredential(name, provider, read_own_key(PROVIDERS[provider], text), **fields)


def opened(
    *credentials: OwnCredential, caller: Caller = CALLER, **settings: ProviderSettings
) -> Access:
    return keyring(**settings).access_of(Belongings(credentials), caller, SHARED)


def test_who_brings_nothing_has_what_the_installation_has() -> None:
    ours = keyring()
    assert ours.access_of(NOTHING, CALLER, SHARED) is SHARED
    elsewhere = Belongings((own("a", workspace=WorkspaceId("w-2")),))
    assert ours.access_of(elsewhere, CALLER, SHARED) is SHARED


def test_own_keys_come_first_and_fallbacks_last() -> None:
    access = opened(own("a"), own("b", is_fallback=True), own("c"))
    assert access[OPENAI] == (
        Opening(key="a"),
        Opening(key="c"),
        Opening(),
        Opening(key="b", is_fallback=True),
    )
    assert access[GROQ] is INSTALLATION


def test_a_provider_that_the_installation_lacks_is_opened() -> None:
    key = {"accessKeyId": "A", "secretAccessKey": "s", "region": "eu-west-1"}
    access = opened(own("a", key, BEDROCK))
    assert access[BEDROCK] == (Opening(key="a", region="eu"),)


def test_a_required_key_is_exclusive_for_its_models_and_an_exclusive_one_for_all() -> None:
    models = ("openai/gpt-4o",)
    required = opened(own("a", is_required=True, models=models))
    assert required[OPENAI] == (Opening(key="a", is_exclusive=True, models=models), Opening())
    exclusive = opened(own("a", is_exclusive=True, models=models))
    assert exclusive[OPENAI] == (Opening(key="a", models=models),)


@pytest.mark.parametrize(
    ("fields", "is_used"),
    [
        ({"workspace": WorkspaceId("w-1")}, True),
        ({"workspace": WorkspaceId("w-2")}, False),
        ({"callers": frozenset({KeyId("key-1")})}, True),
        ({"callers": frozenset({KeyId("key-2")})}, False),
        ({"callers": frozenset()}, False),
        ({"users": frozenset({UserId("user-1")})}, True),
        ({"users": frozenset({UserId("user-2")})}, False),
        ({"users": frozenset({UserId("user-1")}), "workspace": WorkspaceId("w-2")}, False),
    ],
)
def test_all_filters_must_hold(fields: dict[str, object], is_used: bool) -> None:
    caller = replace(CALLER, user=UserId("user-1"))
    access = opened(own("a", **fields), caller=caller)
    assert (access[OPENAI] == (Opening(key="a"), Opening())) is is_used


def test_each_key_of_one_credential_is_an_opening_for_its_own_models() -> None:
    entries = [
        {"api_key": "k", "resource_name": "ours"},
        {
            "model_slug": "openai/gpt-4o",
            "endpoint_url": "https://x.openai.azure.com/openai/deployments/d/chat/completions",
            "api_key": "k",
            "model_id": "d",
        },
    ]
    access = opened(own("a", entries, AZURE, region="eu"))
    assert access[AZURE] == (
        Opening(key="a/0", region="eu", models=("openai/gpt-4o",)),
        Opening(key="a/1", region="eu"),
    )
    narrowed = opened(own("a", entries, AZURE, models=("openai/o1",)))
    assert narrowed[AZURE] == (Opening(key="a/1", models=("openai/o1",)),)


def test_a_provider_that_the_operator_never_uses_stays_closed() -> None:
    access = opened(own("a", provider=GROQ), groq=ProviderSettings(enabled=False))
    assert access[GROQ] is INSTALLATION


def test_the_access_is_the_same_object_until_something_changes() -> None:
    ours, belongings = keyring(), Belongings((own("a"), own("b", users=frozenset())))
    first = ours.access_of(belongings, CALLER, SHARED)
    another_key = replace(CALLER, key=KeyId("key-2"))
    assert ours.access_of(belongings, another_key, SHARED) is first
    assert ours.access_of(belongings, CALLER, dict(SHARED)) is not first
    changed = Belongings((own("a", is_fallback=True),))
    assert ours.access_of(changed, CALLER, SHARED)[OPENAI][0] == Opening()


def test_only_so_many_accesses_are_kept() -> None:
    ours = keyring()
    for number in range(ACCESSES_MAX + 10):
        ours.access_of(Belongings((own(f"c-{number}"),)), CALLER, SHARED)
    assert len(ours._accesses) == ACCESSES_MAX


# --- opening ----------------------------------------------------------------------------------------------


def test_a_key_is_sent_where_the_installation_says_the_provider_is() -> None:
    belongings = Belongings((own("a"),))
    found = asyncio.run(keyring().open(belongings, OPENAI, "a"))
    assert (found.base_url, found.api_key) == ("https://api.openai.com/v1", "sk-own")
    proxied = keyring(openai=ProviderSettings(base_url="http://proxy.internal/v1"))
    assert asyncio.run(proxied.open(belongings, OPENAI, "a")).base_url == "http://proxy.internal/v1"


def test_an_access_key_opens_its_region() -> None:
    key = {"accessKeyId": "A", "secretAccessKey": "s", "region": "eu-west-1"}
    found = asyncio.run(keyring().open(Belongings((own("a", key, BEDROCK),)), BEDROCK, "a"))
    assert found.base_url == "https://bedrock-runtime.eu-west-1.amazonaws.com"
    assert found.options["secret_access_key"] == "s"


@pytest.mark.parametrize("key", ["b", "a/0", "a/x"])
def test_a_key_that_is_gone_is_told_as_its_owners(key: str) -> None:
    with pytest.raises(UpstreamFailure, match="was removed") as caught:
        asyncio.run(keyring().open(Belongings((own("a"),)), OPENAI, key))
    assert caught.value.kind is FailureKind.AUTHENTICATION


class Google:
    """Grants tokens of an hour, or none."""

    def __init__(self) -> None:
        self.asked = 0
        self.refuses = False

    def __call__(self, _request: UpstreamRequest) -> Script:
        self.asked += 1
        if self.refuses:
            answer: Mapping[str, object] = {"error": "invalid_grant", "error_description": "gone"}
            return Script([(0.1, json.dumps(answer).encode())], status=400)
        answer = {"access_token": f"token-{self.asked}", "expires_in": 3600}
        return Script([(0.1, json.dumps(answer).encode())])


USER = json.dumps(
    {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
)  # to sign statements for simulated hours would take real seconds
SIGNING = Belongings(
    (
        OwnCredential(
            "v", VERTEX, (OwnKey(options={"project": "p", "location": "global"}, account=USER),)
        ),
    )
)


def test_the_first_call_signs_in_and_the_others_use_its_token() -> None:
    google = Google()

    async def day() -> None:
        ours = keyring(ScriptedUpstream(google))
        found = await asyncio.gather(*(ours.open(SIGNING, VERTEX, "v") for _ in range(5)))
        assert {one.api_key for one in found} == {"token-1"}
        assert found[0].base_url.endswith("/projects/p/locations/global")
        await asyncio.sleep(1900)  # more than half of its life
        assert (await ours.open(SIGNING, VERTEX, "v")).api_key == "token-2"
        google.refuses = True
        await asyncio.sleep(1900)
        assert (await ours.open(SIGNING, VERTEX, "v")).api_key == "token-2"
        await asyncio.sleep(1900)
        with pytest.raises(UpstreamFailure, match="invalid_grant") as caught:
            await ours.open(SIGNING, VERTEX, "v")
        assert caught.value.kind is FailureKind.AUTHENTICATION

    run_simulated(day())
