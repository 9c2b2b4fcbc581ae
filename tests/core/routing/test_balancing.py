"""Default load balancing, by the reference's own figures."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from fairlead.core.routing.facts import Facts, Standing
from fairlead.core.routing.preferences import Partition, Preferences
from fairlead.core.routing.types import Plan, Target, Why
from tests.core.routing.planning import (
    MODEL,
    OTHER,
    offer,
    order,
    planned,
    standing,
    traits,
    world,
)

A, B, C = offer("a", 1), offer("b", 2), offer("c", 3)
WORLD = world(A, B, C)
DRAWS = 100_000


def _first_picks(known: dict[str, Facts]) -> Counter[str]:
    generator = Random(7)
    picks: Counter[str] = Counter()
    for _ in range(DRAWS):
        picks[
            planned(WORLD, known=known, seed=generator.getrandbits(53)).choices[0].endpoint.tag
        ] += 1
    return picks


@pytest.mark.parametrize(
    ("known", "shares"),
    [
        ({"b": standing(Standing.UNSTABLE)}, {"a": 0.9, "b": 0.0, "c": 0.1}),
        ({}, {"a": 36 / 49, "b": 9 / 49, "c": 4 / 49}),
    ],
    ids=["with an outage", "all stable"],
)
def test_the_first_pick_is_drawn_by_the_inverse_square_of_the_price(
    known: dict[str, Facts], shares: dict[str, float]
) -> None:
    picks = _first_picks(known)
    for tag, share in shares.items():
        sigma = (DRAWS * share * (1 - share)) ** 0.5
        assert abs(picks[tag] - DRAWS * share) <= 3 * sigma, (tag, picks)


def test_what_is_not_drawn_follows_by_price_and_an_outage_comes_last() -> None:
    known = {"b": standing(Standing.UNSTABLE)}
    orders = {tuple(order(_at(share, known))) for share in (0.0, 0.5, 0.89, 0.91, 0.999)}
    assert orders == {("a", "c", "b"), ("c", "a", "b")}


def _at(share: float, known: dict[str, Facts] | None = None) -> Plan:
    return planned(WORLD, known=known, seed=int(share * 2**53))


def test_the_draw_is_told_from_what_follows_by_price() -> None:
    chosen = _at(0.999, {"b": standing(Standing.UNSTABLE)})
    assert [(one.endpoint.tag, one.why) for one in chosen.choices] == [
        ("c", Why.DRAWN),
        ("a", Why.PRICE),
        ("b", Why.STANDING),
    ]


def test_the_last_seed_of_all_still_draws_somebody() -> None:
    assert order(planned(WORLD, seed=2**53 - 1)) == ["c", "a", "b"]


def test_what_costs_nothing_is_drawn_alike_before_the_rest() -> None:
    where = world(offer("free-1", 0), offer("free-2", 0), A)
    first = Counter(order(planned(where, seed=number << 43))[0] for number in range(1024))
    assert first == {"free-1": 512, "free-2": 512}
    assert {order(planned(where, seed=number << 43))[2] for number in range(1024)} == {"a"}


def test_the_price_compared_is_that_of_this_request() -> None:
    """Long prompts and long answers have different cheapest endpoints."""
    reader = offer("reader", prompt="0.000001", completion="0.00001")
    writer = offer("writer", prompt="0.00001", completion="0.000001")
    where = world(reader, writer)
    long_prompt = traits(prompt_tokens=10_000, completion_tokens=10)
    long_answer = traits(prompt_tokens=10, completion_tokens=500)
    assert order(planned(where, {"sort": "price"}, asked=long_prompt)) == ["reader", "writer"]
    assert order(planned(where, {"sort": "price"}, asked=long_answer)) == ["writer", "reader"]
    assert planned(where, asked=long_answer).choices[0].price == 10 * 10_000_000 + 500 * 1_000_000


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (standing(Standing.DEGRADED), ["b", "c", "a"]),
        (standing(Standing.LIMITED), ["b", "c", "a"]),
        (standing(Standing.UNSTABLE), ["b", "c", "a"]),
        (standing(Standing.DOWN), ["b", "c", "a"]),
        (Facts(standing=Standing.DOWN, is_probe=True), ["a", "b", "c"]),
    ],
    ids=["degraded", "limited", "unstable", "down", "probe"],
)
def test_who_is_less_well_comes_after_the_others_but_a_probe_is_let_through(
    facts: Facts, expected: list[str]
) -> None:
    chosen = planned(WORLD, known={"a": facts})
    assert order(chosen) == expected
    assert [one.endpoint.tag for one in chosen.choices if one.is_probe] == ["a"] * facts.is_probe


def test_worse_standings_come_later() -> None:
    where = world(*(offer(name, 1) for name in ("down", "good", "limited", "rough", "unstable")))
    known = {
        "down": standing(Standing.DOWN),
        "limited": standing(Standing.LIMITED),
        "rough": standing(Standing.DEGRADED),
        "unstable": standing(Standing.UNSTABLE),
    }
    assert order(planned(where, known=known)) == ["good", "rough", "limited", "unstable", "down"]


def test_where_all_are_unstable_the_cheapest_is_tried_without_a_draw() -> None:
    known = {name: standing(Standing.UNSTABLE) for name in "abc"}
    assert {tuple(order(_at(share, known))) for share in (0.0, 0.5, 0.999)} == {("a", "b", "c")}


def test_who_costs_nothing_is_drawn_first_even_if_a_sort_of_its_model_put_it_last() -> None:
    """One model is sorted by speed and the other balanced, so what they share is not in order of price."""
    where = world(offer("dear", 2), offer("free", 0, model=OTHER))
    targets = (Target(MODEL), Target(OTHER, ("nitro",)))
    chosen = planned(where, Preferences(partition=Partition.NONE), targets=targets, seed=2**52)
    assert order(chosen) == ["free", "dear"]
