"""What of an SMTP dialogue may be shown to whoever watches it: no secret, no content, nothing for terminals.

Contract, pure. ``shown_command`` is what a client said as a line of text: AUTH loses its initial response
whatever it looks like, and a line that is no known command loses all of its words, since a password sent at
the wrong moment is one. What comes within AUTH never gets here (``CREDENTIALS`` stands for it), and neither
does content (``shown_content``). ``shown`` makes any text harmless: what cannot be printed is written as an
escape, and what is long is cut.

Cost: only where somebody watches; about 2 microseconds a line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

CREDENTIALS = "<credentials>"
HIDDEN = "***"
MAX_LINE = 600  # characters shown of one line

_WITH_ARGUMENT = frozenset(
    (
        "MAIL",
        "RCPT",
        "BDAT",
        "HELO",
        "EHLO",
        "LHLO",
        "VRFY",
        "EXPN",
        "ETRN",
    )
)
_SIZE_ONLY = frozenset(("NOOP", "HELP", "DATA", "RSET", "QUIT", "STARTTLS"))  # what follows is no argument
_WORD_ONLY = frozenset(("GET", "POST", "HEAD", "CONNECT", "XCLIENT", "XFORWARD", "USER", "PASS"))
_MECHANISMS = frozenset(
    ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "NTLM", "GSSAPI", "XOAUTH2", "OAUTHBEARER", "EXTERNAL")
)


def shown(text: str) -> str:
    """Text that a terminal takes for nothing but text, of a bounded length."""
    if len(text) > MAX_LINE:
        text = f"{text[:MAX_LINE]}... ({len(text)} characters)"
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else repr(c)[1:-1] for c in text])


def shown_command(line: bytes) -> str:
    """A command of a client, without its CRLF."""
    text = line.decode("utf-8", "backslashreplace")
    verb, _, rest = text.partition(" ")
    name = verb.upper()
    if name in _SIZE_ONLY:
        return f"{verb} <{len(rest)} characters>" if rest else verb
    if name in _WITH_ARGUMENT:
        return shown(text)
    if name == "AUTH":
        mechanism, _, response = rest.strip().partition(" ")
        # only the name of a mechanism: "AUTH <password>" has been seen
        named = mechanism.upper() if mechanism.upper() in _MECHANISMS else HIDDEN if mechanism else ""
        return " ".join(filter(None, (verb, named, HIDDEN if response else "")))
    if name in _WORD_ONLY:
        return f"{verb} {HIDDEN}" if rest else verb
    return f"<{len(line)} octets that are no command>"


def shown_content(octets: int, *, is_complete: bool = True) -> str:
    """What stands for a message's content."""
    return f"<{octets} octets of content{'' if is_complete else ', and no end'}>"


def shown_reply(code: int, text: bytes, hidden: Collection[str] = ()) -> list[str]:
    """The lines of a reply; ``hidden`` are words that a server may have repeated and that are secret."""
    lines = without(text.decode("utf-8", "backslashreplace"), hidden).split("\n")
    return [f"{code}-{shown(one)}" for one in lines[:-1]] + [f"{code} {shown(lines[-1])}".rstrip()]


def shown_lines(octets: bytes) -> list[str]:
    """Lines that we wrote, CRLF between them."""
    return [
        shown(one) for one in octets.decode("utf-8", "backslashreplace").removesuffix("\r\n").split("\r\n")
    ]


def hidden(text: bytes, words: Iterable[str]) -> bytes:
    """The octets with asterisks in place of these words."""
    for word in words:
        if word:
            text = text.replace(word.encode(), HIDDEN.encode())
    return text


def without(text: str, hidden: Iterable[str]) -> str:
    """The text with asterisks in place of these words."""
    for word in hidden:
        if word:
            text = text.replace(word, HIDDEN)
    return text
