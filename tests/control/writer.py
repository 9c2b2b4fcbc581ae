"""A process that writes generations and settles them, for as long as it lives."""

from __future__ import annotations

import sys
from pathlib import Path

from fairlead.control.generations.jobs import Settler
from fairlead.store.database import open_database
from fairlead.store.journal import Journal
from fairlead.testing.generations import plain_generation
from fairlead.testing.settling import settling_steps

PER_LIFE = 1_000_000  # nobody lives to write so many


def write_until_killed(address: str, data: Path, life: int) -> None:
    """It prints the number of each in its life that is written, from 0. Their own numbers begin with `life`."""
    journal = Journal(data / "journal", writer=f"w{life}", segment_bytes_max=20_000)
    database = open_database(address)
    settler = Settler(database, journal, settling_steps(database), tick_s=0.001, adopt_every_s=0.01)
    settler.start()
    for number in range(PER_LIFE):
        journal.append(plain_generation(life * PER_LIFE + number))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
