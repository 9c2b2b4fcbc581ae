"""Mail: sent once, tried again within bounds, and nothing that opens anything at rest."""

from __future__ import annotations

import asyncio
import io
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as default_policy

import pytest
import sqlalchemy as sa
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from fairlead.control.mail import rules
from fairlead.control.mail.transports import ConsoleTransport, SmtpServer, SmtpTransport
from fairlead.control.mail.types import Letter, Mail, MailRefused, MailStuck
from tests.control.people.world import ADDRESS, PASSWORD, PLACE, Mailbox, World

pytestmark = pytest.mark.anyio

# What the database has no part in is shown on one of them.
ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])

ADA = "ada@example.com"
MAIL = Mail(
    "mail-1", "Fairlead <gate@example.com>", ADA, "Grüße", "Zeile\n\nhttps://x/auth/link/y\n"
)


def put(world: World, kind: str = "password_changed", recipient: str = ADA) -> None:
    with world.database.begin() as connection:
        world.services.outbox.put(connection, Letter(kind=kind, recipient=recipient))


def rows(world: World) -> list[sa.Row[tuple[object, ...]]]:
    with world.database.read() as connection:
        return list(connection.execute(sa.text("SELECT * FROM mails ORDER BY id")))


async def test_a_mail_goes_with_the_transaction_that_causes_it(world: World):
    with world.database.begin() as connection:
        world.services.outbox.put(connection, Letter(kind="password_changed", recipient=ADA))
        connection.rollback()
    assert await world.mail() == []
    put(world)
    assert [mail.recipient for mail in await world.mail()] == [ADA]
    assert await world.mail() == []
    (row,) = rows(world)
    assert (row.sent_ms, row.due_ms, row.content, row.attempts) == (world.clock.ms, None, "", 1)


async def test_of_several_senders_one_sends_it(world: World):
    for number in range(30):
        put(world, recipient=f"{number}@example.com")
    await asyncio.gather(*(world.sender.send_due() for _ in range(6)))
    sent = [mail.recipient for mail in world.mailbox.mails]
    assert sorted(sent) == sorted({f"{number}@example.com" for number in range(30)})


@ON_SQLITE
async def test_what_is_stuck_is_tried_again_later_and_not_for_ever(world: World):
    put(world)
    world.mailbox.problem = MailStuck("450 come again")
    attempts_at = []
    while (due_ms := rows(world)[0].due_ms) is not None:
        world.clock.ms = due_ms - 1
        assert await world.sender.send_due() == 0
        world.clock.ms = due_ms
        assert await world.sender.send_due() == 1
        attempts_at.append((due_ms - rows(world)[0].created_ms) // 60_000)
        assert len(attempts_at) <= rules.ATTEMPTS_MAX
    assert len(attempts_at) == rules.ATTEMPTS_MAX
    world.clock.ms += 86_400_000
    assert await world.sender.send_due() == 0
    assert attempts_at[:4] == [0, 1, 4, 13]
    (row,) = rows(world)
    assert (row.due_ms, row.sent_ms, row.problem, row.content) == (None, None, "450 come again", "")


async def test_what_is_refused_for_good_is_not_tried_again(world: World):
    put(world)
    world.mailbox.problem = MailRefused("550 nobody here")
    assert await world.sender.send_due() == 1
    assert rows(world)[0].problem == "550 nobody here"
    world.clock.ms += 86_400_000
    assert await world.sender.send_due() == 0


@ON_SQLITE
async def test_a_mail_that_trips_the_transport_does_not_keep_the_others(world: World):
    for recipient in ("first@example.com", "bad@example.com", "last@example.com"):
        put(world, recipient=recipient)

    world.sender._transport = Trips(world.mailbox)
    for _ in range(rules.ATTEMPTS_MAX + 1):
        assert await world.sender.send_due() <= 3
        world.clock.ms += rules.RETRY_MAX_MS
    sent = {mail.recipient for mail in world.mailbox.mails}
    assert sent == {"first@example.com", "last@example.com"}
    (kept,) = [row for row in rows(world) if row.sent_ms is None]
    assert (kept.recipient, kept.due_ms, kept.problem) == ("bad@example.com", None, "IndexError")


class Trips:
    """A transport with a mistake in it."""

    def __init__(self, behind: Mailbox) -> None:
        self._behind = behind

    def send(self, mail: Mail) -> None:
        if mail.recipient.startswith("bad"):
            raise IndexError("string index out of range")
        self._behind.send(mail)


@pytest.mark.parametrize("recipient", ["a@[", "<@x", '"@x', "a@", "a@\n", "a@b, c@d", "a@\ud800"])
def test_an_address_that_no_message_can_have_is_refused_for_good(recipient: str):
    server = SmtpServer("127.0.0.1", 1, "none", timeout_s=1.0)
    with pytest.raises(MailRefused):
        SmtpTransport(server).send(replace(MAIL, recipient=recipient))


async def test_a_process_that_ends_while_it_sends_leaves_the_mail_to_the_next(world: World):
    put(world)
    (taken,) = world.services.outbox.take(world.services.letters.prepare)
    assert await world.mail() == [], "somebody is at it"
    world.clock.ms += 61_000
    (mail,) = await world.mail()
    assert mail.id == taken.id, "the same for a mailbox"


async def test_a_link_is_made_when_its_mail_goes_out_and_another_for_the_next_attempt(
    world: World,
):
    await world.newcomer(ADA)
    await world.sign_in.ask_for_link(ADA, PLACE)
    with world.database.read() as connection:
        tokens = connection.execute(sa.text("SELECT count(*) FROM one_time_tokens")).scalar()
    assert tokens == 0
    world.mailbox.problem = MailStuck("450 come again")
    await world.sender.send_due()
    world.mailbox.problem = None
    world.clock.ms += 61_000
    new = await world.sign_in.with_link(await world.link(), PLACE)
    assert new.session.method == "link"


@ON_SQLITE
async def test_the_sender_wakes_up_when_there_is_mail(world: World):
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()
    send = world.mailbox.send

    def noticed(mail: Mail) -> None:
        send(mail)
        loop.call_soon_threadsafe(arrived.set)

    world.mailbox.send = noticed  # type: ignore[method-assign]
    running = asyncio.create_task(world.sender.run())
    try:
        async with asyncio.timeout(8):  # it looks every ten seconds without being told
            await asyncio.sleep(0)
            put(world)
            await asyncio.to_thread(world.sender.nudge)
            await arrived.wait()
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_what_has_expired_is_forgotten(world: World):
    await world.newcomer(ADA)
    await world.sign_in.ask_for_link(ADA, PLACE)
    await world.mail()
    assert await world.services.sweeper.sweep() == 0
    world.clock.ms += 91 * 86_400_000
    assert await world.services.sweeper.sweep() == 4  # a session, a link, two mails
    assert rows(world) == []


def test_every_text_has_its_blanks_filled_and_says_where_it_comes_from():
    values = {
        "link": "/auth/link/token",
        "valid": "60 minutes",
        "inviter": "Ada\nSubject: evil",
        "organisation": "{link}",
        "email": "new@example.com",
    }
    for kind in rules.KINDS:
        filled = dict.fromkeys(re.findall(r"\{(\w+)\}", _source(kind)), "something") | values
        text = rules.written(Letter(kind=kind, recipient=ADA, values=filled), address=ADDRESS)
        assert "\n" not in text.subject
        assert "{" not in text.body.replace("{link}", "")
        assert ADDRESS in text.body or kind == "email_changed"
        assert f"{ADDRESS}/auth/link/token\n" in text.body or "{link}" not in _source(kind)


def _source(kind: str) -> str:
    from importlib.resources import files

    return files("fairlead.control.mail").joinpath("texts", f"{kind}.txt").read_text()


def test_there_is_a_text_for_each_kind_and_no_other():
    from importlib.resources import files

    there = {one.name for one in files("fairlead.control.mail").joinpath("texts").iterdir()}
    assert there == {f"{kind}.txt" for kind in rules.KINDS}


def test_the_console_marks_what_would_have_been_a_mail():
    stream = io.StringIO()
    ConsoleTransport(stream).send(MAIL)
    assert "MAIL that would have gone to ada@example.com" in stream.getvalue()
    assert "https://x/auth/link/y" in stream.getvalue()


class Received:
    """A mail server's handler. answer: what it says after a message."""

    def __init__(self, answer: str = "250 OK") -> None:
        self.answer = answer
        self.messages: list[EmailMessage] = []

    async def handle_RCPT(  # noqa: N802 - the library's name
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        if address.startswith("nobody"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        message = BytesParser(policy=default_policy).parsebytes(envelope.content or b"")
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return self.answer


@contextmanager
def mail_server(handler: Received, **options: object) -> Iterator[tuple[str, int]]:
    def address() -> tuple[str, int]:
        assert controller.server is not None
        host, port = controller.server.sockets[0].getsockname()
        return host, port

    controller = Controller(handler, hostname="127.0.0.1", port=0, **options)
    # Its own would connect to port 0.
    controller._trigger_server = lambda: socket.create_connection(address()).close()
    controller.start()
    try:
        yield address()
    finally:
        controller.stop()


def transport(place: tuple[str, int], security: str = "none", **rest: str) -> SmtpTransport:
    return SmtpTransport(SmtpServer(place[0], place[1], security, timeout_s=10, **rest))  # type: ignore[arg-type]


def test_a_server_gets_the_message_as_it_is():
    handler = Received()
    with mail_server(handler) as place:
        transport(place).send(MAIL)
    (message,) = handler.messages
    assert (message["To"], message["From"]) == (ADA, "Fairlead <gate@example.com>")
    assert message["Subject"] == "Grüße"
    assert message["Message-ID"] == "<mail-1@example.com>"
    assert message.get_content().splitlines() == MAIL.text.splitlines()


def test_what_a_server_says_decides_whether_to_come_again():
    with mail_server(Received("451 later")) as place, pytest.raises(MailStuck, match="451"):
        transport(place).send(MAIL)
    with mail_server(Received("554 spam")) as place, pytest.raises(MailRefused, match="554"):
        transport(place).send(MAIL)
    nobody = Mail("mail-2", "gate@example.com", "nobody@example.com", "x", "x")
    with mail_server(Received()) as place, pytest.raises(MailRefused, match="550"):
        transport(place).send(nobody)
    with pytest.raises(MailStuck):
        transport(("127.0.0.1", 1)).send(MAIL)


def test_encryption_that_was_asked_for_is_not_gone_without(monkeypatch: pytest.MonkeyPatch):
    authority = trustme.CA()
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)

    def allow(*arguments: object) -> AuthResult:
        is_right = arguments[-1].password == PASSWORD.encode()  # type: ignore[attr-defined]
        return AuthResult(success=is_right, handled=is_right)  # not handled: the server says no

    with mail_server(Received()) as place, pytest.raises(MailStuck):
        transport(place, "starttls").send(MAIL)
    options = {"tls_context": ours, "require_starttls": True}
    handler = Received()
    with mail_server(handler, **options, authenticator=allow, auth_required=True) as place:
        with pytest.raises(MailStuck, match="SSLCert"):  # signed by nobody that we trust
            transport(place, "starttls").send(MAIL)
        monkeypatch.setattr(ssl, "create_default_context", lambda: trusted)
        with pytest.raises(MailRefused) as refused:
            transport(place, "starttls", user="gate", password="wrong one").send(MAIL)
        assert "wrong one" not in str(refused.value)
        transport(place, "starttls", user="gate", password=PASSWORD).send(MAIL)
    assert len(handler.messages) == 1
