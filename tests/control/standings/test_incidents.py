"""What is an incident and what is not, hour by hour."""

from __future__ import annotations

from collections import defaultdict

from fairlead.control.standings import incidents as rules
from fairlead.control.standings.incidents import FailingHour, Incident, Severity
from fairlead.control.usage.calendar import HOUR_MS

START_MS = 1_795_219_200_000
HOURS = 24


def incidents(**endpoints: dict[int, tuple[int, int]]) -> tuple[Incident, ...]:
    """endpoints: by name "provider_model"; of its hours, successes and outages."""
    starts_ms = tuple(START_MS + hour * HOUR_MS for hour in range(HOURS))
    rows = [
        FailingHour(provider, START_MS + hour * HOUR_MS, *counted, f"{provider}_{model}", model)
        for name, hours in endpoints.items()
        for provider, _, model in (name.partition("_"),)
        for hour, counted in hours.items()
    ]
    of_providers: defaultdict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        of_providers[row.provider, row.start_ms][0] += row.successes
        of_providers[row.provider, row.start_ms][1] += row.outages
    return rules.incidents(
        starts_ms,
        [FailingHour(*at, *counted) for at, counted in of_providers.items() if counted[1]],
        [row for row in rows if row.outages],
        heard_now={row.provider for row in rows if row.start_ms == starts_ms[-1]},
    )


def spans(found: tuple[Incident, ...]) -> list[tuple[str, int, int]]:
    """Provider, first hour, and the hour after the last."""
    return [
        (one.provider, (one.start_ms - START_MS) // HOUR_MS, (one.end_ms - START_MS) // HOUR_MS)
        for one in found
    ]


def test_a_failure_now_and_then_is_no_incident() -> None:
    assert incidents(azure_o1={3: (0, 2), 9: (500, 20)}) == ()
    assert incidents() == ()


def test_hours_that_belong_together_are_one() -> None:
    found = incidents(azure_o1={3: (2, 9), 4: (0, 5), 6: (1, 4), 9: (0, 3)})
    assert spans(found) == [("azure", 9, 10), ("azure", 3, 7)]
    assert (found[1].outages, found[1].calls) == (18, 21)
    assert found[1].severity is Severity.OUTAGE


def test_many_endpoints_with_a_failure_each_are_an_incident_of_their_provider() -> None:
    found = incidents(
        azure_a={5: (1, 1)}, azure_b={5: (2, 1)}, azure_c={5: (3, 1)}, azure_d={5: (4, 0)}
    )
    assert spans(found) == [("azure", 5, 6)]
    assert [one.model for one in found[0].affected] == ["a", "b", "c"]
    assert found[0].severity is Severity.DEGRADED


def test_one_endpoint_of_a_big_provider_is_enough() -> None:
    found = incidents(azure_a={5: (0, 4)}, azure_b={5: (900, 0)})
    assert spans(found) == [("azure", 5, 6)]
    assert [one.model for one in found[0].affected] == ["a"]
    assert found[0].uptime == 0.0


def test_it_goes_on_until_something_else_is_heard() -> None:
    quiet = incidents(azure_o1={22: (0, 8)})
    assert [one.is_ongoing for one in quiet] == [True]
    assert spans(quiet) == [("azure", 22, 24)]
    better = incidents(azure_o1={22: (0, 8), 23: (5, 0)})
    assert [one.is_ongoing for one in better] == [False]
    assert spans(better) == [("azure", 22, 23)]
    both = incidents(azure_o1={23: (0, 3)}, groq_x={23: (9, 0), 20: (0, 9)})
    assert [(one.provider, one.is_ongoing) for one in both] == [("azure", True), ("groq", False)]


def test_hours_whose_endpoints_were_too_many_to_read_are_no_incident() -> None:
    """Of the oldest only the provider's own hours are there."""
    starts_ms = tuple(START_MS + hour * HOUR_MS for hour in range(HOURS))
    old, young = (FailingHour("azure", START_MS + hour * HOUR_MS, 1, 30) for hour in (1, 9))
    of_endpoint = young._replace(endpoint="azure_o1", model="o1")
    found = rules.incidents(starts_ms, [old, young], [of_endpoint], heard_now=())
    assert spans(found) == [("azure", 9, 10)]
    assert all(one.severity is Severity.OUTAGE for one in found)
