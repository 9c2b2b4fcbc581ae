from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fairlead.core.errors import Overloaded
from fairlead.core.generation import Attempt, Outcome
from fairlead.core.money import NanoUSD
from fairlead.core.usage import Usage
from fairlead.gateway.figures import _HELP, CountedGenerations, exposition
from fairlead.testing.gateway import JournalInMemory
from fairlead.testing.generations import plain_generation

PAGE = Path(__file__).parents[2] / "docs/operate/metrics.md"


def test_what_is_recorded_is_counted() -> None:
    journal = JournalInMemory()
    counted = CountedGenerations(journal)
    attempt = Attempt("a:one", "a", "acme/one", 200, 5)
    call = msgspec.structs.replace(
        plain_generation(1),
        outcome=Outcome.COMPLETED,
        usage=Usage(prompt=10, cache_read=5, completion=2, reasoning=1),
        cost=NanoUSD(1_500_000_000),
        attempts=(attempt, attempt),
    )
    counted.append(call)
    counted.append(call)
    samples = counted.samples()
    assert len(journal.records) == 2
    assert samples['fairlead_calls_total{outcome="completed"}'] == 2
    assert samples["fairlead_fallbacks_total"] == 2
    assert samples['fairlead_tokens_total{side="prompt"}'] == 30
    assert samples['fairlead_tokens_total{side="completion"}'] == 6
    assert samples["fairlead_cost_usd_total"] == 3.0


def test_what_could_not_be_recorded_is_not_counted() -> None:
    journal = JournalInMemory()
    journal.refuses = True
    counted = CountedGenerations(journal)
    with pytest.raises(Overloaded):
        counted.append(plain_generation(1))
    assert not any(counted.samples().values())


def test_each_metric_is_announced_once_before_its_samples() -> None:
    text = exposition(
        {'fairlead_tokens_total{side="prompt"}': 3, 'fairlead_tokens_total{side="completion"}': 4}
    )
    assert text.splitlines()[1:] == [
        "# TYPE fairlead_tokens_total counter",
        'fairlead_tokens_total{side="prompt"} 3',
        'fairlead_tokens_total{side="completion"} 4',
    ]


@pytest.mark.parametrize("name", _HELP)
def test_every_metric_is_documented(name: str) -> None:
    assert f"`{name}" in PAGE.read_text()
