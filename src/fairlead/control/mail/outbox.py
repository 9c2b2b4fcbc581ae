"""Mail that is to be sent: stored in the transaction that causes it, so neither happens without the other.

A mail is taken out, prepared and tried; its next attempt is fixed before the first begins. So it is sent again
only where nobody knows whether it was: when a process ended in between, or the server's answer was lost. All
attempts of one mail have one Message-ID.

Nothing that opens anything lies here: a link is made when its mail is taken out, and for a mail that is tried
again another one. When it is done its content is deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
import sqlalchemy as sa

from fairlead.control.mail import rules
from fairlead.control.mail.types import Letter, Prepare
from fairlead.core.ids import ID_ENTROPY_BYTES
from fairlead.store.database import Database
from fairlead.store.tables.people import mails

__all__ = ["Outbox", "Taken"]

TAKEN_AT_ONCE: Final = 20
PROBLEM_CHARACTERS_MAX: Final = 300
KEPT_MS: Final = 30 * 86_400_000  # that there was a mail, and how it went
SWEPT_AT_ONCE: Final = 5000

_read_letter: Final = msgspec.json.Decoder(Letter)


@dataclass(frozen=True, slots=True)
class Taken:
    """A letter to be sent now. attempts: with this one."""

    id: str
    letter: Letter
    attempts: int


class Outbox:
    """Methods block."""

    def __init__(
        self,
        database: Database,
        *,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._entropy = entropy
        self._on_put: Callable[[], None] = lambda: None

    def tell(self, on_put: Callable[[], None]) -> None:
        """From now on call this, from whatever thread, after a mail was put in; its transaction may not have
        ended."""
        self._on_put = on_put

    def put(self, connection: sa.Connection, letter: Letter) -> None:
        """As part of the transaction."""
        now_ms = self._now_ms()
        connection.execute(
            sa.insert(mails).values(
                id=rules.mail_id(now_ms, self._entropy(ID_ENTROPY_BYTES)),
                recipient=letter.recipient,
                kind=letter.kind,
                content=msgspec.json.encode(letter).decode(),
                created_ms=now_ms,
                due_ms=now_ms,
                attempts=0,
            )
        )
        self._on_put()

    def take(self, prepare: Prepare) -> list[Taken]:
        """Those that are due, the longest due first. Who takes them tries them; nobody else does meanwhile."""
        now_ms = self._now_ms()
        due = (
            sa.select(mails)
            .where(mails.c.due_ms <= now_ms)
            .order_by(mails.c.due_ms)
            .limit(TAKEN_AT_ONCE)
        )
        with self._database.read() as connection:
            if connection.execute(due.limit(1)).first() is None:
                return []
        taken: list[Taken] = []
        with self._database.begin() as connection:
            self._database.lock(connection, "mails")
            for row in connection.execute(due).all():
                attempts = row.attempts + 1
                letter = prepare(connection, _read_letter.decode(row.content))
                if letter is None:
                    self._finish(connection, row.id, sent_ms=None, problem="not sent")
                    continue
                pause_ms = rules.retry_after_ms(attempts) or rules.RETRY_MAX_MS
                connection.execute(
                    sa.update(mails)
                    .where(mails.c.id == row.id)
                    .values(attempts=attempts, due_ms=now_ms + pause_ms)
                )
                taken.append(Taken(row.id, letter, attempts))
        return taken

    def sent(self, mail: str) -> None:
        with self._database.begin() as connection:
            self._finish(connection, mail, sent_ms=self._now_ms(), problem=None)

    def failed(self, taken: Taken, problem: str, *, for_good: bool) -> bool:
        """True: it is given up."""
        problem = " ".join(problem.split())[:PROBLEM_CHARACTERS_MAX]
        with self._database.begin() as connection:
            if for_good or rules.retry_after_ms(taken.attempts) is None:
                self._finish(connection, taken.id, sent_ms=None, problem=problem)
                return True
            connection.execute(
                sa.update(mails).where(mails.c.id == taken.id).values(problem=problem)
            )
            return False

    def sweep(self) -> int:
        """Forget some that were done long ago. Returns how many."""
        old = (
            sa.select(mails.c.id)
            .where(mails.c.created_ms < self._now_ms() - KEPT_MS, mails.c.due_ms.is_(None))
            .limit(SWEPT_AT_ONCE)
        )
        with self._database.begin() as connection:
            query = sa.delete(mails).where(mails.c.id.in_(old))
            return len(connection.execute(query.returning(mails.c.id)).all())

    def _finish(
        self, connection: sa.Connection, mail: str, *, sent_ms: int | None, problem: str | None
    ) -> None:
        connection.execute(
            sa.update(mails)
            .where(mails.c.id == mail)
            .values(due_ms=None, content="", sent_ms=sent_ms, problem=problem)
        )
