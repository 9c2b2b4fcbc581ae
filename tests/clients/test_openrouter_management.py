"""The official OpenRouter clients manage an account: every operation that they have, read strictly.

For Python here, method by method; for Node, one run of all cases at once.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from openrouter import OpenRouter
from openrouter.errors import (
    BadRequestResponseError,
    ForbiddenResponseError,
    NotFoundResponseError,
    OpenRouterDefaultError,
    UnauthorizedResponseError,
)
from pydantic import BaseModel

from fairlead.testing.serving import RunningFairlead
from tests.clients.conftest import Prompt
from tests.clients.node_runs import run_node, value_of
from tests.forked import forked_command

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:.*DEPRECATED:DeprecationWarning"),  # the client's own fields
]
VERIFIER = "a-verifier_of.enough~characters-0123456789-abcdef"
S256 = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
MODEL = "openai/gpt-4o-mini"


def is_deleted(answer: BaseModel) -> bool:
    """Its only field is a constant, so the client has no name for it."""
    return answer.model_dump(by_alias=True) == {"deleted": True}


@pytest.fixture(scope="session")
def management(fairlead: RunningFairlead) -> str:
    """A management key, from the shell."""
    command = ["keys", "create", "--management", "--name", "m", "--data", str(fairlead.data)]
    return forked_command(command, fairlead.data.with_name("command.log")).strip()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as http:
        yield http


@pytest.fixture
def manager(fairlead: RunningFairlead, management: str, http: httpx.AsyncClient) -> OpenRouter:
    return OpenRouter(api_key=management, server_url=fairlead.openrouter_url, async_client=http)


@pytest.fixture
def caller(fairlead: RunningFairlead, http: httpx.AsyncClient) -> OpenRouter:
    return OpenRouter(api_key=fairlead.key, server_url=fairlead.openrouter_url, async_client=http)


async def test_keys(manager: OpenRouter, caller: OpenRouter):
    keys = manager.api_keys
    made = await keys.create_async(
        name="made by the client",
        limit=7.5,
        limit_reset="monthly",
        include_byok_in_limit=True,
        expires_at=datetime(2999, 1, 1, tzinfo=UTC),
    )
    assert made.key.startswith("sk-fl-v1-")
    assert (made.data.limit, made.data.limit_remaining) == (7.5, 7.5)
    digest = made.data.hash
    assert (await keys.get_async(hash=digest)).data.name == "made by the client"
    changed = await keys.update_async(hash=digest, name="changed", disabled=True, limit=None)
    assert (changed.data.name, changed.data.disabled, changed.data.limit) == ("changed", True, None)
    listed = await keys.list_async(include_disabled=True)
    page = getattr(listed, "result", listed)
    assert digest in [one.hash for one in page.data]
    assert is_deleted(await keys.delete_async(hash=digest))
    with pytest.raises(NotFoundResponseError):
        await keys.get_async(hash=digest)
    current = await caller.api_keys.get_current_key_metadata_async()
    assert current.data.is_management_key is False
    assert (await keys.get_current_key_metadata_async()).data.is_management_key is True


async def test_workspaces_with_members_and_budgets(manager: OpenRouter):
    workspaces = manager.workspaces
    made = (await workspaces.create_async(name="By the client", slug="by-the-client")).data
    assert (await workspaces.get_async(id="by-the-client")).data.id == made.id
    changed = await workspaces.update_async(id=made.id, name="Changed", description="d")
    assert changed.data.description == "d"
    listed = (await workspaces.list_async()).result
    assert {one.slug for one in listed.data} >= {"default", "by-the-client"}
    members = (await workspaces.list_members_async(id="default")).result
    user = members.data[0].user_id
    added = await workspaces.bulk_add_members_async(id=made.id, user_ids=[user])
    assert added.added_count == 1
    removed = await workspaces.bulk_remove_members_async(id=made.id, user_ids=[user])
    assert removed.removed_count == 1
    at = {"workspace_ref": made.id, "interval": "monthly"}
    budget = await workspaces.set_budget_async(**at, limit_usd=50, include_byok_in_budgets=True)
    assert (budget.data.limit_usd, budget.include_byok_in_budgets) == (50, True)
    assert (await workspaces.get_budget_async(**at)).data.reset_interval == "monthly"
    assert len((await workspaces.list_budgets_async(workspace_ref=made.id)).data) == 1
    assert is_deleted(await workspaces.delete_budget_async(**at))
    assert is_deleted(await workspaces.delete_async(id=made.id))
    with pytest.raises(ForbiddenResponseError):
        await workspaces.delete_async(id="default")


async def test_credits_members_and_catalogue(manager: OpenRouter, caller: OpenRouter):
    balance = (await manager.credits.get_credits_async()).data
    assert balance.total_usage >= 0
    with pytest.raises(NotFoundResponseError):
        await manager.organization.list_members_async()
    assert (await caller.models.count_async()).data.count > 100
    assert (await caller.endpoints.list_zdr_endpoints_async()).data
    assert (await caller.providers.list_async()).data


async def test_generations_and_what_is_said_of_them(
    manager: OpenRouter, caller: OpenRouter, prompt: Prompt
):
    answer = await caller.chat.send_async(model=MODEL, messages=prompt.messages())
    found = await caller.generations.get_generation_async(id=answer.id)
    assert found.data.id == answer.id
    said = await manager.generations.submit_feedback_async(
        generation_id=answer.id, category="other", comment="fine"
    )
    assert said.model_dump(by_alias=True) == {"data": {"success": True}}


async def test_what_was_used(manager: OpenRouter):
    meta = await manager.analytics.get_analytics_meta_async()
    assert meta.data.metrics
    assert (await manager.analytics.get_user_activity_async(request={})).data is not None
    asked = await manager.analytics.query_analytics_async(metrics=["request_count"])
    assert asked.data.metadata.row_count >= 0


async def test_own_credentials(manager: OpenRouter):
    byok = manager.byok
    made = (await byok.create_async(provider="openai", key="sk-proj-" + "x" * 40, name="n")).data
    assert "x" * 40 not in made.label
    assert (await byok.get_async(id=made.id)).data.name == "n"
    assert (await byok.update_async(id=made.id, name="m")).data.name == "m"
    assert made.id in [one.id for one in (await byok.list_async()).result.data]
    assert is_deleted(await byok.delete_async(id=made.id))


async def test_an_app_gets_its_key(caller: OpenRouter):
    code = await caller.o_auth.create_auth_code_async(
        callback_url="https://app.example/back",
        code_challenge=S256,
        code_challenge_method="S256",
        key_label="An app",
        limit=3,
        usage_limit_type="daily",
    )
    exchange = {"code": code.data.id, "code_challenge_method": "S256"}
    with pytest.raises(ForbiddenResponseError):
        await caller.o_auth.exchange_auth_code_for_api_key_async(**exchange, code_verifier="x" * 43)
    got = await caller.o_auth.exchange_auth_code_for_api_key_async(
        **exchange, code_verifier=VERIFIER
    )
    assert got.key.startswith("sk-fl-v1-")
    assert got.user_id.startswith("user-")


async def test_refusals_are_typed(manager: OpenRouter, caller: OpenRouter):
    with pytest.raises(UnauthorizedResponseError):
        await caller.api_keys.list_async()
    with pytest.raises(ForbiddenResponseError):
        await caller.credits.get_credits_async()
    with pytest.raises(BadRequestResponseError):
        await manager.api_keys.create_async(name=" ")
    with pytest.raises(BadRequestResponseError):
        await manager.workspaces.create_async(name="W", slug="Not A Slug")


async def test_a_management_key_calls_no_model(manager: OpenRouter, prompt: Prompt):
    with pytest.raises((ForbiddenResponseError, OpenRouterDefaultError)) as raised:
        await manager.chat.send_async(model=MODEL, messages=prompt.messages())
    assert raised.value.status_code == 403


@pytest.fixture(scope="module")
def ran(fairlead: RunningFairlead, management: str) -> dict[str, Any]:
    return run_node("management.mjs", fairlead, "node-management", management=management)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("keys", {"limit": 7.5, "name": "changed", "disabled": True, "deleted": True}),
        ("current_key", {"management": False, "free": 0}),
        ("workspaces", {"slug": "by-node", "members": 1, "budget": 50, "deleted": True}),
        ("credits", {"numbers": True}),
        ("analytics", {"metrics": True, "rows": True}),
        ("byok", {"name": "m", "deleted": True}),
        ("oauth", {"key": "sk-fl-v1-"}),
        ("feedback", {"success": True}),
        ("members", {"status": 404}),
        ("wrong_kind", {"status": 401}),
    ],
)
def test_the_client_for_node_reads_it_too(ran: dict[str, Any], case: str, expected: Any):
    assert value_of(ran, case) == expected
