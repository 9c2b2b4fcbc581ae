"""Sends what is in the outbox."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from fairlead.control.mail import rules
from fairlead.control.mail.outbox import Outbox, Taken
from fairlead.control.mail.types import Mail, MailRefused, MailStuck, Prepare, Transport
from fairlead.store.database import Database, DatabaseUnreadable

__all__ = ["MailSender"]

_log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 10.0  # for what other processes put in, and what is to be tried again
SETTLE_S: Final = 0.2  # after a nudge: the transaction that put it in is about to end


class MailSender:
    """Belongs to one event loop; of several processes, each may have one.

    address: ours, as links begin with it. sender: as "Fairlead <fairlead@example.com>".
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        transport: Transport,
        prepare: Prepare,
        *,
        address: str,
        sender: str,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._transport = transport
        self._prepare = prepare
        self._address = address.rstrip("/")
        self._sender = sender
        self._there_is_mail = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def nudge(self) -> None:
        """There is mail; from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: somebody else will look
                self._loop.call_soon_threadsafe(self._there_is_mail.set)

    async def run(self) -> None:
        """Until cancelled."""
        self._loop = asyncio.get_running_loop()
        self._outbox.tell(self.nudge)
        is_waiting = False
        while True:
            try:
                while await self.send_due():
                    pass
                is_waiting = False
            except DatabaseUnreadable as error:
                if not is_waiting:  # once, however long it lasts
                    _log.warning("mail waits for the database: %s", error)
                is_waiting = True
            except Exception:  # noqa: BLE001 - the edge of a job: one mail must not stop all others
                _log.exception("Mail could not be sent.")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._there_is_mail.wait()
                    self._there_is_mail.clear()
                    await asyncio.sleep(SETTLE_S)

    async def send_due(self) -> int:
        """Try all that are due now. Returns how many there were."""
        taken = await self._database.run(self._outbox.take, self._prepare)
        for one in taken:
            await asyncio.to_thread(self._try, one)
        return len(taken)

    def _try(self, taken: Taken) -> None:
        """Whatever is wrong with one mail, the others go out."""
        try:
            self._send(taken)
        except DatabaseUnreadable:
            raise
        except Exception as error:  # noqa: BLE001 - it is this mail that is tried less and less
            _log.exception("a mail could not be sent", extra={"mail": taken.id})
            self._outbox.failed(taken, type(error).__name__, for_good=False)

    def _send(self, taken: Taken) -> None:
        letter = taken.letter
        text = rules.written(letter, address=self._address)
        mail = Mail(taken.id, self._sender, letter.recipient, text.subject, text.body)
        try:
            self._transport.send(mail)
        except (MailRefused, MailStuck) as error:
            given_up = self._outbox.failed(
                taken, str(error), for_good=isinstance(error, MailRefused)
            )
            _log.warning(
                "a mail was not taken%s",
                ", and is given up" if given_up else "",
                extra={"mail": taken.id, "kind": letter.kind, "problem": str(error)[:300]},
            )
        else:
            self._outbox.sent(taken.id)
