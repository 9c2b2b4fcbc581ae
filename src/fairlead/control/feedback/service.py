"""What people say of answers: kept beside the generation, for operators and for the account to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fairlead.control.feedback import queries
from fairlead.control.feedback.types import Category, Remark
from fairlead.core.ids import ID_ENTROPY_BYTES, AccountId, GenerationId, timed_id
from fairlead.store.database import Database

__all__ = ["Feedback", "TooMuchFeedback"]

PAGE_MAX: Final = 500
REMARKS_MAX: Final = 20  # about one generation


class TooMuchFeedback(ValueError):
    """So much was said of this generation that more would not help."""


class Feedback:
    """Methods block. All raise DatabaseUnreadable if the database is away."""

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

    def add(
        self,
        account: AccountId,
        generation: GenerationId,
        *,
        author: str,
        category: Category,
        comment: str | None,
    ) -> Remark:
        """generation: one of the account's. Raises TooMuchFeedback."""
        now_ms = self._now_ms()
        remark = Remark(
            id=timed_id("fb", now_ms, self._entropy(ID_ENTROPY_BYTES)),
            account=account,
            generation=generation,
            author=author,
            category=category,
            comment=comment,
            created_ms=now_ms,
        )
        with self._database.begin() as connection:
            if queries.count_of(connection, generation) >= REMARKS_MAX:
                raise TooMuchFeedback(f"there are {REMARKS_MAX} remarks about {generation} already")
            queries.insert(connection, remark)
        return remark

    def page(
        self, account: AccountId, *, before: str | None = None, limit: int = PAGE_MAX
    ) -> list[Remark]:
        """What was said of an account's generations, the newest first."""
        with self._database.read() as connection:
            return queries.page(connection, account, before=before, limit=min(limit, PAGE_MAX))
