"""The operator changes the catalogue in a browser, and everybody sees it at once."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from fairlead.core.catalog import EndpointStatus
from fairlead.core.catalog_amendments import amendable
from fairlead.core.ids import EndpointId, ModelId
from fairlead.core.money import PicoUSD, PriceInvalid
from fairlead.store.database import DATABASE_FILE
from fairlead.web.pages.admin.endpoint_prices import pico_price
from tests.web.pages.test_admin import AdminStage
from tests.web.pages.visits import HOSTILE, HTML, Visit

MODEL = ModelId("openai/o3")
ENDPOINT = EndpointId("openai:o3")
PRICES = "/admin/endpoints/prices"


@pytest.fixture(scope="module")
def _catalogue_stage(
    prepared_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AdminStage]:
    data = tmp_path_factory.mktemp("admin")
    path = str(shutil.copy(prepared_sqlite, data / DATABASE_FILE))
    with closing(AdminStage(path, data)) as stage:
        stage.open()
        yield stage


@pytest.fixture
def stage(_catalogue_stage: AdminStage) -> AdminStage:
    """Nothing is changed in the beginning."""
    stage = _catalogue_stage
    stage.newcomers()
    stage.execute("DELETE FROM endpoint_amendments")
    stage.execute("DELETE FROM hidden_models")
    stage.execute("DELETE FROM meta WHERE name = 'catalog_amendments'")
    stage.run(stage.control.amendments_follower.look())
    assert stage.control.catalog.snapshot is stage.control.catalog.unamended
    return stage


@pytest.fixture
def owner(stage: AdminStage) -> Visit:
    return Visit(stage, stage.owner)


def tags(stage: AdminStage, model: ModelId = MODEL) -> list[str]:
    """Where calls of the model may go."""
    return [one.tag for one in stage.control.catalog.snapshot.models[model].endpoints]


def test_an_endpoint_is_switched_off_and_on(stage: AdminStage, owner: Visit) -> None:
    page = owner.get("/admin/endpoints?q=openai/o3")
    assert ENDPOINT in page.text
    assert "Changed by operator" not in page.text
    sent = {"endpoint": ENDPOINT, "q": MODEL, "state": "usable", "page": "2"}
    answer = owner.post("/admin/endpoints/switch", **sent, to="off")
    assert answer.status_code == 303
    back = "/admin/endpoints?q=openai%2Fo3&state=usable&page=2&notice=endpoint-off"
    assert answer.headers["location"] == back
    assert "openai" not in tags(stage)
    changed = owner.get("/admin/endpoints?state=off").text
    assert changed.count("<tr>") >= 2
    assert "Changed by operator" in changed
    assert "just now" in changed
    public = stage.ask(f"GET /models/{MODEL}/endpoints", key=stage.ada.key.secret).json()
    assert "openai" not in {one["tag"] for one in public["data"]["endpoints"]}
    assert owner.post("/admin/endpoints/switch", **sent, to="on").status_code == 303
    assert "openai" in tags(stage)
    assert "No such endpoint" in owner.get("/admin/endpoints?state=off").text


def test_prices_of_ones_own_are_shown_everywhere_until_they_are_reset(
    stage: AdminStage, owner: Visit
) -> None:
    form = owner.get(f"{PRICES}?endpoint={quote(ENDPOINT)}")
    assert form.status_code == 200
    assert 'name="prompt" type="text" value=""' in form.text
    assert "these end here" in form.text, "its service tiers"
    answer = owner.post(PRICES, endpoint=ENDPOINT, prompt="$0.123457", completion=" 1,234.5 ")
    assert answer.headers["location"].endswith("&notice=prices-saved")
    (now,) = [
        one for one in stage.control.catalog.snapshot.models[MODEL].endpoints if one.tag == "openai"
    ]
    assert (now.prices.prompt, now.prices.completion) == (123_457, 1_234_500_000)
    again = owner.get(f"{PRICES}?endpoint={quote(ENDPOINT)}").text
    assert 'name="prompt" type="text" value="0.123457"' in again
    assert 'name="completion" type="text" value="1234.5"' in again
    listed = owner.get("/admin/endpoints?q=openai/o3&state=changed").text
    assert "$0.123457" in listed
    assert "listed $2" in listed
    public = stage.send("GET", f"/{MODEL}?tab=providers", headers=HTML)
    assert "$0.123457" in public.text
    reset = owner.post("/admin/endpoints/reset", endpoint=ENDPOINT, q=MODEL)
    assert reset.headers["location"].endswith("notice=endpoint-reset")
    assert stage.control.catalog.snapshot is stage.control.catalog.unamended
    actions = [one.action for one in stage.control.audit.page(stage.owner.account)[:2]]
    assert actions == ["endpoint.reset", "endpoint.price"]


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"prompt": "cheap"}, "prompt"),
        ({"prompt": "-1"}, "prompt"),
        ({"prompt": "1e3"}, "prompt"),
        ({"completion": "0.0000001"}, "completion"),
        ({"completion": "10001"}, "completion"),
        ({"request": "101"}, "request"),
        ({"prompt": "1", "web_search": HOSTILE}, "web_search"),
    ],
)
def test_a_price_that_cannot_be_says_why_at_its_field(
    stage: AdminStage, owner: Visit, fields: dict[str, str], at: str
) -> None:
    page = owner.post(PRICES, endpoint=ENDPOINT, **fields)
    assert page.status_code == 422
    assert re.search(rf'id="field-{at}"[^>]*aria-invalid="true"', page.text)
    assert "<script>alert" not in page.text
    assert stage.control.catalog.snapshot is stage.control.catalog.unamended


def test_an_endpoint_without_a_price_asks_for_both(stage: AdminStage, owner: Visit) -> None:
    models = stage.control.catalog.unamended.models.values()
    unpriced = next(
        one
        for model in models
        if model.kind == "chat"
        for one in amendable(model)
        if one.status is EndpointStatus.UNPRICED
    )
    page = owner.post(PRICES, endpoint=unpriced.id, prompt="1")
    assert page.status_code == 422
    assert re.search(r'id="field-completion"[^>]*aria-invalid="true"', page.text)
    assert owner.post(PRICES, endpoint=unpriced.id, prompt="1", completion="0").status_code == 303
    assert (
        "listed \N{EN DASH}" in owner.get(f"/admin/endpoints?q={unpriced.model}&state=changed").text
    )


def test_a_hidden_model_is_nowhere(stage: AdminStage, owner: Visit) -> None:
    path, key = f"/{MODEL}", stage.ada.key.secret
    assert stage.send("GET", path, headers=HTML).status_code == 200
    answer = owner.post("/admin/models/switch", model=MODEL, to="hidden", q="o3")
    assert answer.headers["location"] == "/admin/models?q=o3&notice=model-hidden"
    assert stage.send("GET", path, headers=HTML).status_code == 404
    assert MODEL not in {one["id"] for one in stage.ask("GET /models", key=key).json()["data"]}
    assert stage.ask(f"GET /models/{MODEL}/endpoints", key=key).status_code == 404
    for public in ("/models?q=o3", "/models/feed.xml?q=o3", f"/compare?models={MODEL}"):
        text = stage.send("GET", public, headers=HTML).text
        assert f'href="/{MODEL}"' not in text, public
    hidden = owner.get("/admin/models?state=hidden").text
    assert MODEL in hidden
    assert "Changed by operator" in hidden
    assert "Model hidden" in owner.get(f"/admin/endpoints?q={MODEL}").text
    stage.settle(stage.ada, model=MODEL, endpoint=ENDPOINT)
    assert Visit(stage, stage.ada).get("/activity").status_code == 200, "what was is still told"
    rankings = stage.send("GET", "/rankings", headers=HTML).text
    assert "A model that is not shown" in rankings
    assert MODEL not in rankings
    owner.post("/admin/models/switch", model=MODEL, to="visible")
    assert MODEL in stage.send("GET", "/rankings", headers=HTML).text
    assert stage.send("GET", path, headers=HTML).status_code == 200


def test_what_a_model_has_left_is_told(stage: AdminStage, owner: Visit) -> None:
    model = ModelId("sandbox/echo")
    owner.post("/admin/endpoints/switch", endpoint="sandbox:echo", to="off")
    page = owner.get("/admin/models?state=empty").text
    assert "No endpoint left" in page
    assert page.count(f'value="{model}"') == 1
    assert stage.send("GET", f"/{model}", headers=HTML).status_code == 404


def test_what_left_the_catalogue_can_be_forgotten(stage: AdminStage, owner: Visit) -> None:
    stage.execute(
        "INSERT INTO endpoint_amendments VALUES ('vllm:gone', true, '{}', 1, :by)", by=HOSTILE
    )
    stage.execute("INSERT INTO hidden_models VALUES ('vllm/gone', 1, 'user-x')")
    for path, name in (("/admin/endpoints", "vllm:gone"), ("/admin/models", "vllm/gone")):
        page = owner.get(path).text
        assert name in page
        assert "<script>alert" not in page
    assert owner.post("/admin/endpoints/reset", endpoint="vllm:gone").status_code == 303
    assert owner.post("/admin/models/switch", model="vllm/gone", to="visible").status_code == 303
    assert "gone" not in owner.get("/admin/endpoints").text + owner.get("/admin/models").text


def test_nobody_else_changes_the_catalogue(stage: AdminStage, owner: Visit) -> None:
    ada = Visit(stage, stage.ada)
    for path, fields in (
        ("/admin/endpoints/switch", {"endpoint": ENDPOINT, "to": "off"}),
        ("/admin/endpoints/reset", {"endpoint": ENDPOINT}),
        (PRICES, {"endpoint": ENDPOINT, "prompt": "1"}),
        ("/admin/models/switch", {"model": MODEL, "to": "hidden"}),
    ):
        assert ada.post(path, **fields).status_code == 404, path
        assert owner.post(path, csrf="wrong", **fields).status_code == 403, path
    for path in ("/admin/models", f"{PRICES}?endpoint={quote(ENDPOINT)}"):
        assert ada.get(path).status_code == 404
    assert stage.control.catalog.snapshot is stage.control.catalog.unamended


@pytest.mark.parametrize("name", ["", "nobody:nothing", HOSTILE])
def test_what_is_not_there_is_not_changed(owner: Visit, name: str) -> None:
    assert owner.get(f"{PRICES}?endpoint={quote(name)}").status_code == 404
    assert owner.post(PRICES, endpoint=name, prompt="1").status_code == 404
    assert owner.post("/admin/endpoints/switch", endpoint=name, to="off").status_code == 404
    assert owner.post("/admin/models/switch", model=name, to="hidden").status_code == 404


@pytest.mark.parametrize(
    ("text", "is_per_million", "price"),
    [
        ("0", True, 0),
        ("0.000001", True, 1),
        ("$1,500.25", True, 1_500_250_000),
        ("2.5000000", True, 2_500_000),
        ("0.000000000001", False, 1),
        (".5", False, 500_000_000_000),
        ("0.0000001", True, None),
        ("0.0000000000001", True, None),
        ("0.0000000000001", False, None),
        ("1.2.3", True, None),
        (".", True, None),
        ("٣", True, None),
        ("9" * 41, True, None),
    ],
)
def test_a_price_is_read_exactly_or_not_at_all(
    text: str, is_per_million: bool, price: int | None
) -> None:
    if price is None:
        with pytest.raises(PriceInvalid):
            pico_price(text, is_per_million=is_per_million)
    else:
        assert pico_price(text, is_per_million=is_per_million) == PicoUSD(price)
