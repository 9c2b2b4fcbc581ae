"""Published results: each with its source, and never of different reporters in one ranking."""

from __future__ import annotations

from fairlead.control.catalog.benchmarks import BenchmarkResult, benchmarks_of, load_benchmarks
from fairlead.core.catalog_indices import Index


def result(
    model: str, score: float, reporter: str = "A", variant: str | None = None
) -> BenchmarkResult:
    return BenchmarkResult(model, "Exam", score, "%", "https://a.example", reporter, variant)


def test_a_model_is_placed_among_the_best_of_others_by_the_same_reporter() -> None:
    rows = [result("x", 50), result("x", 70, variant="high"), result("y", 60), result("z", 90, "B")]
    found = benchmarks_of(rows)
    assert found.place(rows[1]) == (1, 2)
    assert found.place(rows[2]) == (2, 2)
    assert found.place(rows[0]) == (3, 2)  # lower than its own best, too
    assert found.place(rows[3]) == (1, 1)
    assert found.of("x") == (rows[1], rows[0])
    assert found.of("nobody") == ()


def test_what_comes_with_the_package_names_its_sources() -> None:
    found = load_benchmarks()
    o1 = found.of("openai/o1")
    assert ("MMLU", 91.8, "OpenAI") in {(one.benchmark, one.score, one.reported_by) for one in o1}
    assert all(
        one.source_url.startswith("https://") for rows in found.results.values() for one in rows
    )


def test_claims_of_different_sources_are_not_compared() -> None:
    def claim(model: str, score: float, source: str) -> BenchmarkResult:
        return BenchmarkResult(model, "SWE-Bench", score, "%", source)

    apart = [claim("a/one", 90, "https://a.example"), claim("b/two", 80, "https://b.example")]
    assert not any(benchmarks_of(apart).indices.values())
    together = [*apart, claim("c/three", 70, "https://a.example")]
    found = benchmarks_of(together)
    assert set(found.indices[Index.CODING]) == {"a/one", "c/three"}
    assert [found.place(one) for one in together] == [(1, 2), (1, 1), (2, 2)]
