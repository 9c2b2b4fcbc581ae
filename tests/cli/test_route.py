"""What `fairlead route` says of calls that were not made, and of decisions that were."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from fairlead.cli import opening
from fairlead.cli.route_replay import since_ms
from fairlead.control.accounts.preferences import checked
from fairlead.control.accounts.rules import default_workspace
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import OPERATOR
from fairlead.control.catalog.files import load_seed
from fairlead.control.catalog.versions import CatalogVersions
from fairlead.control.generations import queries
from fairlead.control.presets.service import Presets
from fairlead.control.presets.types import PresetPlace
from fairlead.control.serving.health import HEALTH_DIRECTORY, HealthKeeper
from fairlead.core.capability import Capability
from fairlead.core.catalog import Snapshot
from fairlead.core.generation import Attempt, Generation
from fairlead.core.health import EndpointOutcome, HealthBook
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug, generation_id
from fairlead.core.money import NanoUSD
from fairlead.core.presets import PresetDraft
from fairlead.core.routing.decision import Decision, decision_of
from fairlead.core.routing.planner import plan
from fairlead.core.routing.preferences import NO_WISHES
from fairlead.core.routing.types import Opening, Question, Target, Traits
from fairlead.store.database import DATABASE_FILE, Database, open_database
from fairlead.store.migrate import prepare
from fairlead.store.records import front, pack
from fairlead.testing.generations import plain_generation
from tests.cli.conftest import Ended
from tests.cli.test_commands import refused

Call = Callable[..., Ended]
MODEL: Final = "openai/o3-mini"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(scope="module")
def seed() -> Snapshot:
    return load_seed()


def explained(fairlead: Call, *arguments: str) -> dict[str, Any]:
    ended = fairlead("route", "explain", *arguments, "--json")
    assert ended.code == 0, ended.err
    told: dict[str, Any] = msgspec.json.decode(ended.out)
    return told


# --- explain ----------------------------------------------------------------------------------------------


def test_every_endpoint_of_the_model_has_its_place_or_a_reason(
    fairlead: Call, seed: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "anything")
    told = explained(fairlead, MODEL)
    offered = sorted(one.id for one in seed.models[ModelId(MODEL)].endpoints)
    assert sorted(one["endpoint_id"] for one in told["candidates"] + told["removed"]) == offered
    assert [one["provider"] for one in told["candidates"]] == ["openai"]
    assert all(one["explanation"].endswith(".") for one in told["removed"])
    assert told["is_complete"] is True


def test_people_get_a_table_with_what_to_set(fairlead: Call) -> None:
    ended = fairlead("route", "explain", MODEL)
    rows = [line.split("\t") for line in ended.out.splitlines()]
    assert all(len(row) == 6 for row in rows)
    (of_openai,) = (row for row in rows if row[2] == "openai")
    assert of_openai[0] == "-"
    assert of_openai[5].endswith("Set OPENAI_API_KEY.")
    assert ended.err.startswith("Endpoints in the plan: 0, left out: ")


def test_nothing_is_made_in_a_directory_that_was_never_started(fairlead: Call, data: Path) -> None:
    assert fairlead("route", "explain", MODEL).code == 0
    assert not (data / DATABASE_FILE).exists()


def test_wishes_of_the_call_and_its_length_are_heeded(
    fairlead: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "anything")
    told = explained(fairlead, MODEL, "--provider", '{"ignore": ["openai"]}', "--max-tokens", "100")
    assert told["candidates"] == []
    (of_openai,) = (
        one for one in told["removed"] if one["endpoint_id"] == f"openai:{MODEL.split('/')[1]}"
    )
    assert of_openai["reason"] == "ignored"
    assert told["request"]["prompt_tokens"] == 1000
    assert told["request"]["max_tokens"] == 100
    dear, cheap = (
        explained(fairlead, MODEL, "--prompt-tokens", tokens)["candidates"][0]["expected_cost"]
        for tokens in ("2000", "1000")
    )
    assert float(dear) > float(cheap)


def test_a_prompt_that_is_too_long_is_told(fairlead: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "anything")
    told = explained(fairlead, MODEL, "--prompt-tokens", "900000000")
    assert {one["reason"] for one in told["removed"]} >= {"context_length"}
    assert told["candidates"] == []


def test_a_body_says_it_all(fairlead: Call, tmp_path: Path) -> None:
    path = tmp_path / "body.json"
    body = {
        "models": ["sandbox/echo", MODEL],
        "messages": [{"role": "user", "content": "x" * 400}],
        "seed": 1,
    }
    path.write_bytes(msgspec.json.encode(body))
    told = explained(fairlead, "--body", str(path))
    assert [one["model"] for one in told["models"]] == ["sandbox/echo", MODEL]
    assert [one["provider"] for one in told["candidates"]] == ["sandbox"]
    assert told["request"]["parameters"] == ["seed"]
    assert told["request"]["prompt_tokens"] >= 100


def test_settings_of_the_account_are_heeded(fairlead: Call, data: Path, seed: Snapshot) -> None:
    assert fairlead("keys", "create", "--name", "first").code == 0
    with opened(data) as database:
        accounts = opening.accounts_in(database)
        owner = accounts.owner()
        assert owner is not None
        wishes = checked(b'{"ignored_providers": ["sandbox"]}', seed.providers)
        accounts.set_preferences(owner.id, wishes)
    told = explained(fairlead, "sandbox/echo")
    assert [one["reason"] for one in told["removed"]] == ["account_providers"]


def test_a_preset_of_the_account_is_looked_up(fairlead: Call, data: Path) -> None:
    assert refused(fairlead("route", "explain", "@preset/quick"))
    assert fairlead("keys", "create", "--name", "first").code == 0
    with opened(data) as database:
        owner = opening.accounts_in(database).owner()
        assert owner is not None
        audit = Audit(database, now_ms=opening.now_ms, entropy=os.urandom)
        presets = Presets(database, audit, now_ms=opening.now_ms, entropy=os.urandom)
        place = PresetPlace(owner.id, default_workspace(owner.id))
        draft = PresetDraft("Be brief.", '{"model":"sandbox/echo","seed":1}')
        presets.put(place, "quick", draft, actor=OPERATOR)
    told = explained(fairlead, "@preset/quick")
    assert (told["requested"], told["request"]["parameters"]) == ("@preset/quick", ["seed"])
    assert [one["model"] for one in told["models"]] == ["sandbox/echo"]
    assert "Did you mean quick?" in refused(fairlead("route", "explain", "@preset/quik"))


def test_health_that_a_server_saved_is_heeded(fairlead: Call, data: Path) -> None:
    now_s = opening.now_ms() / 1000
    book = HealthBook()
    endpoint = EndpointId("sandbox:echo")
    outcome = EndpointOutcome(None, first_token_s=0.25, output_tokens=50, duration_s=1.25)
    for _ in range(20):
        book.began(endpoint, now_s - 1)
        book.ended(endpoint, outcome, now_s - 1)
    HealthKeeper(book, data / HEALTH_DIRECTORY, now_s=lambda: now_s).close()
    (candidate,) = explained(fairlead, "sandbox/echo")["candidates"]
    assert candidate["facts"]["standing"] == "good"
    assert candidate["facts"]["latency_ms"]["p50"] == pytest.approx(250, rel=0.05)
    assert "good, 0.2" in fairlead("route", "explain", "sandbox/echo").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a MODEL"),
        (("openai/o3-minni",), "Did you mean openai/o3-mini"),
        ((MODEL, "--provider", "{"), "--provider: this is not JSON"),
        ((MODEL, "--provider", '{"sort": "beauty"}'), "`provider.sort` must be one of"),
        ((MODEL, "--body", "/nowhere.json"), "leave out MODEL"),
        (("--body", "/nowhere.json"), "cannot read /nowhere.json"),
        ((MODEL, "--account", "nobody@example.com"), "there is no account"),
    ],
)
def test_what_cannot_be_explained_is_one_line(
    fairlead: Call, arguments: tuple[str, ...], said: str
) -> None:
    assert said in refused(fairlead("route", "explain", *arguments))


# --- replay -----------------------------------------------------------------------------------------------


@contextmanager
def opened(data: Path) -> Iterator[Database]:
    data.mkdir(exist_ok=True)
    database = open_database(data / DATABASE_FILE)
    prepare(database)
    yield database
    database.close()


def decided(snapshot: Snapshot) -> Decision:
    access = {ProviderSlug(slug): (Opening(),) for slug in ("openai", "openrouter")}
    question = Question((Target(ModelId(MODEL)),), Traits(Capability.CHAT, 10, 20, 40))
    health = HealthBook().at(0)
    chosen = plan(question, snapshot, health, NO_WISHES, 5, access, can_serve=bool)
    assert len(chosen.choices) > 1
    return decision_of(question, NO_WISHES, access, health, 5, chosen, snapshot)


def a_call(snapshot: Snapshot, number: int, *, age_s: int = 60) -> Generation:
    now_ms = opening.now_ms() - age_s * 1000
    decision = decided(snapshot)
    first = decision.choices[0].endpoint
    return plain_generation(
        number,
        id=generation_id(now_ms, number),
        created_s=now_ms / 1000,
        attempts=(Attempt(first, "openai", MODEL, 200, 300),),
        cost=NanoUSD(1_000_000),
        decision=decision,
        catalog_version=snapshot.version,
    )


def store(data: Path, snapshot: Snapshot | None, *calls: Generation) -> None:
    with opened(data) as database:
        if snapshot is not None:
            CatalogVersions(database, now_ms=lambda: 0).keep(snapshot)
        rows = [queries.row(front(pack(one)), pack(one), None) for one in calls]
        with database.begin() as connection:
            queries.insert_new(database, connection, rows)


def replayed(fairlead: Call, *arguments: str, code: int = 0) -> dict[str, Any]:
    ended = fairlead("route", "replay", *arguments, "--json")
    assert ended.code == code, ended.err
    report: dict[str, Any] = msgspec.json.decode(ended.out)
    return report


def test_stored_decisions_come_out_as_they_were(fairlead: Call, data: Path, seed: Snapshot) -> None:
    calls = [a_call(seed, number) for number in range(600)]  # more than are read at once
    store(data, seed, *calls, a_call(seed, 1000, age_s=3 * 86_400))
    report = replayed(fairlead, "--since", "2d")
    assert (report["generations"], report["replayed"], report["agreeing"]) == (600, 600, 600)
    assert replayed(fairlead)["replayed"] == 601


def test_one_that_comes_out_differently_is_named_and_fails_the_command(
    fairlead: Call, data: Path, seed: Snapshot
) -> None:
    right = a_call(seed, 1)
    assert right.decision is not None
    wrong = msgspec.structs.replace(right.decision, choices=right.decision.choices[1:])
    bad = msgspec.structs.replace(a_call(seed, 2), decision=wrong)
    store(data, seed, right, bad)
    assert replayed(fairlead, code=1)["differing"] == [bad.id]
    assert f"Came out differently: {bad.id}" in fairlead("route", "replay").err


def test_other_preferences_are_weighed(
    fairlead: Call, data: Path, seed: Snapshot, tmp_path: Path
) -> None:
    store(data, seed, a_call(seed, 1), a_call(seed, 2))
    path = tmp_path / "preferences.json"
    first = decided(seed).choices[0].endpoint.partition(":")[0]
    path.write_text(f'{{"ignore": ["{first}"], "sort": "price"}}')
    report = replayed(fairlead, "--preferences", str(path))
    assert (report["replayed"], report["agreeing"], report["moved"]) == (2, 2, 2)
    assert report["cost_before"] == 2_000_000
    assert report["cost_after"] > 0
    shown = fairlead("route", "replay", "--preferences", str(path)).out
    assert "another first endpoint\t2 (100.0%)" in shown
    path.write_text('{"only": ["nobody"]}')
    assert replayed(fairlead, "--preferences", str(path))["refused"] == 2


def test_without_its_catalogue_a_decision_is_counted_and_not_replayed(
    fairlead: Call, data: Path, seed: Snapshot
) -> None:
    store(data, None, a_call(seed, 1))
    report = replayed(fairlead)
    assert (report["without_catalogue"], report["replayed"]) == (1, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "--preferences"),
        ("[]", "Expected `object`"),
        ('{"sort": "beauty"}', "`provider.sort` must be one of"),
        ('{"hedge": true}', "'hedge' is none of order, only"),
    ],
)
def test_preferences_that_mean_nothing_are_one_line(
    fairlead: Call, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "preferences.json"
    path.write_text(text)
    assert said in refused(fairlead("route", "replay", "--preferences", str(path)))


@pytest.mark.parametrize("span", ["", "7", "7y", "-1d", "0d", "9999d"])
def test_a_span_that_is_none_is_one_line(fairlead: Call, span: str) -> None:
    assert "--since" in refused(fairlead("route", "replay", "--since", span))


@pytest.mark.parametrize(("span", "ms"), [("90s", 90_000), ("2m", 120_000), ("1d", 86_400_000)])
def test_a_span_is_counted_back_from_now(span: str, ms: int) -> None:
    assert since_ms(span, now_ms=10**12) == 10**12 - ms
