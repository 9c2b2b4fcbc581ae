from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.catalog import Endpoint, EndpointStatus
from fairlead.core.chat import ChatRequest
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.health import RecentOutages
from fairlead.core.routing import Plan, Removal, fitted, plan
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.testing.builders import a_model, a_request, an_endpoint

NOBODY_FAILS = RecentOutages().at(0)


def _plan(
    endpoints: tuple[Endpoint, ...],
    request: ChatRequest | None = None,
    *,
    configured: frozenset[str] | None = None,
    inputs: frozenset[str] = frozenset({"text"}),
) -> Plan:
    return plan(
        request or a_request(),
        a_model(*endpoints, inputs=inputs),
        health=NOBODY_FAILS,
        has_credential=lambda slug: configured is None or slug in configured,
        providers={},
    )


def _providers(chosen: Plan) -> list[str]:
    return [endpoint.provider for endpoint in chosen.endpoints]


CHEAP = an_endpoint("cheap", prompt="0.000001")
MIDDLE = an_endpoint("middle", prompt="0.000002")
DEAR = an_endpoint("dear", prompt="0.000003")
ALL = (DEAR, CHEAP, MIDDLE)


def test_the_cheapest_comes_first() -> None:
    assert _providers(_plan(ALL)) == ["cheap", "middle", "dear"]


def test_a_failing_endpoint_comes_last() -> None:
    outages = RecentOutages()
    outages.failed(CHEAP.id, UpstreamFailure("down", kind=FailureKind.SERVER), now_s=100.0)

    def order(now_s: float) -> list[str]:
        chosen = plan(
            a_request(),
            a_model(*ALL),
            health=outages.at(now_s),
            has_credential=lambda _: True,
            providers={},
        )
        return _providers(chosen)

    assert order(101.0) == ["middle", "dear", "cheap"]
    assert order(131.0) == ["cheap", "middle", "dear"]


def test_a_deprecated_endpoint_is_still_used_after_the_others() -> None:
    old = replace_status(CHEAP, EndpointStatus.DEPRECATED)
    assert _providers(_plan((old, DEAR))) == ["dear", "cheap"]


def replace_status(endpoint: Endpoint, status: EndpointStatus) -> Endpoint:
    return msgspec.structs.replace(endpoint, status=status)


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({"order": ["dear"]}, ["dear", "cheap", "middle"]),
        ({"order": ["DEAR", "middle"], "allow_fallbacks": False}, ["dear", "middle"]),
        ({"only": ["middle", "dear"]}, ["middle", "dear"]),
        ({"ignore": ["cheap"]}, ["middle", "dear"]),
        ({"allow_fallbacks": False}, ["cheap"]),
        ({"order": ["nobody", "middle"]}, ["middle", "cheap", "dear"]),
        ({"only": ["nobody"]}, []),
        ("middle", ["middle"]),
        ("auto", ["cheap", "middle", "dear"]),
    ],
)
def test_the_callers_wishes_are_followed(wishes: object, expected: list[str]) -> None:
    assert _providers(_plan(ALL, a_request(provider=wishes))) == expected


def test_only_configured_providers_are_planned() -> None:
    chosen = _plan(ALL, configured=frozenset({"dear"}))
    assert _providers(chosen) == ["dear"]
    assert {reason for _, reason in chosen.removed} == {Removal.NO_CREDENTIAL}


def test_an_endpoint_without_a_price_is_never_used() -> None:
    unpriced = replace_status(CHEAP, EndpointStatus.UNPRICED)
    assert _plan((unpriced,)).removed == ((unpriced.id, Removal.UNPRICED),)


def test_tools_go_to_endpoints_that_know_tools_if_there_are_any() -> None:
    toolless = an_endpoint("toolless", prompt="0", supported=frozenset())
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert _providers(_plan((toolless, DEAR), a_request(tools=tools))) == ["dear"]
    assert _providers(_plan((toolless,), a_request(tools=tools))) == ["toolless"]
    assert _providers(_plan((toolless, DEAR))) == ["toolless", "dear"]


def test_required_parameters_remove_endpoints_that_lack_one() -> None:
    request = a_request(top_k=3, provider={"require_parameters": True})
    able = an_endpoint("able", supported=frozenset({"top_k"}))
    assert _providers(_plan((CHEAP, able), request)) == ["able"]
    assert _providers(_plan((CHEAP, able), a_request(top_k=3))) == ["able", "cheap"]


def test_an_answer_longer_than_an_endpoint_can_write_goes_elsewhere() -> None:
    short = an_endpoint("short", prompt="0", max_completion_tokens=100)
    assert _providers(_plan((short, DEAR), a_request(max_tokens=101))) == ["dear"]
    assert _providers(_plan((short, DEAR), a_request(max_tokens=100))) == ["short", "dear"]


def test_a_limit_that_a_format_demands_is_a_ceiling() -> None:
    """Clients of Anthropic's format fill in what their usual model can write."""
    short = an_endpoint("short", prompt="0", max_completion_tokens=100)
    asked = {"model": "a/b", "max_tokens": 32_000, "messages": [{"role": "user", "content": "Hi"}]}
    request = AnthropicMessages().decode(json.dumps(asked).encode())
    assert _providers(_plan((short, DEAR), request)) == ["short", "dear"]
    lowered = fitted(request, short)
    assert lowered.max_tokens == 100
    assert bytes(lowered.fields["max_tokens"]) == b"100"
    assert fitted(request, DEAR) is request
    chat = a_request(max_tokens=101)
    assert fitted(chat, short) is chat


def test_a_model_that_cannot_see_is_not_sent_pictures() -> None:
    request = msgspec.structs.replace(a_request(), modalities=frozenset({"image"}))
    assert _plan((CHEAP,), request).removed == ((CHEAP.id, Removal.MODALITY),)
    assert _providers(_plan((CHEAP,), request, inputs=frozenset({"text", "image"}))) == ["cheap"]


def test_a_prompt_far_beyond_the_context_is_not_sent() -> None:
    small = an_endpoint("small", prompt="0", context_length=10)
    request = a_request(messages=[{"role": "user", "content": "x" * 81}])
    too_long = msgspec.structs.replace(request, characters=81)
    assert _providers(_plan((small, DEAR), too_long)) == ["dear"]


def test_a_prompt_is_as_long_as_its_text_and_not_as_its_bytes() -> None:
    small = an_endpoint("small", prompt="0", context_length=10)
    body = json.dumps({"messages": [{"role": "user", "content": "é" * 80}]}, ensure_ascii=True)
    request = OpenAIChat().decode(body.encode())
    assert request.characters > 6 * 80
    assert _providers(_plan((small,), request)) == ["small"]


_slugs = st.sampled_from(["cheap", "middle", "dear", "nobody"])
_wishes = st.fixed_dictionaries(
    {},
    optional={
        "order": st.lists(_slugs, max_size=3),
        "only": st.lists(_slugs, max_size=3),
        "ignore": st.lists(_slugs, max_size=3),
        "allow_fallbacks": st.booleans(),
        "require_parameters": st.booleans(),
        "data_collection": st.sampled_from(["allow", "deny"]),
        "quantizations": st.lists(st.sampled_from(["fp8", "unknown"]), max_size=2),
    },
)


@given(_wishes)
def test_the_plan_never_contains_what_the_caller_excluded(wishes: dict[str, object]) -> None:
    chosen = _plan(ALL, a_request(provider=wishes))
    for endpoint in chosen.endpoints:
        assert endpoint.provider not in (wishes.get("ignore") or [])
        assert not wishes.get("only") or endpoint.provider in wishes["only"]  # type: ignore[operator]


@given(_wishes, st.permutations(ALL))
def test_every_endpoint_is_planned_or_removed_for_a_reason_and_order_of_input_does_not_matter(
    wishes: dict[str, object], shuffled: list[Endpoint]
) -> None:
    request = a_request(provider=wishes)
    chosen = _plan(ALL, request)
    assert _plan(tuple(shuffled), request).endpoints == chosen.endpoints
    seen = [endpoint.id for endpoint in chosen.endpoints] + [which for which, _ in chosen.removed]
    assert sorted(seen) == sorted(endpoint.id for endpoint in ALL)
