"""The two ways in which mail leaves: to a mail server, or to the operator's screen."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TextIO

from fairlead.control.mail.types import Mail, MailRefused, MailStuck

if TYPE_CHECKING:
    import smtplib
    from email.message import EmailMessage

__all__ = ["ConsoleTransport", "SmtpServer", "SmtpTransport"]

REFUSED_FOR_GOOD: Final = range(500, 600)  # RFC 5321, section 4.2.1


class ConsoleTransport:
    """Prints mail for the operator to pass on: for installations without a mail server."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def send(self, mail: Mail) -> None:
        edge = "-" * 72
        text = (
            f"\n{edge}\nMAIL that would have gone to {mail.recipient} ([mail] transport is `console`)\n"
            f"Subject: {mail.subject}\n\n{mail.text.rstrip()}\n{edge}\n"
        )
        stream = self._stream if self._stream is not None else sys.stderr
        try:
            stream.write(text)
            stream.flush()
        except OSError as error:
            raise MailStuck(f"standard error cannot be written to: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """security: "starttls" begins in the clear and must become encrypted; "tls" is encrypted from the start.

    user, password: None: the server asks for none. timeout_s: for each step.
    """

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str | None = None
    password: str | None = None
    timeout_s: float = 20.0

    def __repr__(self) -> str:
        return f"SmtpServer({self.host}:{self.port})"


class SmtpTransport:
    """Hands mail to a server, a connection for each: they are few."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    def send(self, mail: Mail) -> None:
        import smtplib

        message = _message(mail)
        try:
            with self._connected() as connection:
                connection.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            code, text = next(iter(error.recipients.values()))
            raise _refusal(code, text) from error
        except smtplib.SMTPResponseException as error:
            raise _refusal(error.smtp_code, error.smtp_error) from error
        except (smtplib.SMTPException, OSError) as error:
            raise MailStuck(f"{type(error).__name__}: {error}") from error

    def _connected(self) -> smtplib.SMTP:
        import smtplib
        import ssl

        server = self._server
        if server.security == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host,
                server.port,
                timeout=server.timeout_s,
                context=ssl.create_default_context(),
            )
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=server.timeout_s)
        try:
            if server.security == "starttls":
                connection.starttls(context=ssl.create_default_context())
            if server.user is not None:
                connection.login(server.user, server.password or "")
        except BaseException:
            connection.close()
            raise
        return connection


def _message(mail: Mail) -> EmailMessage:
    """Raises MailRefused for what no message can hold."""
    from email.errors import MessageError

    try:
        return _written(mail)
    # Some addresses trip the parser over itself.
    except (ValueError, LookupError, AttributeError, MessageError) as error:
        raise MailRefused(f"no message can be made of it: {type(error).__name__}") from error


def _written(mail: Mail) -> EmailMessage:
    from email.headerregistry import Address
    from email.message import EmailMessage
    from email.utils import parseaddr

    message = EmailMessage()
    message["From"] = mail.sender
    message["To"] = Address(addr_spec=mail.recipient)
    message["Subject"] = mail.subject
    message["Message-ID"] = (
        f"<{mail.id}@{parseaddr(mail.sender)[1].partition('@')[2] or 'localhost'}>"
    )
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message


def _refusal(code: int, text: bytes | str) -> MailRefused | MailStuck:
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    kind = MailRefused if code in REFUSED_FOR_GOOD else MailStuck
    return kind(f"{code} {said}")
