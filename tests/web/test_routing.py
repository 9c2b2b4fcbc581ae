"""Why a call went where it went, for the account that made it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
import pytest

from fairlead.core.capability import Capability
from fairlead.core.catalog import Snapshot
from fairlead.core.generation import Generation, Splice
from fairlead.core.ids import AccountId, EndpointId, GenerationId, ModelId, ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.routing.decision import Chosen, Decision
from fairlead.core.routing.preferences import Preferences
from fairlead.core.routing.types import Opening, Question, Target, Traits, Why

pytestmark = pytest.mark.anyio

DECISION = Decision(
    question=Question((Target(ModelId("openai/o1")),), Traits(Capability.CHAT, 10, 20, 40)),
    preferences=Preferences(order=("openai",)),
    access=((ProviderSlug("openai"), (Opening(),)),),
    facts=(),
    seed=7,
    choices=(Chosen(EndpointId("openai:o1"), None, PicoUSD(1_000_000), Why.ORDER),),
    removed=(),
)


@dataclass
class Held:
    """Generations and catalogues that somebody has kept."""

    generation: Generation
    kept: Snapshot | None = None

    async def find(self, generation: GenerationId, account: AccountId) -> Generation | None:
        found = self.generation
        return found if (found.id, found.account) == (generation, account) else None

    async def found(self, version: str, *, at_ms: int) -> Snapshot | None:
        assert at_ms == round(self.generation.created_s * 1000)
        return self.kept if self.kept is not None and self.kept.version == version else None


@pytest.fixture
def decided(generation: Generation, seed: Snapshot) -> Generation:
    return msgspec.structs.replace(
        generation,
        decision=DECISION,
        catalog_version=seed.version,
        splices=(Splice("azure:o1", "openai:o1", "prefill", 12),),
    )


Browse = Callable[..., httpx.AsyncClient]


async def shown(browse: Browse, held: Held, headers: dict[str, str]) -> dict[str, Any]:
    async with browse(generations=held, catalogues=held) as client:
        answer = await client.get(
            f"/api/v1/generation/{held.generation.id}/routing", headers=headers
        )
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def test_a_call_is_explained_with_its_attempts(
    browse: Browse, decided: Generation, seed: Snapshot, signed_in: dict[str, str]
) -> None:
    told = await shown(browse, Held(decided, seed), signed_in)
    assert told["generation_id"] == decided.id
    assert told["requested"] == "o1"
    assert told["preferences"] == {"order": ["openai"]}
    assert told["is_complete"] is True
    (only,) = told["candidates"]
    assert (only["endpoint_id"], only["why"], only["selected"]) == ("openai:o1", "order", True)
    assert [(one["provider"], one["failure"]) for one in told["attempts"]] == [
        ("azure", "overloaded"),
        ("gone", "unreachable"),
        ("openai", None),
    ]
    assert told["splices"][0]["manner"] == "prefill"


async def test_every_endpoint_of_the_model_is_there(
    browse: Browse, decided: Generation, seed: Snapshot, signed_in: dict[str, str]
) -> None:
    told = await shown(browse, Held(decided, seed), signed_in)
    listed = [one["endpoint_id"] for one in told["candidates"] + told["removed"]]
    offered = [one.id for one in seed.models[ModelId("openai/o1")].endpoints]
    assert sorted(listed) == sorted(offered)
    assert all(one["explanation"] for one in told["removed"])


async def test_the_catalogue_in_force_will_do_if_it_is_the_same(
    browse: Browse, decided: Generation, signed_in: dict[str, str]
) -> None:
    assert (await shown(browse, Held(decided), signed_in))["is_complete"] is True


async def test_without_its_catalogue_a_call_is_explained_in_part(
    browse: Browse, decided: Generation, signed_in: dict[str, str]
) -> None:
    old = msgspec.structs.replace(decided, catalog_version="of last year")
    told = await shown(browse, Held(old), signed_in)
    assert told["is_complete"] is False
    assert [one["endpoint_id"] for one in told["candidates"]] == ["openai:o1"]


@pytest.mark.parametrize("changed", [{"account": AccountId("another")}, {"decision": None}])
async def test_what_the_account_has_not_or_was_not_kept_is_404(
    browse: Browse, decided: Generation, signed_in: dict[str, str], changed: dict[str, object]
) -> None:
    held = Held(msgspec.structs.replace(decided, **changed))
    async with browse(generations=held) as client:
        path = f"/api/v1/generation/{decided.id}/routing"
        assert (await client.get(path, headers=signed_in)).status_code == 404
        assert (await client.get(path)).status_code == 401
