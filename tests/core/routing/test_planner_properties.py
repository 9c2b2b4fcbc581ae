"""What holds of every plan, whatever is asked of whom."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.catalog import DataPolicy, Endpoint, EndpointStatus, Snapshot
from fairlead.core.routing.facts import UNKNOWN, Facts, Percentiles, Standing
from fairlead.core.routing.filters import VERDICTS_MAX, WISHES_BYTES_MAX
from fairlead.core.routing.index import COLUMNS_MAX, Ladder, index_of, places
from fairlead.core.routing.lineup import LINEUPS_MAX
from fairlead.core.routing.preferences import Partition, Preferences
from fairlead.core.routing.types import INSTALLATION, Opening, Plan, Target, Traits, Warm
from tests.core.routing.planning import MODEL, OTHER, offer, planned, read, traits, world

SLUGS = ("a", "b", "c", "d", "e")
BOTH = (Target(MODEL), Target(OTHER))

_names = st.lists(st.sampled_from([*SLUGS, "a/x", "nobody"]), min_size=1, max_size=4)
_dollars = st.sampled_from([0, 1, "1.5", 2, 3])
_speeds = st.one_of(st.integers(1, 5), st.fixed_dictionaries({"p90": st.integers(1, 5)}))
# Each wish that removes and nothing else, so that one may be added to any others.
_filters: dict[str, st.SearchStrategy[object]] = {
    "only": _names,
    "ignore": _names,
    "require_parameters": st.just(True),
    "data_collection": st.just("deny"),
    "zdr": st.just(True),
    "enforce_distillable_text": st.just(True),
    "quantizations": st.lists(st.sampled_from(["fp8", "mxfp8", "unknown"]), min_size=1),
    "max_price": st.fixed_dictionaries({}, optional={"prompt": _dollars, "completion": _dollars}),
}
_orders: dict[str, st.SearchStrategy[object]] = {
    "order": _names,
    "sort": st.sampled_from(
        [
            "price",
            "throughput",
            "latency",
            "exacto",
            {"partition": "none"},
            {"by": "price", "partition": "none"},
        ]
    ),
    "preferred_min_throughput": _speeds,
    "preferred_max_latency": _speeds,
}  # fmt: skip
_one_filter = st.sampled_from(sorted(_filters)).flatmap(
    lambda name: st.tuples(st.just(name), _filters[name])
)
_wishes = st.fixed_dictionaries(
    {}, optional=_filters | _orders | {"allow_fallbacks": st.booleans()}
)
_open_wishes = st.fixed_dictionaries({}, optional=_filters | _orders)
_percentiles = st.none() | st.integers(1, 5).map(lambda value: Percentiles(*[float(value)] * 4))
_facts = st.builds(
    Facts,
    standing=st.sampled_from(Standing),
    is_probe=st.booleans(),
    latency_s=_percentiles,
    throughput=_percentiles,
    requests_30m=st.sampled_from([0, 100]),
    tool_requests_2h=st.sampled_from([0, 200]),
    tool_errors_2h=st.integers(0, 50),
)
_known = st.dictionaries(st.sampled_from(SLUGS), _facts)
_seeds = st.integers(0, 2**53 - 1)
_asked = st.builds(
    traits,
    parameters=st.lists(st.sampled_from(["seed", "tools", "verbosity"]), unique=True).map(
        lambda names: tuple(sorted(names))
    ),
    max_tokens=st.sampled_from([None, 50, 500]),
    characters=st.sampled_from([100, 5000]),
    service_tier=st.sampled_from([None, "priority", "flex", "default"]),
)


def _world_of(seed: int) -> Snapshot:
    """Two models at some of the providers, with tiers here and there. From a seed: drawing each price and
    policy apart would take most of the tests' time."""
    generator = Random(seed)
    choice = generator.choice

    def endpoint(slug: str, model: str, tag: str, tier: str | None = None) -> Endpoint:
        return offer(
            slug,
            choice([0, 1, 2, 3]),
            model=model,
            tag=tag,
            tier=tier,
            quantization=choice(["fp8", "mxfp8", "bf16", "unknown"]),
            status=choice(_STATUSES),
            supported=frozenset(name for name in ("seed", "tools", "verbosity") if choice([0, 1])),
            context_length=choice([0, 100, 10_000]),
            max_completion_tokens=choice([None, 100]),
        )

    endpoints = []
    for model in (MODEL, OTHER):
        count = generator.randint(0, len(SLUGS))
        endpoints += [endpoint(slug, model, slug) for slug in generator.sample(SLUGS, count)]
        endpoints.append(endpoint("a", model, "a/x", choice([None, "priority", "flex"])))
        endpoints.append(endpoint("b", model, "b/y"))
    policies = {
        slug: DataPolicy(choice([None, True, False]), choice([None, True, False]), None)
        for slug in SLUGS
    }
    return world(*endpoints, policies=policies, open_weights=choice([None, True]))


_STATUSES = [EndpointStatus.ACTIVE] * 3 + [EndpointStatus.DEPRECATED, EndpointStatus.UNPRICED]
_worlds = st.integers(0, 2**32).map(_world_of)


def _pairs(chosen: Plan) -> set[tuple[str, str]]:
    return {(choice.endpoint.model, choice.endpoint.id) for choice in chosen.choices}


def _means(names: object, endpoint: Endpoint) -> bool:
    return isinstance(names, list) and (endpoint.provider in names or endpoint.tag in names)


@given(_worlds, _wishes, _asked, _known, _seeds)
def test_no_plan_contains_what_the_request_excluded(
    where: Snapshot,
    wishes: dict[str, object],
    asked: Traits,
    known: dict[str, Facts],
    seed: int,
) -> None:
    chosen = planned(where, wishes, asked=asked, targets=BOTH, known=known, seed=seed)
    for choice in chosen.choices:
        endpoint = choice.endpoint
        policy = where.providers[endpoint.provider].data_policy
        assert endpoint.status is not EndpointStatus.UNPRICED
        assert not _means(wishes.get("ignore"), endpoint)
        if "only" in wishes:
            assert _means(wishes["only"], endpoint)
        if "zdr" in wishes:
            assert policy.retains_prompts is False
        if "data_collection" in wishes:
            assert policy.keeps_nothing
        if "enforce_distillable_text" in wishes:
            assert where.models[endpoint.model].open_weights
        if "require_parameters" in wishes:
            assert set(asked.parameters) <= endpoint.supported_parameters
        if "quantizations" in wishes:
            assert endpoint.quantization in {*wishes["quantizations"], "mxfp8"}  # type: ignore[misc]
        bounds = wishes.get("max_price")
        if isinstance(bounds, dict):
            for name, bound in bounds.items():
                assert getattr(endpoint.prices, name) <= float(bound) * 1_000_000
        assert asked.max_tokens is None or asked.max_tokens <= (
            endpoint.max_completion_tokens or 9999
        )
        assert asked.characters <= 8 * (endpoint.context_length or 9999)


@given(_worlds, _open_wishes, _one_filter, _asked, _known)
def test_adding_a_filter_never_adds_an_endpoint(
    where: Snapshot,
    wishes: dict[str, object],
    added: tuple[str, object],
    asked: Traits,
    known: dict[str, Facts],
) -> None:
    """Full names of service tiers let those in; so none of these worlds' names is one of a tier alone."""
    name, value = added
    fewer = read({key: wish for key, wish in wishes.items() if key != name})
    more = read(wishes | {name: value})
    if more.only is not None and "a/x" in more.only:
        fewer = msgspec.structs.replace(fewer, order=(*fewer.order, "a/x"))
        more = msgspec.structs.replace(more, order=(*more.order, "a/x"))
    without = planned(where, fewer, asked=asked, targets=BOTH, known=known)
    narrowed = planned(where, more, asked=asked, targets=BOTH, known=known)
    assert _pairs(narrowed) <= _pairs(without)


@given(_worlds, _wishes, _asked, _known, _seeds)
def test_the_same_inputs_give_the_same_plan_in_whatever_order_a_catalogue_lists(
    where: Snapshot,
    wishes: dict[str, object],
    asked: Traits,
    known: dict[str, Facts],
    seed: int,
) -> None:
    backwards = world(
        *(one for slug in where.models for one in reversed(where.models[slug].endpoints)),
        policies={slug: info.data_policy for slug, info in where.providers.items()},
        open_weights=next(iter(where.models.values())).open_weights,
    )
    plans = [
        planned(which, wishes, asked=asked, targets=BOTH, known=known, seed=seed)
        for which in (where, where, backwards)
    ]
    assert plans[0] == plans[1] == plans[2]
    assert len({msgspec.json.encode(one) for one in plans}) == 1


@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(_wishes, _known, st.sets(st.sampled_from(SLUGS))), min_size=2, max_size=4),
    _asked,
    _seeds,
)
def test_what_was_planned_before_changes_no_plan(
    world_seed: int,
    calls: list[tuple[dict[str, object], dict[str, Facts], set[str]]],
    asked: Traits,
    seed: int,
) -> None:
    """What is kept from one plan for the next is kept with the catalogue."""
    used = _world_of(world_seed)
    speaks = set(SLUGS).__contains__
    accesses = [
        {slug: INSTALLATION for slug in used.providers if slug not in keyless}
        for _, _, keyless in calls
    ]
    for (wishes, known, _), access in [*zip(calls, accesses, strict=True)] * 2:
        fresh = _world_of(world_seed)
        for factor, warm in ((1, None), (10, None), (1, Warm(f"b:{MODEL}", 100))):
            plans = [
                planned(
                    where,
                    wishes,
                    asked=msgspec.structs.replace(asked, characters=asked.characters * factor),
                    targets=BOTH,
                    known=known,
                    seed=seed,
                    access=opened,
                    warm=warm,
                    can_serve=speaks,
                )
                for where, opened in ((used, access), (fresh, dict(access)))
            ]
            assert plans[0] == plans[1]


@given(_worlds, _wishes, _asked, _known, _seeds, st.sets(st.sampled_from(SLUGS)))
def test_every_endpoint_is_chosen_or_removed_and_never_both(
    where: Snapshot,
    wishes: dict[str, object],
    asked: Traits,
    known: dict[str, Facts],
    seed: int,
    keyless: set[str],
) -> None:
    access = {slug: INSTALLATION for slug in where.providers if slug not in keyless}
    chosen = planned(
        where, wishes, asked=asked, targets=BOTH, known=known, seed=seed, access=access
    )
    seen = [(one.endpoint.model, one.endpoint.id) for one in chosen.choices]
    seen += [(one.model, one.endpoint) for one in chosen.removed]
    assert sorted(seen) == sorted(
        (model.id, endpoint.id) for model in where.models.values() for endpoint in model.endpoints
    )
    assert all(one.detail for one in chosen.removed)


_openings = st.lists(
    st.builds(
        Opening,
        key=st.sampled_from([None, "k", "l"]),
        is_fallback=st.booleans(),
        is_exclusive=st.booleans(),
        models=st.sampled_from([None, (MODEL,)]),
    ),
    min_size=1,
    max_size=3,
).map(tuple)


@given(
    _worlds,
    _open_wishes,
    _known,
    _seeds,
    st.fixed_dictionaries(dict.fromkeys(SLUGS, _openings)),
)
def test_own_keys_precede_ours_at_endpoints_as_well_as_each_other_and_open_nothing_else(
    where: Snapshot,
    wishes: dict[str, object],
    known: dict[str, Facts],
    seed: int,
    access: dict[str, tuple[Opening, ...]],
) -> None:
    chosen = planned(where, wishes, targets=BOTH, known=known, seed=seed, access=access)
    assert _pairs(chosen) <= _pairs(planned(where, wishes, targets=BOTH, known=known, seed=seed))
    for choice in chosen.choices:
        openings = access[choice.endpoint.provider]
        fitting = [
            one for one in openings if one.models is None or choice.endpoint.model in one.models
        ]
        assert choice.key in {one.key for one in fitting}
        if choice.key is None:
            assert not any(one.is_exclusive for one in fitting)


@given(_worlds, _open_wishes, _known, _seeds, st.integers(0, 5000))
def test_who_is_down_comes_after_everybody_who_is_not(
    where: Snapshot,
    wishes: dict[str, object],
    known: dict[str, Facts],
    seed: int,
    cached_tokens: int,
) -> None:
    warm = Warm(f"b:{MODEL}", cached_tokens)
    chosen = planned(where, wishes, targets=BOTH, known=known, seed=seed, warm=warm)
    facts = [known.get(choice.endpoint.tag, UNKNOWN) for choice in chosen.choices]
    down = [one.standing is Standing.DOWN and not one.is_probe for one in facts]
    assert down == sorted(down)


@given(st.lists(st.integers(0, 9)), st.integers(-1, 10))
def test_a_ladder_says_who_is_below_a_bound(values: list[int], bound: int) -> None:
    ladder = Ladder(values)
    assert list(places(ladder.at_most(bound))) == [
        n for n, one in enumerate(values) if one <= bound
    ]
    assert list(places(ladder.below(bound))) == [n for n, one in enumerate(values) if one < bound]


@given(st.integers(0, 2**40))
def test_a_set_of_places_is_read_lowest_first(mask: int) -> None:
    assert list(places(mask)) == [place for place in range(41) if mask >> place & 1]


def test_a_partition_is_no_filter() -> None:
    where = world(offer("a"), offer("b", model=OTHER))
    together = Preferences(partition=Partition.NONE)
    assert _pairs(planned(where, together, targets=BOTH)) == _pairs(planned(where, targets=BOTH))


def test_what_is_kept_from_plan_to_plan_is_bounded() -> None:
    where = world(*(offer(f"host-{number}") for number in range(6)))
    slugs = list(where.providers)
    for bits in range(1, 64):
        planned(where, {"only": [slug for n, slug in enumerate(slugs) if bits >> n & 1]})
    index = index_of(where, MODEL)
    assert 0 < len(index.verdicts) <= VERDICTS_MAX
    assert 0 < len(index.columns) <= COLUMNS_MAX
    assert 0 < len(index.lineups) <= LINEUPS_MAX


@pytest.mark.parametrize(
    "asked", [{"characters": 10_001}, {"max_tokens": 101}], ids=["characters", "max_tokens"]
)
def test_what_the_length_of_a_request_decides_is_not_kept(asked: dict[str, int]) -> None:
    where = world(offer("a"), offer("b", context_length=1250, max_completion_tokens=100))
    chosen = planned(where, asked=traits(**asked))
    assert _pairs(chosen) == {(MODEL, f"a:{MODEL}")}
    assert not index_of(where, MODEL).lineups
    assert len(planned(where, asked=traits(characters=10_000, max_tokens=100)).choices) == 2
    assert len(index_of(where, MODEL).lineups) == 1


def test_wishes_that_are_too_large_are_obeyed_and_not_kept() -> None:
    where = world(offer("a"), offer("b"))
    nobody = [f"{number:0100}" for number in range(WISHES_BYTES_MAX // 100)]
    chosen = planned(where, {"ignore": ["b", *nobody]})
    assert _pairs(chosen) == {(MODEL, f"a:{MODEL}")}
    assert not index_of(where, MODEL).verdicts
    assert not index_of(where, MODEL).lineups
