"""Calls from our own pages come without a key, on a path of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest

from fairlead.core.caller import Caller
from fairlead.core.errors import FairleadError, NotAuthenticated, PermissionDenied
from fairlead.core.ids import AccountId, KeyId
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import KEY, Answer, GatewayInMemory
from fairlead.testing.upstream import Script, ScriptedUpstream, chat_whole
from fairlead.testing.vtime import run_simulated

SNAPSHOT = a_snapshot(
    a_model(an_endpoint("cheap", prompt="0.000001", completion="0.000002")),
    providers=(a_provider("cheap"),),
)
ADA = Caller(AccountId("acc-ada"), KeyId("key-chat"))
HELLO = {"model": "acme/one", "messages": [{"role": "user", "content": "Hello"}]}


@dataclass
class OneVisitor:
    answer: Caller | FairleadError = ADA
    asked: list[dict[bytes, bytes]] = field(default_factory=list)

    async def find(
        self, fields: Sequence[tuple[bytes, bytes]], client: tuple[str, int] | None
    ) -> Caller:
        self.asked.append(dict(fields))
        if isinstance(self.answer, FairleadError):
            raise self.answer
        return self.answer


def called(
    visitors: OneVisitor | None, path: str = "/chat/completions", method: str = "POST"
) -> tuple[Answer, GatewayInMemory]:
    async def call() -> tuple[Answer, GatewayInMemory]:
        upstream = ScriptedUpstream(lambda _: Script([(0.1, chat_whole("Hello to you"))]))
        gateway = GatewayInMemory(upstream, SNAPSHOT, visitors=visitors)
        headers = {"cookie": "session=one", "authorization": f"Bearer {KEY}"}
        return await gateway.call(path, HELLO, headers=headers, method=method), gateway

    return run_simulated(call())


def test_a_call_of_a_page_is_its_visitors() -> None:
    visitors = OneVisitor()
    answer, gateway = called(visitors)
    assert answer.status == 200
    content = msgspec.json.decode(answer.body)["choices"][0]["message"]["content"]
    assert content == "Hello to you"
    assert [(one.account, one.key) for one in gateway.recorded] == [(ADA.account, ADA.key)]
    assert [asked[b"cookie"] for asked in visitors.asked] == [b"session=one"]


@pytest.mark.parametrize(
    ("refusal", "status"), [(NotAuthenticated("Sign in."), 401), (PermissionDenied("No."), 403)]
)
def test_who_is_no_visitor_is_refused_whatever_key_they_send(
    refusal: FairleadError, status: int
) -> None:
    answer, gateway = called(OneVisitor(refusal))
    assert answer.status == status
    assert msgspec.json.decode(answer.body)["error"]["message"] == refusal.message
    assert gateway.recorded == []


def test_a_page_calls_by_post() -> None:
    visitors = OneVisitor()
    assert called(visitors, method="PUT")[0].status == 405
    assert visitors.asked == []


def test_the_path_for_keys_asks_no_visitor() -> None:
    visitors = OneVisitor()
    assert called(visitors, "/api/v1/chat/completions")[0].status == 200
    assert visitors.asked == []


def test_without_sessions_there_is_no_such_path() -> None:
    assert called(None)[0].status == 404
