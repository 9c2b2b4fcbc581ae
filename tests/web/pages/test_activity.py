"""`/activity`: sums, filters in the address, calls in pages, each with its reasons; and to take away."""

from __future__ import annotations

import csv
import io
import re

import msgspec
import pytest

from fairlead.core.catalog import Snapshot
from fairlead.core.content import Content
from fairlead.core.generation import Attempt, Attribution, Generation, Outcome
from fairlead.core.money import NanoUSD, PicoUSD
from fairlead.core.pricing import PriceSheet, charge, price_version
from fairlead.core.usage import Usage
from fairlead.core.who_pays import Cause
from fairlead.web.pages import activity_export
from fairlead.web.pages.generation_view import bill_of
from fairlead.web.pages.kept_view import MESSAGES_MAX
from tests.web.management.stage import Stage
from tests.web.pages.visits import HOSTILE, HTML, Visit

SHEET = PriceSheet(
    prompt=PicoUSD(15_000_000), completion=PicoUSD(60_000_000), input_cache_read=PicoUSD(7_500_000)
)
APP = Attribution(referer="https://the-app.example", title="The App")


@pytest.fixture
def ada(stage: Stage) -> Visit:
    return Visit(stage, stage.ada)


def calls_in(page: str) -> list[str]:
    return re.findall(r'href="/activity/(gen-[0-9a-f]+)"', page)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_an_account_that_has_called_nothing_is_told_how_to_begin(ada: Visit) -> None:
    page = ada.get("/activity").text
    assert "No calls in this time" in page
    assert "$0.00" in page
    assert "<figure" not in page


def test_sums_and_calls_are_shown_and_the_address_chooses(stage: Stage, ada: Visit) -> None:
    first = stage.settle(stage.ada, cost=1_000_000_001, attribution=APP)
    other = stage.settle(
        stage.ada, cost=500_000_000, model="anthropic/claude", provider="anthropic",
        endpoint="anthropic:claude",
    )  # fmt: skip
    page = ada.get("/activity").text
    assert "$1.500000001" in page
    assert set(calls_in(page)) == {first.id, other.id}
    assert "The App" in page
    key = stage.ada.hash
    for query, found in (
        ("model=anthropic/claude", {other.id}),
        ("provider=openai", {first.id}),
        (f"key={key}", {first.id, other.id}),
        ("model=nobody/has-this", set()),
        ("period=hour&by=provider", {first.id, other.id}),
        ("period=day&by=key", {first.id, other.id}),
        ("period=week&by=app", {first.id, other.id}),
        ("period=year&by=member", {first.id, other.id}),
        ("period=eon&by=colour&before=x&app=x&key=x", {first.id, other.id}),
    ):
        assert set(calls_in(ada.get(f"/activity?{query}").text)) == found, query
    (app,) = re.findall(r'<option value="(\d+)">The App</option>', page)
    assert set(calls_in(ada.get(f"/activity?app={app}").text)) == {first.id}
    assert "No call is like that" in ada.get("/activity?model=nobody/has-this").text


def test_an_app_of_others_has_no_name(stage: Stage, ada: Visit) -> None:
    """Its number is in nobody's way, and what somebody calls a program on his own machine is his."""
    stage.settle(stage.ada, cost=1)
    at_home = Attribution(referer="http://localhost:3000", title="Plans of Bob")
    stage.settle(stage.bob, cost=2, attribution=at_home)
    (app,) = re.findall(
        r'<option value="(\d+)">Plans of Bob</option>',
        Visit(stage, stage.bob).get("/activity").text,
    )
    assert "Plans of Bob" in Visit(stage, stage.bob).get(f"/activity?app={app}").text
    for path in ("/activity", "/activity/summary.csv"):
        answer = ada.get(f"{path}?app={app}&by=app")
        assert answer.status_code == 200
        assert "Plans of Bob" not in answer.text


def test_htmx_gets_the_part_of_the_same_address(stage: Stage, ada: Visit) -> None:
    stage.settle(stage.ada)
    part = ada.get("/activity?by=key", **{"hx-request": "true"}).text
    assert part.lstrip().startswith('<div id="results">')
    assert "laptop" in part
    assert part.strip() in ada.get("/activity?by=key").text


def test_calls_come_in_pages_the_newest_first(stage: Stage, ada: Visit) -> None:
    made = [stage.settle(stage.ada, cost=number + 1).id for number in range(30)]
    page = ada.get("/activity").text
    older = re.search(r'href="(/activity\?[^"#]*before=[^"#]*)#', page)
    assert older is not None
    second = ada.get(older[1].replace("&amp;", "&")).text
    seen = calls_in(page) + calls_in(second)
    assert len(calls_in(page)) == 25
    assert sorted(seen) == sorted(made)
    assert ">Newest<" in second


def test_a_call_says_why_it_cost_what_it_cost(stage: Stage, ada: Visit) -> None:
    usage = Usage(prompt=90, cache_read=10, completion=20, reasoning=5)
    version = price_version(SHEET)
    stage.control.prices.keep({version: SHEET})
    cost = charge(usage, SHEET, at_s=0).total
    call = stage.settle(
        stage.ada, cost=cost - 29_250, usage=usage, price_version=version, list_cost=cost,
        discount=NanoUSD(29_250), rule=str(Cause.COMPLETED), attribution=APP, latency_ms=340,
        duration_ms=1340,
        attempts=(
            Attempt("azure:o1", "azure", "openai/o1", 503, 12, "overloaded"),
            Attempt("openai:o1", "openai", "openai/o1", 200, 340),
        ),
    )  # fmt: skip
    page = ada.get(f"/activity/{call.id}").text
    for said in (
        "90 tokens", "$15 per million", "$0.00135", "$7.50 per million", "$0.000075", "$60 per million",
        "$0.0012", "$0.0003", "$0.002925", "-$0.00002925", "$0.00289575",
        "The answer is complete: you pay for what the provider says was used.",
        "Overloaded (503)", "25 tok/s", "The App", "How this call was routed was not kept.",
    ):  # fmt: skip
        assert said in page, said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"list_cost": NanoUSD(2_925_000), "cost": NanoUSD(2_925_000)}, []),
        (
            {"list_cost": NanoUSD(0), "cost": NanoUSD(0), "rule": str(Cause.UPSTREAM_DIED)},
            ["Borne by this installation, not by you"],
        ),
        (
            {"list_cost": NanoUSD(10), "cost": NanoUSD(10), "rule": str(Cause.EMPTY)},
            ["Tokens, borne by this installation"],
        ),
        (
            {"list_cost": NanoUSD(2_925_000), "cost": NanoUSD(146_250), "is_byok": True},
            ["You pay your provider yourself", "Fee for using your own key"],
        ),
        (
            {
                "list_cost": NanoUSD(2_925_000), "cost": NanoUSD(2_000_000),
                "discount": NanoUSD(29_250), "waived": NanoUSD(895_750),
            },
            ["Discount for letting your prompts be used", "Beyond what your budgets had: not charged"],
        ),
        ({"cost": NanoUSD(2_925_000)}, []),  # from before list prices were kept
    ],
)  # fmt: skip
def test_every_bill_adds_up_to_what_was_charged(
    generation: Generation, changed: dict[str, object], said: list[str]
) -> None:
    call = msgspec.structs.replace(generation, **changed)
    bill = bill_of(call, SHEET)
    labels = [line.label for line in bill.lines]
    for words in said:
        assert words in labels
    assert "As recorded" not in labels
    running = 0
    for line in bill.lines:
        amount = _nano(line.amount)
        if line.is_sum:
            assert amount == running, line
        else:
            running += amount
    assert running == call.cost * 1000


def _nano(text: str) -> int:
    """Picodollars of "-$1.25"."""
    sign = -1 if text.startswith("-") else 1
    whole, _, fraction = text.lstrip("+-").removeprefix("$").replace(",", "").partition(".")
    return sign * (int(whole) * 10**12 + int(fraction.ljust(12, "0")))


def test_calls_of_others_are_not_there(stage: Stage, ada: Visit) -> None:
    theirs = stage.settle(stage.bob)
    assert ada.get(f"/activity/{theirs.id}").status_code == 404
    assert ada.get("/activity/gen-nothing").status_code == 404
    assert ada.get(f"/activity/{'x' * 500}").status_code == 404
    assert ada.get(f"/activity?key={stage.bob.hash}").status_code == 404
    assert calls_in(ada.get("/activity").text) == []
    assert rows_of(ada.get("/activity/calls.csv").text) == []


def test_members_see_sums_of_all_and_calls_of_their_own(stage: Stage) -> None:
    account = stage.organisation(stage.ada, stage.bob)
    calls = {}
    for name, person in (("admins", stage.ada), ("members", stage.bob)):
        new = stage.control.keys.create(account, name=name, creator=person.user)  # type: ignore[arg-type]
        calls[name] = stage.settle(
            person, account=account, key=new.key.id, user=new.key.creator, cost=1_000_000_000
        )
    member, admin = Visit(stage, stage.bob, account), Visit(stage, stage.ada, account)
    page = member.get("/activity").text
    assert "$2.00" in page
    assert calls_in(page) == [calls["members"].id]
    assert len(calls_in(admin.get("/activity").text)) == 2
    by_key = member.get("/activity?by=key").text
    assert "members" in by_key
    assert "admins" not in by_key
    keys = {one.name: one.digest.hex() for one in stage.control.keys.page(account)}
    assert member.get(f"/activity?key={keys['admins']}").status_code == 404
    assert member.get(f"/activity?key={keys['members']}").status_code == 200


def test_what_is_taken_away_opens_safely(stage: Stage, ada: Visit) -> None:
    stage.control.keys.create(stage.ada.account, name="=HYPERLINK(1)")
    formula = stage.control.keys.page(stage.ada.account)[-1]
    call = stage.settle(
        stage.ada, cost=123, key=formula.id, attribution=Attribution(referer="https://a.example")
    )
    calls = ada.get("/activity/calls.csv")
    assert calls.headers["content-type"].startswith("text/csv")
    assert "attachment" in calls.headers["content-disposition"]
    (row,) = rows_of(calls.text)
    assert row["generation_id"] == call.id
    assert row["cost_usd"] == "0.000000123"
    assert row["api_key"] == "'=HYPERLINK(1)"
    summary = ada.get("/activity/summary.csv?by=key&period=day")
    (row,) = rows_of(summary.text)
    assert (row["key"], row["requests"], row["cost_usd"]) == ("'=HYPERLINK(1)", "1", "0.000000123")
    pdf = ada.get("/activity/summary.pdf?by=app")
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF")


def test_a_file_of_calls_says_how_far_it_goes_back_and_where_the_rest_is(
    stage: Stage, ada: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = stage.clock.now_s()
    made = [stage.settle(stage.ada, cost=age, created_s=now_s - age).id for age in range(7)]
    monkeypatch.setattr(activity_export, "CALLS_AT_ONCE", 2)
    address: str | None = "/activity/calls.csv?period=day"
    for calls_max, pages_max, expected in (
        (3, 100, made[:3]),
        (100, 1, made[3:5]),
        (3, 100, made[5:]),
    ):
        monkeypatch.setattr(activity_export, "CALLS_MAX", calls_max)
        monkeypatch.setattr(activity_export, "PAGES_MAX", pages_max)
        assert address is not None
        answer = ada.get(address)
        assert [row["generation_id"] for row in rows_of(answer.text)] == expected
        is_whole = 'filename="calls.csv"' in answer.headers["content-disposition"]
        said = re.search(
            r'filename="calls-back-to-(\d{8}-\d{6})\.csv"', answer.headers["content-disposition"]
        )
        assert is_whole is (said is None) is (expected[-1] == made[-1])
        address = answer.links["next"]["url"] if "link" in answer.headers else None
        assert is_whole is (address is None)


def test_hostile_titles_and_names_are_only_text(stage: Stage, ada: Visit) -> None:
    stage.control.keys.create(stage.ada.account, name=HOSTILE)
    key = stage.control.keys.page(stage.ada.account)[-1]
    call = stage.settle(
        stage.ada, key=key.id, outcome=Outcome.FAILED, requested_model=HOSTILE,
        attribution=Attribution(
            referer=f"https://hostile.example/{HOSTILE}", title=HOSTILE, user_agent=HOSTILE
        ),
        session_id=HOSTILE, external_user=HOSTILE, native_finish_reason=HOSTILE,
        error_type=HOSTILE, upstream_id=HOSTILE,
        attempts=(Attempt("e:x", HOSTILE, HOSTILE, 500, 1, HOSTILE),),
    )  # fmt: skip
    for path in (
        "/activity", "/activity?by=app", "/activity?by=key", f"/activity/{call.id}",
        f"/activity?model={HOSTILE.replace('<', '%3C').replace('>', '%3E')}",
    ):  # fmt: skip
        page = ada.get(path)
        assert page.status_code == 200, path
        assert "<img" not in page.text, path
        assert "<script>alert" not in page.text, path


def test_what_was_asked_and_answered_is_shown_where_it_is_kept(stage: Stage, ada: Visit) -> None:
    crew = stage.organisation(stage.ada, stage.bob)
    messages = [
        *({"role": "user", "content": f"turn {number}."} for number in range(MESSAGES_MAX)),
        {"role": "user", "content": [{"type": "text", "text": HOSTILE}, {"type": "image_url"}]},
    ]
    calls = [stage.settle(stage.ada), stage.settle(stage.ada, account=crew, cost=7)]
    contents = [
        Content(
            generation=one.id, account=one.account, workspace=one.workspace,
            created_ms=stage.clock.now_ms(), messages=msgspec.json.encode(messages), prompt=None,
            completion="A long answer. " * 9_000, reasoning="Because.", error=None,
        )
        for one in calls
    ]  # fmt: skip
    other = stage.settle(stage.ada, cost=8)
    stage.control.private.contents.keep(contents)
    page = ada.get(f"/activity/{calls[0].id}").text
    assert "<img" not in page
    for said in (
        "&lt;img src=x",
        "[image_url]",
        "turn 1.",
        "Because.",
        "A long answer.",
        "1 message before",
    ):
        assert said in page
    assert "turn 0." not in page
    assert page.count("A long answer.") < 1_400
    assert "Neither is kept" in ada.get(f"/activity/{other.id}").text
    shared = f"/activity/{calls[1].id}"
    assert "Because." in Visit(stage, stage.ada, crew).get(shared).text
    member = Visit(stage, stage.bob, crew).get(shared).text
    assert "Because." not in member
    assert "only admins can read" in member


def test_what_is_wrong_with_an_answer_is_said_on_its_page(stage: Stage, ada: Visit) -> None:
    call = stage.settle(stage.ada)
    path = f"/activity/{call.id}/feedback"
    assert f'action="{path}"' in ada.get(f"/activity/{call.id}").text
    answer = ada.post(path, category="billing", comment=" Twice.\r\nWhy? ")
    assert answer.headers["location"] == f"/activity/{call.id}?notice=said"
    (remark,) = stage.feedback(stage.ada)
    assert (remark.category, remark.comment) == ("billing", "Twice.\nWhy?")
    assert (remark.generation, remark.author) == (call.id, stage.ada.user)
    assert ada.post(path, category="colour").status_code == 400
    assert ada.post(path, category="other", comment="x" * 1001).status_code == 400
    assert Visit(stage, stage.bob).post(path, category="other").status_code == 404
    assert len(stage.feedback(stage.ada)) == 1
    assert ada.post(path, accept="application/json", category="other").status_code == 204


def test_nobody_is_sent_to_sign_in(stage: Stage) -> None:
    for path in ("/activity", "/activity/gen-1", "/activity/calls.csv", "/activity/summary.pdf"):
        answer = stage.send("GET", path, headers=HTML)
        assert answer.headers["location"] == f"/sign-in?next={path}"


def test_a_routing_decision_is_told_in_words(seed: Snapshot, generation: Generation) -> None:
    """See tests/core for the words; here, that a page is made of them."""
    from fairlead.core.capability import Capability
    from fairlead.core.ids import ModelId, ProviderSlug
    from fairlead.core.routing.decision import Chosen, Decision
    from fairlead.core.routing.preferences import Preferences
    from fairlead.core.routing.types import Question, Target, Traits, Why
    from fairlead.web.pages.generation_view import call_view

    endpoints = seed.models[ModelId("openai/o1")].endpoints
    first = endpoints[0]
    decision = Decision(
        question=Question((Target(ModelId("openai/o1")),), Traits(Capability.CHAT, 10, 10, 40)),
        preferences=Preferences(),
        access=((ProviderSlug(first.provider), ()),),
        facts=(),
        seed=7,
        choices=(Chosen(first.id, None, PicoUSD(1_500_000_000), Why.PRICE),),
        removed=(),
    )
    call = msgspec.structs.replace(generation, decision=decision, endpoint=first.id)
    view = call_view(call, sheet=None, decided_in=seed, now=seed, facts=())
    assert view.routing is not None
    (candidate,) = view.routing.candidates
    assert (candidate.place, candidate.price, candidate.is_selected) == (1, "$0.001500", True)
    assert len(view.routing.left_out) == len(endpoints) - 1
    assert all("credential" in one.why for one in view.routing.left_out)
    said = "The request named the model itself. 1 endpoint could be asked"
    assert view.routing.summary.startswith(said)
    assert not view.bill.is_known
