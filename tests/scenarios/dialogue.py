"""Dialogues as tables: what the client says, and the exact reply that it must hear.

    speak(client, [("MAIL FROM:<a@example.org>", "250 2.1.0 Ok"), ("QUIT", "221 2.0.0 Bye")])

``{id}`` in a reply stands for a message id. Replies are written with their enhanced codes, as a client hears
them after EHLO; ``plainly`` gives what it hears after HELO, which is the text of SES word for word.
"""

import base64
import re
import smtplib
from collections.abc import Sequence

from relay.directory.store import Directory
from tests.fakes.prepared import SENDER

Line = tuple[str, str]
TO = "someone@receiver.example"
OK = "250 2.6.0 Ok {id}"
UNVERIFIED = (
    "554 5.7.1 Message rejected: Email address is not verified. The following identities failed the check: "
)
_ID = r"[0-9a-f]{16}-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-[0-9a-f]{6}"
_ENHANCED = re.compile(r"^(\d{3}) \d\.\d\.\d+ ")


def encoded(words: str) -> str:
    return base64.b64encode(words.encode()).decode()


def plainly(reply: str) -> str:
    """The reply without its enhanced status code."""
    return _ENHANCED.sub(r"\1 ", reply)


def hear(client: smtplib.SMTP) -> str:
    """The next reply, its lines joined by newlines."""
    code, text = client.getreply()
    return f"{code} {text.decode()}"


def say(client: smtplib.SMTP, words: str) -> str:
    """The reply to these words; they may be several lines."""
    client.send(words.replace("\n", "\r\n").encode() + b"\r\n")
    return hear(client)


def is_it(heard: str, expected: str) -> bool:
    return re.fullmatch(re.escape(expected).replace(r"\{id\}", _ID), heard) is not None


def speak(client: smtplib.SMTP, lines: Sequence[Line]) -> None:
    """The dialogue; each reply must be the one in the table."""
    for words, expected in lines:
        heard = say(client, words)
        assert is_it(heard, expected), f"{words[:200]!r} is answered {heard!r}, not {expected!r}"


def content(header_from: str = SENDER, *fields: str) -> str:
    """What follows DATA, with its dot."""
    lines = [f"From: {header_from}", *fields, f"To: {TO}", "Subject: a row of the table", "", "Hello", "."]
    return "\n".join(lines)


def sent(sender: str, body: str, reply: str, to: Sequence[str] = (TO,)) -> list[Line]:
    """A whole message, whose dot is answered with this."""
    recipients = [(f"RCPT TO:<{one}>", "250 2.1.5 Ok") for one in to]
    return [
        (f"MAIL FROM:<{sender}>", "250 2.1.0 Ok"),
        *recipients,
        ("DATA", "354 End data with <CR><LF>.<CR><LF>"),
        (body, reply),
    ]


def newcomer(directory: Directory, name: str, *identities: str, **account: object) -> tuple[str, str]:
    """An account without limits, with verified identities; user name and password."""
    limits = {"max_send_rate": -1, "max_24_hours": -1, **account}
    directory.accounts.create(name, **limits)  # type: ignore[arg-type]
    for identity in identities:
        directory.identities.add(name, identity, algorithms=["ed25519-sha256"], is_verified=True)
    made = directory.credentials.create(name)
    return made.smtp_username, made.smtp_password
