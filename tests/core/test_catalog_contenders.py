"""How routers see the chat models: abilities, price, and a rank that needs no benchmark."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.catalog import Contender, EndpointStatus, Model, ModelKind
from fairlead.core.catalog_contenders import contenders_of
from fairlead.core.catalog_quality import Record, Score, records_of
from fairlead.core.ids import ModelId
from fairlead.testing.builders import a_model, a_provider, an_endpoint
from tests.shipped import SEED

SCORES = st.lists(
    st.builds(
        Score,
        st.sampled_from([ModelId(f"a/{n}") for n in range(4)]),
        st.sampled_from(["x", "y"]),
        st.integers(0, 5).map(float),
    )
)


def model(slug: str = "acme/one", **about: Any) -> Model:
    endpoint = about.pop("endpoint", None) or an_endpoint(model=slug)
    return msgspec.structs.replace(a_model(endpoint, slug=slug), **about)


def contenders(*models: Model, **records: Record) -> dict[str, Contender]:
    known = {ModelId(f"acme/{name}"): record for name, record in records.items()}
    found = contenders_of(models, {}, known)
    assert [one.price for one in found] == sorted(one.price for one in found)
    return {one.model: one for one in found}


# --- records --------------------------------------------------------------------------------------------


def test_a_record_counts_comparisons_within_each_benchmark() -> None:
    a, b, c = (ModelId(f"acme/{name}") for name in "abc")
    records = records_of(
        [Score(a, "x", 90.0), Score(b, "x", 50.0), Score(c, "x", 50.0), Score(c, "y", 1.0)]
    )
    assert records == {a: Record(2.0, 2), b: Record(0.5, 2), c: Record(0.5, 2)}


def test_of_several_results_the_best_counts() -> None:
    a, b = ModelId("acme/a"), ModelId("acme/b")
    records = records_of([Score(a, "x", 1.0), Score(b, "x", 2.0), Score(a, "x", 3.0)])
    assert records[a] == Record(1.0, 1)


@given(SCORES)
def test_every_comparison_has_one_winner_or_a_tie(scores: list[Score]) -> None:
    records = records_of(scores)
    assert sum(one.won for one in records.values()) * 2 == sum(
        one.comparisons for one in records.values()
    )
    assert all(0 <= one.won <= one.comparisons for one in records.values())


@given(SCORES, st.randoms())
def test_the_order_of_results_does_not_matter(scores: list[Score], random: Any) -> None:
    shuffled = [*scores]
    random.shuffle(shuffled)
    assert records_of(shuffled) == records_of(scores)


# --- contenders -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        model("acme/x", kind=ModelKind.EMBEDDING),
        model("acme/x", output_modalities=("text", "audio")),
        model("acme/x", preset_effort="high"),
        model("acme/x", endpoint=an_endpoint(status=EndpointStatus.DEPRECATED)),
        model("acme/x", endpoint=an_endpoint(status=EndpointStatus.UNPRICED)),
        model("acme/x", endpoint=msgspec.structs.replace(an_endpoint(), tier="flex")),
        model("acme/llama-guard-3-8b"),
        model("acme/sonar-deep-research:free"),
    ],
    ids=["no chat", "audio", "preset", "going", "unpriced", "only a tier", "guard", "research"],
)
def test_only_general_chat_models_that_stay_are_contenders(other: Model) -> None:
    assert contenders(model(), other).keys() == {"acme/one"}


def test_a_contender_can_what_one_of_its_endpoints_can() -> None:
    free = an_endpoint("zero", prompt="0", completion="0", supported=frozenset({"tools"}))
    wide = an_endpoint("wide", supported=frozenset({"seed"}), context_length=500_000)
    both = msgspec.structs.replace(
        model(),
        endpoints=(free, wide),
        input_modalities=frozenset({"image"}),
    )
    one = contenders(both)["acme/one"]
    assert one.abilities == {"tools", "seed", "in:image"}
    assert (one.context_length, one.price) == (500_000, 0)
    assert sorted(one.providers) == ["wide", "zero"]
    assert sorted(one.free_at) == ["zero"]


def test_a_model_nobody_measured_ranks_by_price_and_age() -> None:
    found = contenders(
        model("acme/old", created=1),
        model("acme/new", created=2),
        model("acme/dear", created=2, endpoint=an_endpoint(prompt="0.1")),
    )
    assert found["acme/old"].quality < found["acme/new"].quality < found["acme/dear"].quality


def test_many_results_outweigh_price_and_age() -> None:
    found = contenders(
        model("acme/good", created=1),
        model("acme/bad", created=9, endpoint=an_endpoint(prompt="0.1")),
        good=Record(90.0, 100),
        bad=Record(10.0, 100),
    )
    assert found["acme/good"].quality > 0.8
    assert found["acme/bad"].quality < 0.2


def test_a_model_of_the_sandbox_says_so() -> None:
    sandbox = msgspec.structs.replace(a_provider(), kind="sandbox")
    (one,) = contenders_of([model()], {sandbox.slug: sandbox}, {})
    assert one.is_sandbox
    assert not contenders(model())["acme/one"].is_sandbox


def test_the_catalogue_has_hundreds_and_benchmarks_move_them() -> None:
    assert len(SEED.contenders) > 400
    quality = {one.model: one.quality for one in SEED.contenders}
    assert all(0 < one < 1 for one in quality.values())
    assert quality[ModelId("openai/gpt-5")] > 0.8 > 0.5 > quality[ModelId("openai/gpt-4.1-nano")]
