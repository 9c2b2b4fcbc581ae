"""Every operation answers as the public document says, with the fields that younger clients want."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.control.accounts.rules import default_workspace
from fairlead.control.contents.queries import policies_of
from fairlead.control.ledger.types import AddCredit, LotKind, Posted
from fairlead.core.money import NanoUSD
from tests.api_document import check_answer
from tests.web.management.stage import Stage

DOLLAR = NanoUSD(1_000_000_000)


def answered(stage: Stage, name: str, *, status: int = 200, **asked: Any) -> Any:
    """Ask with Ada's management key; the body of an answer that is as documented."""
    asked.setdefault("key", stage.ada.management.secret)
    answer = stage.ask(name, **asked)
    assert answer.status_code == status, answer.text
    return check_answer(answer, name)


def test_a_key_lives_and_dies(stage: Stage):
    made = answered(
        stage,
        "POST /keys",
        status=201,
        body={
            "name": "robot",
            "limit": 12.5,
            "limit_reset": "weekly",
            "include_byok_in_limit": True,
            "expires_at": "2999-12-31T23:59:59Z",
        },
    )
    secret, key = made["key"], made["data"]
    assert secret.startswith("sk-fl-v1-")
    assert key["limit"] == key["limit_remaining"] == 12.5
    assert (key["limit_reset"], key["include_byok_in_limit"]) == ("weekly", True)
    assert key["expires_at"] == "2999-12-31T23:59:59.000Z"
    assert key["creator_user_id"] == stage.ada.user
    assert key["workspace_id"] == default_workspace(stage.ada.account)
    path = {"hash": key["hash"]}
    assert answered(stage, "GET /keys/{hash}", path=path)["data"] == key
    assert key in answered(stage, "GET /keys")["data"]
    assert stage.ask("GET /key", key=secret).status_code == 200

    changed = answered(
        stage,
        "PATCH /keys/{hash}",
        path=path,
        body={"name": "desk", "disabled": True, "limit": None},
    )["data"]
    assert (changed["name"], changed["disabled"], changed["limit"]) == ("desk", True, None)
    assert changed["limit_reset"] == "weekly"
    assert changed["updated_at"] is not None
    listed = [one["hash"] for one in answered(stage, "GET /keys")["data"]]
    assert key["hash"] not in listed
    query = {"include_disabled": "true"}
    listed = [one["hash"] for one in answered(stage, "GET /keys", query=query)["data"]]
    assert key["hash"] in listed

    assert answered(stage, "DELETE /keys/{hash}", path=path) == {"deleted": True}
    answered(stage, "GET /keys/{hash}", path=path, status=404)
    answered(stage, "DELETE /keys/{hash}", path=path, status=404)
    stage.refresh_keys()
    answered(stage, "GET /key", key=secret, status=401)


def test_keys_for_managing_are_not_among_those_that_are_managed(stage: Stage):
    digest = stage.ada.management.key.digest.hex()
    listed = answered(stage, "GET /keys", query={"include_disabled": "true"})["data"]
    assert digest not in [one["hash"] for one in listed]
    answered(stage, "GET /keys/{hash}", path={"hash": digest}, status=404)


def test_keys_are_listed_in_pages(stage: Stage):
    for number in range(4):
        answered(stage, "POST /keys", status=201, body={"name": f"key {number}"})
    first = answered(stage, "GET /keys", query={"limit": 2})["data"]
    then = answered(stage, "GET /keys", query={"offset": 2, "limit": 100})["data"]
    assert [one["name"] for one in first + then] == ["key 3", "key 2", "key 1", "key 0", "laptop"]


def test_a_key_tells_what_it_used(stage: Stage):
    answered(
        stage,
        "PATCH /keys/{hash}",
        path={"hash": stage.ada.hash},
        body={"limit": 1.0, "limit_reset": "monthly"},
    )
    generation = stage.settle(stage.ada, cost=250_000_000)
    shown = answered(stage, "GET /key", key=stage.ada.key.secret)["data"]
    assert (shown["usage"], shown["usage_daily"], shown["usage_monthly"]) == (0.25, 0.25, 0.25)
    assert (shown["limit"], shown["limit_reset"]) == (1.0, "monthly")
    assert (shown["is_management_key"], shown["workspace_id"]) == (
        False,
        default_workspace(stage.ada.account),
    )
    managed = answered(stage, "GET /keys/{hash}", path={"hash": stage.ada.hash})["data"]
    assert managed["usage"] == 0.25
    assert managed["last_used_at"] is not None
    found = answered(
        stage, "GET /generation", key=stage.ada.key.secret, query={"id": generation.id}
    )
    assert found["data"]["total_cost"] == 0.25


def test_the_free_tier_ends_with_the_first_purchase(stage: Stage):
    def is_free() -> bool:
        return answered(stage, "GET /key", key=stage.ada.key.secret)["data"]["is_free_tier"]

    assert is_free()
    grant = AddCredit(
        account=stage.ada.account, reference="grant:1", kind=LotKind.GRANT, amount=DOLLAR
    )
    assert isinstance(stage.control.ledger.post(grant), Posted)
    assert is_free(), "a present is no purchase"
    bought = AddCredit(
        account=stage.ada.account,
        reference="purchase:1",
        kind=LotKind.PURCHASE,
        amount=DOLLAR,
        method="test",
    )
    assert isinstance(stage.control.ledger.post(bought), Posted)
    assert not is_free()
    balance = answered(stage, "GET /credits")["data"]
    assert balance == {"total_credits": 2.0, "total_usage": 0.0}


def test_the_old_name_of_key_is_the_same(stage: Stage):
    new = stage.send("GET", "/api/v1/key", key=stage.ada.key.secret).json()
    assert stage.send("GET", "/v1/auth/key", key=stage.ada.key.secret).json() == new


def test_the_old_way_to_buy_is_gone(stage: Stage):
    answered(stage, "POST /credits/coinbase", key=None, status=410)
    answered(stage, "POST /credits/coinbase", status=410, body={"amount": 1})


def test_a_person_alone_is_no_organization(stage: Stage):
    answered(stage, "GET /organization/members", status=404)


def test_a_workspace_lives_and_dies(stage: Stage):
    made = answered(
        stage,
        "POST /workspaces",
        status=201,
        body={
            "name": "Production",
            "slug": "production",
            "description": "For real",
            "default_provider_sort": "price",
            "io_logging_sampling_rate": 0.5,
            "io_logging_api_key_ids": None,
        },
    )["data"]
    assert (made["created_by"], made["description"]) == (stage.ada.user, "For real")
    assert made["io_logging_api_key_ids"] is None
    listed = answered(stage, "GET /workspaces")
    assert listed["total_count"] == 2
    assert [one["slug"] for one in listed["data"]] == ["default", "production"]
    assert answered(stage, "GET /workspaces", query={"limit": 1, "offset": 1})["data"] == [made]
    for name in (made["id"], "production"):
        assert answered(stage, "GET /workspaces/{id}", path={"id": name})["data"] == made
    path = {"id": "production"}
    changed = answered(stage, "PATCH /workspaces/{id}", path=path, body={"name": "P"})["data"]
    assert (changed["name"], changed["slug"]) == ("P", "production")

    key = answered(stage, "POST /keys", status=201, body={"name": "k", "workspace_id": made["id"]})[
        "data"
    ]
    assert key["workspace_id"] == made["id"]
    assert answered(stage, "GET /keys", query={"workspace_id": made["id"]})["data"] == [key]
    answered(stage, "DELETE /workspaces/{id}", path=path, status=400)
    answered(stage, "DELETE /keys/{hash}", path={"hash": key["hash"]})
    assert answered(stage, "DELETE /workspaces/{id}", path=path) == {"deleted": True}
    answered(stage, "GET /workspaces/{id}", path=path, status=404)
    answered(stage, "DELETE /workspaces/{id}", path={"id": "default"}, status=403)


def test_prompts_are_kept_of_the_keys_that_are_named(stage: Stage):
    path = {"id": "default"}
    keys = stage.control.keys
    other = keys.create(stage.ada.account, name="other").key

    def changed(*names: object, status: int = 200) -> dict[str, Any]:
        wanted = {"is_observability_io_logging_enabled": True, "io_logging_api_key_ids": names}
        told = answered(stage, "PATCH /workspaces/{id}", path=path, body=wanted, status=status)
        found: dict[str, Any] = told["data" if status == 200 else "error"]
        return found

    (number,) = changed(stage.ada.hash)["io_logging_api_key_ids"]
    assert changed(number, stage.ada.hash)["io_logging_api_key_ids"] == [number]
    keys.rotate(stage.ada.account, stage.ada.key.key.id)
    assert changed(number)["io_logging_api_key_ids"] == [number]
    with stage.control.database.read() as connection:
        kept, _ = policies_of(connection, [stage.ada.account])[stage.ada.account]
    (policy,) = kept.values()
    assert policy.callers == {stage.ada.key.key.id}
    two = changed(other.digest.hex(), number)["io_logging_api_key_ids"]
    assert two[1] == number != two[0]
    keys.delete(stage.ada.account, other.id)
    wrong = [(), (1,), (two[0],), (other.digest.hex(),), (stage.bob.hash,), (number,) * 101]
    for names in wrong:
        assert changed(*names, status=400)["param"] == "io_logging_api_key_ids", names
    told = answered(stage, "GET /workspaces/{id}", path=path)["data"]
    assert told["io_logging_api_key_ids"] == two


def test_budgets_of_a_workspace_grow_with_their_span(stage: Stage):
    def budget(interval: str) -> dict[str, str]:
        return {"id": "default", "interval": interval}

    name = "PUT /workspaces/{id}/budgets/{interval}"
    monthly = answered(stage, name, path=budget("monthly"), body={"limit_usd": 100})
    assert monthly["data"]["limit_usd"] == 100.0
    assert monthly["data"]["reset_interval"] == "monthly"
    assert monthly["include_byok_in_budgets"] is False
    answered(stage, name, path=budget("weekly"), body={"limit_usd": 100}, status=400)
    answered(stage, name, path=budget("weekly"), body={"limit_usd": 0}, status=400)
    body = {"limit_usd": 1000.5, "include_byok_in_budgets": True}
    lifetime = answered(stage, name, path=budget("lifetime"), body=body)
    assert lifetime["data"]["reset_interval"] is None
    one = "GET /workspaces/{id}/budgets/{interval}"
    assert answered(stage, one, path=budget("lifetime")) == lifetime
    answered(stage, one, path=budget("daily"), status=404)
    answered(stage, one, path=budget("hourly"), status=400)
    listed = answered(stage, "GET /workspaces/{id}/budgets", path={"id": "default"})
    assert listed["include_byok_in_budgets"] is True
    assert [one["reset_interval"] for one in listed["data"]] == ["monthly", None]
    gone = "DELETE /workspaces/{id}/budgets/{interval}"
    for _ in range(2):
        assert answered(stage, gone, path=budget("monthly")) == {"deleted": True}


def test_members_of_a_workspace_come_and_go(stage: Stage):
    answered(stage, "POST /workspaces", status=201, body={"name": "A", "slug": "a"})
    members = "GET /workspaces/{id}/members"
    everybody = answered(stage, members, path={"id": "default"})
    assert (everybody["total_count"], everybody["data"][0]["user_id"]) == (1, stage.ada.user)
    user, path = {"user_ids": [stage.ada.user]}, {"id": "a"}
    removed = answered(stage, "POST /workspaces/{id}/members/remove", path=path, body=user)
    assert removed == {"removed_count": 1}
    added = answered(stage, "POST /workspaces/{id}/members/add", path=path, body=user)
    assert added["added_count"] == 1
    assert added["data"][0]["role"] == "admin"
    stranger = {"user_ids": [stage.bob.user]}
    answered(stage, "POST /workspaces/{id}/members/add", path=path, body=stranger, status=400)
    for name in ("add", "remove"):
        answered(
            stage, f"POST /workspaces/{{id}}/members/{name}", path={"id": "default"}, body=user,
            status=403,
        )  # fmt: skip


def test_what_somebody_says_of_an_answer_is_kept(stage: Stage):
    generation = stage.settle(stage.ada)
    body = {"generation_id": generation.id, "category": "latency", "comment": "slow"}
    assert answered(stage, "POST /generation/feedback", body=body) == {"data": {"success": True}}
    remark = stage.feedback(stage.ada)[0]
    assert (remark.generation, remark.category, remark.comment) == (
        generation.id,
        "latency",
        "slow",
    )
    assert remark.author == stage.ada.management.key.id
    body["generation_id"] = "gen-nothing"
    answered(stage, "POST /generation/feedback", body=body, status=404)


@pytest.mark.parametrize(
    "name", ["GET /models/count", "GET /models/user", "GET /providers", "GET /endpoints/zdr"]
)
def test_the_catalogue_answers_by_the_same_document(stage: Stage, name: str):
    answered(stage, name, key=stage.ada.key.secret)
