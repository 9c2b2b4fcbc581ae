"""What holds on every path: errors, methods, browsers, health; and keys and generations."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.control.accounts.rules import default_workspace
from fairlead.core.capability import Capability
from fairlead.core.errors import Overloaded
from fairlead.core.generation import Outcome
from fairlead.core.money import NanoUSD
from fairlead.core.routing.decision import Decision
from fairlead.core.routing.preferences import Preferences
from fairlead.core.routing.types import Question, Traits
from fairlead.core.usage import UsageSource

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "path", ["/nothing", "/api/v1", "/api/v1/nothing", "/v1/a/b/c", "/api/v2/models"]
)
async def test_an_unknown_path_is_404_in_the_envelope(client, path, check_schema):
    answer = await client.get(path)
    assert answer.status_code == 404
    check_schema(answer.json(), "ErrorAnswer")
    error = answer.json()["error"]
    assert error["code"] == 404
    assert error["metadata"]["error_type"] == "not_found"
    assert path in error["message"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/api/v1/models", "/v1/generation", "/healthz", "/"])
async def test_a_wrong_method_is_405_and_says_which_are_right(client, method, path, check_schema):
    answer = await client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    check_schema(answer.json(), "ErrorAnswer")
    assert answer.json()["error"]["code"] == 405


@pytest.mark.parametrize("path", ["/api/v1/models", "/api/v1/model/openai/o1", "/healthz", "/"])
async def test_head_has_the_headers_of_get_and_no_body_of_its_own(client, path):
    head, get = await client.head(path), await client.get(path)
    assert head.status_code == get.status_code == 200
    assert head.headers["content-type"] == get.headers["content-type"]


async def test_browsers_may_call_the_api_from_anywhere_and_read_errors_too(client):
    origin = {"origin": "https://app.example"}
    for path in ("/api/v1/models/count", "/api/v1/nothing", "/v1/key"):
        answer = await client.get(path, headers=origin)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
    page = await client.get("/", headers=origin)
    assert "access-control-allow-origin" not in page.headers


@pytest.mark.parametrize("path", ["/api/v1/models", "/v1/chat/completions"])
async def test_a_preflight_allows_what_it_asks_for_also_for_inference(client, path):
    answer = await client.options(
        path,
        headers={
            "origin": "https://app.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,x-stainless-lang",
        },
    )
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "authorization,x-stainless-lang"


async def test_a_crash_is_500_without_a_word_of_what_happened(browse, check_schema):
    class Broken:
        @property
        def snapshot(self):
            raise RuntimeError("the secret reason")

    async with browse(catalog=Broken()) as client:
        answer = await client.get("/api/v1/providers")
    assert answer.status_code == 500
    check_schema(answer.json(), "ErrorAnswer")
    assert "secret" not in answer.text
    assert answer.json()["error"]["metadata"]["error_type"] == "server"


async def test_a_store_that_is_away_is_503_and_never_the_callers_fault(browse, check_schema):
    class Away:
        async def authenticate(self, _authorization):
            raise Overloaded("The store is away.", retry_after_s=2)

    async with browse(keys=Away()) as client:
        answer = await client.get("/api/v1/models/user")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    check_schema(answer.json(), "ErrorAnswer")


async def test_the_first_page_names_the_api(client):
    page = await client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "/api/v1" in page.text


# -- Health ----------------------------------------------------------------------------------------------


async def test_readiness_follows_whether_calls_can_be_served(browse):
    for is_ready, status in ((True, 200), (False, 503)):
        async with browse(is_ready=lambda is_ready=is_ready: is_ready) as client:
            assert (await client.get("/readyz")).status_code == status
            assert (await client.get("/healthz")).status_code == 200


async def test_metrics_are_for_this_machine_or_for_their_token(browse):
    async with browse(metrics=lambda: "up 1\n") as client:
        answer = await client.get("/metrics")
        assert (answer.status_code, answer.text) == (200, "up 1\n")
        proxied = await client.get("/metrics", headers={"x-forwarded-for": "203.0.113.9"})
        assert proxied.status_code == 403
    async with browse(metrics=lambda: "up 1\n", origin="203.0.113.9") as client:
        assert (await client.get("/metrics")).status_code == 403
    async with browse(metrics=lambda: "up 1\n", origin="203.0.113.9", metrics_token="t") as client:
        assert (await client.get("/metrics")).status_code == 403
        wrong = await client.get("/metrics", headers={"authorization": "Bearer u"})
        right = await client.get("/metrics", headers={"authorization": "Bearer t"})
        assert (wrong.status_code, right.status_code) == (403, 200)


# -- Keys ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}])
async def test_without_a_good_key_it_is_401(client, headers, check_schema):
    for path in ("/api/v1/generation?id=gen-1", "/api/v1/models/user"):
        answer = await client.get(path, headers=headers)
        assert answer.status_code == 401
        check_schema(answer.json(), "ErrorAnswer")


# -- Generations -----------------------------------------------------------------------------------------


async def test_a_generation_is_shown_in_full(client, signed_in, generation, check_schema):
    answer = await client.get(f"/api/v1/generation?id={generation.id}", headers=signed_in)
    check_schema(answer.json(), "GenerationAnswer")
    data = answer.json()["data"]
    assert data["total_cost"] == data["usage"] == 0.002925
    assert data["created_at"] == "2026-11-21T00:00:00.250000+00:00"
    assert (data["tokens_prompt"], data["tokens_completion"]) == (100, 25)
    assert (data["native_tokens_cached"], data["native_tokens_reasoning"]) == (10, 5)
    assert data["usage_source"] == "reported"
    assert (data["provider_name"], data["model"], data["cancelled"]) == (
        "OpenAI",
        "openai/o1",
        False,
    )
    # From before there were workspaces, and before anybody wrote down how it was routed.
    assert data["workspace_id"] == default_workspace(generation.account)
    assert data["num_media_prompt"] is None
    assert (data["request_id"], data["preset_id"]) == (generation.id, None)
    attempts = data["provider_responses"]
    assert [one["status"] for one in attempts] == [503, None, 200]
    assert [one["provider_name"] for one in attempts] == ["Microsoft Azure", "gone", "OpenAI"]
    assert [one.get("id") for one in attempts] == [None, None, "chatcmpl-1"]


async def test_a_generation_with_the_least_that_is_known_answers_as_documented(
    browse, services, signed_in, generation, check_schema
):
    bare = msgspec.structs.replace(
        generation, outcome=Outcome.CANCELLED, attempts=(), attribution=None, upstream_id=None,
        finish_reason=None, native_finish_reason=None,
    )  # fmt: skip
    held = type(services.generations)({(bare.id, bare.account): bare})
    async with browse(generations=held) as client:
        document = (await client.get(f"/v1/generation?id={bare.id}", headers=signed_in)).json()
    check_schema(document, "GenerationAnswer")
    assert document["data"]["cancelled"] is True


async def test_a_generation_by_the_callers_own_key_says_so_and_which_router_chose(
    browse, services, signed_in, generation, check_schema
):
    failed, _, served = generation.attempts
    own = msgspec.structs.replace(
        generation,
        attempts=(failed, msgspec.structs.replace(served, key="credential-1")),
        router="fairlead/auto",
        is_byok=True,
        list_cost=NanoUSD(45_000_000),
    )
    held = type(services.generations)({(own.id, own.account): own})
    async with browse(generations=held) as client:
        document = (await client.get(f"/v1/generation?id={own.id}", headers=signed_in)).json()
    check_schema(document, "GenerationAnswer")
    data = document["data"]
    assert (data["is_byok"], data["router"]) == (True, "fairlead/auto")
    assert data["upstream_inference_cost"] == 0.045
    assert [one["is_byok"] for one in data["provider_responses"]] == [False, True]


async def test_a_generation_of_a_service_tier_and_of_a_region_says_so(
    browse, services, signed_in, generation, check_schema
):
    served = generation.attempts[-1]
    tiered = msgspec.structs.replace(
        generation,
        attempts=(
            msgspec.structs.replace(
                served, endpoint="openai/priority:gpt-5-mini", model="openai/gpt-5-mini"
            ),
            served,
        ),
        decision=Decision(
            Question((), Traits(Capability.CHAT, 1, 1, 1)),
            Preferences(region="eu"),
            access=(), facts=(), seed=0, choices=(), removed=(),
        ),
    )  # fmt: skip
    held = type(services.generations)({(tiered.id, tiered.account): tiered})
    async with browse(generations=held) as client:
        document = (await client.get(f"/v1/generation?id={tiered.id}", headers=signed_in)).json()
    check_schema(document, "GenerationAnswer")
    assert document["data"]["data_region"] == "europe"
    priority, usual = document["data"]["provider_responses"]
    assert priority["routed_service_tier"] == "priority"
    assert "routed_service_tier" not in usual
    assert usual["model_permaslug"] == "openai/o1-2024-12-17"


async def test_counts_that_are_our_own_estimate_are_marked_as_such(
    browse, services, signed_in, generation, check_schema
):
    usage = msgspec.structs.replace(generation.usage, source=UsageSource.ESTIMATED)
    estimated = msgspec.structs.replace(generation, usage=usage)
    held = type(services.generations)({(estimated.id, estimated.account): estimated})
    async with browse(generations=held) as client:
        document = (await client.get(f"/v1/generation?id={estimated.id}", headers=signed_in)).json()
    check_schema(document, "GenerationAnswer")
    assert document["data"]["usage_source"] == "estimated"


async def test_another_accounts_generation_is_404(
    browse, services, signed_in, generation, check_schema
):
    held = type(services.generations)({(generation.id, "acc-2"): generation})
    async with browse(generations=held) as client:
        answer = await client.get(f"/api/v1/generation?id={generation.id}", headers=signed_in)
    assert answer.status_code == 404
    check_schema(answer.json(), "ErrorAnswer")


@pytest.mark.parametrize("query", ["", "?id=", f"?id={'x' * 200}"])
async def test_a_generation_that_is_not_named_is_400(client, signed_in, query):
    answer = await client.get(f"/api/v1/generation{query}", headers=signed_in)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "id"
