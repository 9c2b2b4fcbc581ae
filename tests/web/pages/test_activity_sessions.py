"""`/activity/sessions` and what chooses among calls: results, caches, streams; and metrics to take away."""

from __future__ import annotations

import csv
import io
import re
from html import unescape

import pytest

from fairlead.control.generations import listing
from fairlead.core.capability import Capability
from fairlead.core.catalog import Snapshot
from fairlead.core.generation import Outcome
from fairlead.core.ids import ModelId
from fairlead.core.routing.decision import Decision
from fairlead.core.routing.preferences import Preferences
from fairlead.core.routing.types import Question, Target, Traits
from fairlead.core.usage import Usage
from fairlead.web.api.generations import generation_object
from fairlead.web.pages.call_facts import session_path
from tests.web.management.stage import Stage
from tests.web.pages.visits import HOSTILE, Visit


@pytest.fixture
def ada(stage: Stage) -> Visit:
    return Visit(stage, stage.ada)


def calls_in(page: str) -> list[str]:
    return re.findall(r'href="/activity/(gen-[0-9a-f]+)"', page)


def sessions_in(page: str) -> list[str]:
    return [unescape(one) for one in re.findall(r'href="(/activity/session\?id=[^"#]+)"', page)]


def next_of(page: str) -> str:
    (link,) = re.findall(r'rel="next" href="([^"#]+)#', page)
    return unescape(link)


def test_an_account_without_sessions_is_told_how_to_make_them(stage: Stage, ada: Visit) -> None:
    stage.settle(stage.ada)
    page = ada.get("/activity/sessions").text
    assert "No sessions in this time" in page
    assert "session_id" in page


def test_a_session_is_listed_and_leads_to_its_calls_and_back(stage: Stage, ada: Visit) -> None:
    now_s = stage.clock.now_s()
    first = stage.settle(stage.ada, cost=1_000_000_000, session_id="run 7/a", created_s=now_s - 90)
    last = stage.settle(
        stage.ada, created_s=now_s, cost=500_000_000, session_id="run 7/a", model="anthropic/claude",
        outcome=Outcome.FAILED, usage=Usage(prompt=5),
    )  # fmt: skip
    stage.settle(stage.ada, cost=7, session_id="another")
    stage.settle(stage.ada, cost=8)
    page = ada.get("/activity/sessions?period=day").text
    assert set(sessions_in(page)) == {session_path("run 7/a"), session_path("another")}
    for said in ("$1.50", "1 failed", "and 1 other model", "1 min 30 s", "One call"):
        assert said in page, said
    page = ada.get(session_path("run 7/a")).text
    assert calls_in(page) == [last.id, first.id]
    for said in ("$1.50", "1 failed", "105 in, 25 out", "9.5%"):
        assert said in page, said
    assert sessions_in(ada.get(f"/activity/{first.id}").text) == [session_path("run 7/a")]


def test_sessions_and_their_calls_come_in_pages(stage: Stage, ada: Visit) -> None:
    now_s = stage.clock.now_s()
    calls = [
        stage.settle(stage.ada, cost=number, session_id="long", created_s=now_s - 60 + number).id
        for number in range(60)
    ]
    for number in range(30):
        stage.settle(stage.ada, cost=100 + number, session_id=f"-short- {number}")
    page = ada.get("/activity/sessions").text
    second = ada.get(next_of(page)).text
    seen = sessions_in(page) + sessions_in(second)
    assert len(sessions_in(page)) == 25
    assert len(seen) == len(set(seen)) == 31
    assert 'rel="next"' not in second
    page = ada.get(session_path("long")).text
    assert calls_in(page) + calls_in(ada.get(next_of(page)).text) == calls[::-1]


def test_members_see_sessions_of_their_own_calls(stage: Stage) -> None:
    account = stage.organisation(stage.ada, stage.bob)
    for name, person, cost in (("ada", stage.ada, 3), ("bob", stage.bob, 4)):
        new = stage.control.keys.create(account, name=name, creator=person.user)  # type: ignore[arg-type]
        for session in ("shared", f"of {name}"):
            stage.settle(
                person, account=account, key=new.key.id, user=person.user, session_id=session,
                cost=cost * 1_000_000_000 + len(session),
            )  # fmt: skip
    admin, member = Visit(stage, stage.ada, account), Visit(stage, stage.bob, account)
    assert len(sessions_in(admin.get("/activity/sessions").text)) == 3
    page = member.get("/activity/sessions").text
    assert set(sessions_in(page)) == {session_path("shared"), session_path("of bob")}
    assert len(calls_in(admin.get(session_path("shared")).text)) == 2
    assert len(calls_in(member.get(session_path("shared")).text)) == 1
    assert "$7" not in member.get(session_path("shared")).text
    assert member.get(session_path("of ada")).status_code == 404
    assert Visit(stage, stage.ada).get(session_path("shared")).status_code == 404


def test_calls_of_others_in_between_are_passed_over(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LOOK_AT", (1, 1))
    account, now_s = stage.organisation(stage.ada, stage.bob), stage.clock.now_s()
    made = [
        stage.settle(
            person, account=account, user=person.user, session_id="shared", cost=age,
            created_s=now_s - age,
        ).id
        for age, person in enumerate((stage.bob, *[stage.ada] * 60, stage.bob))
    ]  # fmt: skip
    page = Visit(stage, stage.bob, account).get(session_path("shared")).text
    assert calls_in(page) == [made[0], made[-1]]


def test_what_callers_call_a_session_is_only_text(stage: Stage, ada: Visit) -> None:
    for number, session in enumerate((HOSTILE, "a\0b", "\u202e\n", "x" * 400)):
        call = stage.settle(stage.ada, cost=number, session_id=session)
        for path in (session_path(session), f"/activity/{call.id}", "/activity/sessions"):
            page = ada.get(path)
            assert page.status_code == 200, path
            assert "<img" not in page.text
            assert call.id in page.text or path == "/activity/sessions"
    for path in ("/activity/session", "/activity/session?id=", "/activity/session?id=nobodys"):
        assert ada.get(path).status_code == 404
    assert ada.get("/activity/sessions?before=x&period=eon").status_code == 200
    assert ada.get("/activity/sessions?before=1795219200000-%00").status_code == 200


def test_calls_are_chosen_by_how_they_went(stage: Stage, ada: Visit) -> None:
    plain = Usage(prompt=100, completion=20)
    calls = {
        "cached": stage.settle(stage.ada, cost=1).id,
        "failed": stage.settle(stage.ada, cost=2, usage=plain, outcome=Outcome.FAILED).id,
        "left": stage.settle(stage.ada, cost=3, usage=plain, outcome=Outcome.CANCELLED).id,
        "at once": stage.settle(stage.ada, cost=4, usage=plain, streamed=False).id,
    }
    for query, found in (
        ("result=failed", {"failed"}),
        ("result=cancelled", {"left"}),
        ("result=completed", {"cached", "at once"}),
        ("cache=read", {"cached"}),
        ("cache=none", {"failed", "left", "at once"}),
        ("streamed=no", {"at once"}),
        ("streamed=yes&cache=none", {"failed", "left"}),
        ("result=odd&cache=odd&streamed=odd", set(calls)),
    ):
        page = ada.get(f"/activity?{query}&period=day").text
        assert set(calls_in(page)) == {calls[name] for name in found}, query
        assert "$0.00000001" in page  # of all of them: sums are not told apart by these
    assert "No call is like that" in ada.get("/activity?result=failed&cache=read").text
    page = ada.get("/activity?result=failed&model=openai/o1").text
    assert page.count('<input type="hidden" name="model" value="openai/o1">') == 1
    assert page.count('<input type="hidden" name="result" value="failed">') == 1
    assert "result=failed" in ada.get("/activity?result=failed").text.split("calls.csv")[1][:80]


def test_where_only_so_many_are_looked_at_it_goes_on_from_there(
    stage: Stage, ada: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "READ_AT_ONCE", 2)
    monkeypatch.setattr(listing, "RECORDS_LOOKED_AT_MAX", 2)
    now_s = stage.clock.now_s()
    made = [
        stage.settle(stage.ada, streamed=age < 6, cost=age, created_s=now_s - age).id
        for age in range(7)
    ]
    page = ada.get("/activity?streamed=no").text
    for _ in range(3):
        assert calls_in(page) == []
        assert "have not been looked at yet" in page
        (further,) = re.findall(r'href="([^"#]+)"[^>]*>Look further back', page)
        page = ada.get(unescape(further)).text
    assert calls_in(page) == made[-1:]


def test_one_metric_over_time_is_the_table_of_its_chart(stage: Stage, ada: Visit) -> None:
    stage.settle(stage.ada, cost=1_000_000_001)
    stage.settle(stage.ada, cost=2, model="=cmd()", usage=Usage(prompt=7))
    for metric, column, expected in (
        ("spend", "spend_usd", ["1.000000001", "0.000000002", "1.000000003"]),
        ("tokens", "tokens", ["125", "7", "132"]),
        ("requests", "requests", ["1", "1", "2"]),
    ):
        answer = ada.get(f"/activity/over-time.csv?metric={metric}&period=day")
        assert f'"activity-{metric}-day.csv"' in answer.headers["content-disposition"]
        columns, *rows = csv.reader(io.StringIO(answer.text))
        assert columns == ["from", "openai/o1", "'=cmd()", column]
        assert len(rows) == 24
        assert rows[-1][1:] == expected
        assert [float(one) for one in rows[0][1:]] == [0, 0, 0]
        assert (
            f"over-time.csv?period=day&amp;metric={metric}" in ada.get("/activity?period=day").text
        )
    assert ada.get("/activity/over-time.csv?metric=mood").status_code == 404


def test_a_call_tells_whose_it_was_and_how_it_was_asked(
    stage: Stage, ada: Visit, seed: Snapshot
) -> None:
    traits = Traits(Capability.CHAT, 10, 10, 40, modalities=("file", "image"))
    decision = Decision(
        question=Question((Target(ModelId("openai/o1")),), traits), preferences=Preferences(region="eu"),
        access=(), facts=(), seed=7, choices=(), removed=(),
    )  # fmt: skip
    call = stage.settle(
        stage.ada, workspace="", preset="careful", router="fairlead/auto", decision=decision,
        usage=Usage(prompt=5, web_searches=3),
    )  # fmt: skip
    page = re.sub(r"\s+", " ", ada.get(f"/activity/{call.id}").text)
    for name, value in (
        ("Workspace", "Default"), ("Preset", "careful"), ("Router", "fairlead/auto"), ("Web searches", "3"),
        ("Prompt", "text, files, pictures"), ("Data region", "European Union only"),
    ):  # fmt: skip
        assert f"<dt>{name}</dt><dd>{value}</dd>" in page, name
    told = generation_object(call, seed)
    assert (told["num_media_prompt"], told["num_input_audio_prompt"]) == (None, 0)
    assert (told["preset_id"], told["data_region"]) == ("careful", "europe")
