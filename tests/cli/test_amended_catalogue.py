"""The command line tells what callers are offered, with what the operator changed in a browser."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from fairlead.store.database import DATABASE_FILE, open_database
from tests.cli.conftest import Ended


def test_models_and_routes_are_told_as_they_are_in_force(
    fairlead: Callable[..., Ended], installed: Path
) -> None:
    with closing(open_database(installed / DATABASE_FILE)) as database, database.begin() as one:
        for values in (
            "endpoint_amendments VALUES ('sandbox:story', true, '{}', 1, 'x')",
            "endpoint_amendments VALUES ('sandbox:echo', false, '{\"prompt\":7000}', 1, 'x')",
            "hidden_models VALUES ('sandbox/slow', 1, 'x')",
        ):
            one.exec_driver_sql(f"INSERT INTO {values}")
    rows = msgspec.json.decode(fairlead("models", "list", "sandbox/", "--json").out)
    listed = {row["id"]: row for row in rows}
    assert not {"sandbox/story", "sandbox/slow"} & listed.keys()
    assert listed["sandbox/echo"]["prompt_usd_per_token"] == "0.000000007"
    assert fairlead("route", "explain", "sandbox/echo").code == 0
    assert fairlead("route", "explain", "sandbox/slow").code != 0
