"""Tool calls are judged as documented, and no schema can hold up the judge."""

from __future__ import annotations

import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.answer import AnsweredCall
from fairlead.core.chat import ABSENT, Function, Tool
from fairlead.core.schema_steps import extent, steps
from fairlead.core.tool_calls import (
    CALLS_CHECKED_MAX,
    SCHEMAS_KEPT_MAX,
    ToolJudge,
    ToolVerdict,
)

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
    "additionalProperties": False,
}
SECONDS_MAX = (
    2.0  # of one verdict, on a busy machine; without bounds these schemas take minutes or hours
)


def tool(schema: object = WEATHER, name: str = "weather") -> Tool:
    raw = ABSENT if schema is None else msgspec.Raw(json.dumps(schema).encode())
    return Tool(type="function", function=Function(name, parameters=raw))


def judged(arguments: str, schema: object = WEATHER, name: str = "weather") -> ToolVerdict:
    return ToolJudge().verdict(
        [AnsweredCall(0, "call_1", name, arguments=arguments)], [tool(schema)]
    )


def nested(levels: int, innermost: object = 1) -> object:
    value = innermost
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("arguments", "verdict"),
    [
        ('{"city":"Oslo","days":2}', ToolVerdict.VALID),
        ('{"city":"Oslo"', ToolVerdict.INVALID_JSON),
        ('{"city":"Oslo"}}', ToolVerdict.INVALID_JSON),
        ("Oslo", ToolVerdict.INVALID_JSON),
        ("[" * 100_000, ToolVerdict.INVALID_JSON),
        ('{"days":2}', ToolVerdict.SCHEMA_MISMATCH),
        ('{"city":"Oslo","days":0}', ToolVerdict.SCHEMA_MISMATCH),
        ('{"city":"Oslo","when":1}', ToolVerdict.SCHEMA_MISMATCH),
        ("[]", ToolVerdict.SCHEMA_MISMATCH),
        ("", ToolVerdict.SCHEMA_MISMATCH),
    ],
)
def test_arguments_are_held_to_the_schema(arguments: str, verdict: ToolVerdict) -> None:
    assert judged(arguments) is verdict


def test_a_function_that_was_not_offered_is_unknown() -> None:
    assert judged("{}", name="whether") is ToolVerdict.UNKNOWN_NAME
    call = AnsweredCall(0, name="weather", arguments="{}")
    assert ToolJudge().verdict([call], None) is ToolVerdict.UNKNOWN_NAME


def test_of_several_calls_the_worst_decides() -> None:
    good = AnsweredCall(0, name="weather", arguments='{"city":"Oslo"}')
    mismatch = AnsweredCall(1, name="weather", arguments="{}")
    unknown = AnsweredCall(2, name="whether", arguments="{}")
    broken = AnsweredCall(3, name="weather", arguments="{")
    judge, tools = ToolJudge(), [tool()]
    assert judge.verdict([], tools) is ToolVerdict.VALID
    assert judge.verdict([good, mismatch], tools) is ToolVerdict.SCHEMA_MISMATCH
    assert judge.verdict([good, mismatch, unknown], tools) is ToolVerdict.UNKNOWN_NAME
    assert judge.verdict([broken, good, mismatch, unknown], tools) is ToolVerdict.INVALID_JSON


@pytest.mark.parametrize(
    "schema",
    [
        None,
        "no schema",
        ["no", "schema"],
        {"type": "objekt"},
        {"properties": 7},
        {"pattern": "("},
        {"$ref": "#/definitions/nowhere"},
        {"pattern": "((a{1,1000}){1,1000}){1,1000}"},
        {"description": "x" * 200_000, "type": "string"},
    ],
    ids=lambda schema: str(schema)[:30],
)
def test_an_absent_broken_or_huge_schema_allows_everything(schema: object) -> None:
    assert judged('{"any":"thing"}', schema) is ToolVerdict.VALID


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/a.json", "file:///etc/hostname", "b.json"])
def test_a_reference_out_of_the_schema_is_never_followed(address: str) -> None:
    """Sockets are off here: an attempt to fetch would fail loudly."""
    assert judged("{}", {"type": "string", "allOf": [{"$ref": address}]}) is ToolVerdict.VALID
    assert judged("{}", {"$schema": address, "type": "object"}) is ToolVerdict.VALID


def test_references_inside_a_schema_are_followed() -> None:
    schema = {
        "definitions": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "next": {"anyOf": [{"$ref": "#/definitions/node"}, {"type": "null"}]},
                },
                "required": ["name"],
            }
        },
        "$ref": "#/definitions/node",
    }
    assert judged('{"name":"a","next":{"name":"b","next":null}}', schema) is ToolVerdict.VALID
    assert judged('{"name":"a","next":{"next":null}}', schema) is ToolVerdict.SCHEMA_MISMATCH


def branching(definitions: int) -> dict[str, object]:
    """Each definition refers twice to the next: 2**definitions steps."""
    made: dict[str, object] = {
        f"d{number}": {"allOf": [{"$ref": f"#/definitions/d{number + 1}"}] * 2}
        for number in range(definitions)
    }
    made[f"d{definitions}"] = {"type": "integer"}
    return {"definitions": made, "$ref": "#/definitions/d0"}


HOSTILE = {
    "definitions that branch": (branching(60), "1"),
    "a recursion that branches": (
        {"additionalProperties": {"allOf": [{"$ref": "#"}] * 2}},
        nested(60),
    ),
    "a recursion that branches twice": (
        {"properties": {"a": {"$ref": "#"}}, "patternProperties": {".": {"$ref": "#"}}},
        nested(60),
    ),
    "definitions that all refer to each other": (
        {
            "definitions": {
                str(one): {"allOf": [{"$ref": f"#/definitions/{other}"} for other in range(7)]}
                for one in range(7)
            },
            "$ref": "#/definitions/0",
        },
        1,
    ),
    "a loop": ({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}, {}),
    "a pattern that backtracks": ({"pattern": "^(a+)+$"}, "a" * 100_000 + "!"),
    "a deep value": ({"additionalProperties": {"$ref": "#"}}, nested(900)),
    "a wide value": ({"uniqueItems": True}, list(range(100_000))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_schema_holds_up_the_judge(name: str) -> None:
    schema, arguments = HOSTILE[name]
    began = time.perf_counter()
    judged(json.dumps(arguments), schema)
    assert time.perf_counter() - began < SECONDS_MAX


def test_schemas_are_compiled_once_and_only_so_many_are_kept() -> None:
    judge = ToolJudge()
    call = AnsweredCall(0, name="weather", arguments="{}")
    for number in range(SCHEMAS_KEPT_MAX + 10):
        judge.verdict([call], [tool({"minProperties": number})])
    assert len(judge._kept) == SCHEMAS_KEPT_MAX  # the bound is the point
    assert judge.verdict([call], [tool({"minProperties": 1})]) is ToolVerdict.SCHEMA_MISMATCH


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)
SCHEMAS = st.recursive(
    st.sampled_from(
        [True, {}, {"type": "object"}, {"$ref": "#"}, {"$ref": "#/items"}, {"$ref": "x"}]
    ),
    lambda inner: (
        st.dictionaries(
            st.sampled_from(
                ["items", "not", "additionalProperties", "if", "contains", "$id", "const"]
            ),
            inner,
            max_size=3,
        )
        | st.dictionaries(
            st.sampled_from(["allOf", "anyOf", "oneOf", "items"]),
            st.lists(inner, max_size=3),
            max_size=2,
        )
    ),
    max_leaves=12,
)


@given(SCHEMAS | JSON, JSON, st.text(max_size=8))
def test_any_schema_and_any_arguments_get_a_verdict(
    schema: object, value: object, text: str
) -> None:
    assert judged(json.dumps(value), schema) in (ToolVerdict.VALID, ToolVerdict.SCHEMA_MISMATCH)
    assert judged(text, schema) in ToolVerdict


def test_extent_counts_values_and_levels() -> None:
    assert extent(1) == (1, 0)
    assert extent({}) == (1, 0)
    assert extent({"a": [1, 2], "b": {"c": {}}}) == (6, 2)


def test_steps_grow_with_what_is_applied_and_end_at_the_bound() -> None:
    assert steps({}, 5, steps_max=100) == 1
    assert steps({"properties": {"a": {}, "b": {}}}, 0, steps_max=100) == 1
    assert steps({"properties": {"a": {}, "b": {}}}, 1, steps_max=100) == 3
    four = steps(branching(4), 0, steps_max=1000)
    eight = steps(branching(8), 0, steps_max=10_000)
    assert four is not None
    assert eight is not None
    assert eight > 10 * four
    assert steps(branching(20), 0, steps_max=10_000) is None
    assert steps({"$ref": "http://elsewhere/"}, 0, steps_max=100) is None


def test_of_many_calls_only_the_first_are_held_to_their_schemas_but_the_json_of_all_is_read() -> (
    None
):
    wrong = AnsweredCall(0, "call_1", "weather", arguments='{"days":0}')
    half = AnsweredCall(0, "call_2", "weather", arguments='{"city":"Os')
    good = [AnsweredCall(0, "call_0", "weather", arguments='{"city":"Oslo"}')] * CALLS_CHECKED_MAX
    assert ToolJudge().verdict([*good[1:], wrong], [tool()]) is ToolVerdict.SCHEMA_MISMATCH
    assert ToolJudge().verdict([*good, wrong], [tool()]) is ToolVerdict.VALID
    assert ToolJudge().verdict([*good, half], [tool()]) is ToolVerdict.INVALID_JSON
