"""Passwords: argon2id, off the event loop, few at a time.

A hash costs 19 MB and some 30 ms of processor time on purpose. So many at once as there are threads here, and
so many in line; whoever comes then is told to come again, and calls to models go on undisturbed.

Who asks for an address that nobody has waits as long as anybody: their password is checked against a hash that
nothing matches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from fairlead.core.errors import Overloaded

if TYPE_CHECKING:
    from argon2 import PasswordHasher

__all__ = ["STRONG", "Checked", "HashCost", "Passwords"]

_Answer = TypeVar("_Answer")

AT_ONCE_MAX: Final = 2
WAITING_MAX: Final = 64  # some two seconds


@dataclass(frozen=True, slots=True)
class HashCost:
    """What one hash takes. Hashes made at another cost are made again when their password comes by."""

    memory_kib: int
    passes: int
    lanes: int = 1


# OWASP's "Password Storage Cheat Sheet", first choice for argon2id, read in November 2026.
STRONG: Final = HashCost(memory_kib=19_456, passes=2)


@dataclass(frozen=True, slots=True)
class Checked:
    """new_hash: to be kept in place of the one there was, because costs have changed since."""

    is_right: bool
    new_hash: str | None = None


class Passwords:
    """Belongs to one event loop.

    passwords = Passwords(entropy=os.urandom)
    kept = await passwords.hash("correct horse battery staple")
    await passwords.check(kept, "correct horse battery staple")  # Checked(is_right=True)
    await passwords.check(None, "whatever")  # nobody's: takes as long
    """

    def __init__(self, *, entropy: Callable[[int], bytes], cost: HashCost = STRONG) -> None:
        self._entropy = entropy
        self._cost = cost
        self._threads: ThreadPoolExecutor | None = None  # most processes never hash anything
        self._hasher: PasswordHasher | None = None
        self._of_nobody: str | None = None
        self._under_way = 0

    async def hash(self, password: str) -> str:
        """The text to keep. Raises Overloaded."""
        return await self._in_thread(self._hash, password)

    async def check(self, kept: str | None, password: str) -> Checked:
        """kept: None: there is nobody, or they have no password. Raises Overloaded."""
        return await self._in_thread(self._check, kept, password)

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)

    async def _in_thread(self, function: Callable[..., _Answer], *arguments: object) -> _Answer:
        if self._under_way >= AT_ONCE_MAX + WAITING_MAX:
            raise Overloaded("Too many people sign in at the moment.")
        if self._threads is None:
            self._threads = ThreadPoolExecutor(AT_ONCE_MAX, thread_name_prefix="passwords")
        self._under_way += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        future.add_done_callback(self._one_done)
        return await asyncio.shield(future)  # as long as it stands in line or runs, it counts

    def _one_done(self, _: object) -> None:
        self._under_way -= 1

    def _hash(self, password: str) -> str:
        return self._opened().hash(password, salt=self._entropy(16))

    def _check(self, kept: str | None, password: str) -> Checked:
        from argon2.exceptions import InvalidHashError, VerificationError

        hasher = self._opened()
        if self._of_nobody is None:
            self._of_nobody = hasher.hash("", salt=self._entropy(16))
        try:
            hasher.verify(kept or self._of_nobody, password)
        except (VerificationError, InvalidHashError):
            return Checked(is_right=False)
        if kept is None:
            return Checked(is_right=False)
        if hasher.check_needs_rehash(kept):
            return Checked(is_right=True, new_hash=self._hash(password))
        return Checked(is_right=True)

    def _opened(self) -> PasswordHasher:
        if self._hasher is None:
            from argon2 import PasswordHasher

            self._hasher = PasswordHasher(
                time_cost=self._cost.passes,
                memory_cost=self._cost.memory_kib,
                parallelism=self._cost.lanes,
            )
        return self._hasher
