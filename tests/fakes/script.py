"""How a scripted mail server misbehaves, said by the envelope address. Pure.

The local part of the sender or of a recipient is its script (what follows a ``+`` only makes it different):

====================  =======================================================================
``rcpt-550``          answer RCPT with 550; likewise ``mail-``, ``data-`` and ``dot-`` with any code
``rcpt-450-twice``    the first two times for this address (``-once``, ``-twice`` or ``-N``), then 250
``421-at-dot``        answer 421 and close; at ``mail``, ``rcpt``, ``data`` or ``dot``
``drop-at-rcpt``      close without an answer; at ``dot``: before the content counts as received
``drop-in-content``   close once the first line of the content has come
``drop-after-dot``    take the content, then close without an answer: delivered, and nobody knows
``hang-at-dot``       take the command (and the content), never answer; also at the other stages
====================  =======================================================================

A script of a recipient at ``data`` or ``dot`` speaks for the whole transaction; the first one wins, and the
sender's comes before the recipients'.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field

STAGES = "mail|rcpt|data|dot"
_REFUSE = re.compile(rf"({STAGES})-([2345]\d\d)(?:-(once|twice|\d+))?")
_ACT = re.compile(rf"(421|drop|hang)-(?:at-({STAGES})|(in-content|after-dot))")
_TIMES = {None: 0, "once": 1, "twice": 2}


@dataclass(frozen=True)
class Step:
    """What to do at a stage: ``refuse`` with a code, ``421``, ``drop`` or ``hang``. ``times`` 0: always."""

    stage: str
    action: str
    code: int = 0
    times: int = 0


def script_of(address: str) -> Step | None:
    """The step that an address asks for, or None for one that behaves."""
    local = address.rpartition("@")[0].partition("+")[0]
    if match := _REFUSE.fullmatch(local):
        stage, code, times = match.groups()
        return Step(stage, "refuse", int(code), _TIMES[times] if times in _TIMES else int(times))
    if match := _ACT.fullmatch(local):
        return Step(match[2] or match[3], match[1])
    return None


@dataclass
class Habits:
    """How the sink treats everybody. ``banner`` and ``ehlo`` are replies without CRLF; a banner that is no
    2xx ends the session. ``login`` is "user:password", for AUTH PLAIN. ``delay_s`` precedes each reply."""

    banner: str = "220 sink.example ESMTP"
    ehlo: str = ""
    has_pipelining: bool = True
    has_8bitmime: bool = True
    has_smtputf8: bool = True
    has_dsn: bool = False
    size: int = 0
    tls: ssl.SSLContext | None = None
    is_tls_from_start: bool = False
    login: str = ""
    delay_s: float = 0.0
    is_byte_by_byte: bool = False
    messages_per_session: int = 0  # then 421 at MAIL; 0: no end

    @property
    def offers(self) -> list[str]:
        """The keywords of the EHLO reply but STARTTLS, which depends on the session."""
        offers = [("PIPELINING", self.has_pipelining), ("8BITMIME", self.has_8bitmime)]
        offers += [("SMTPUTF8", self.has_smtputf8), ("DSN", self.has_dsn)]
        offers += [(f"SIZE {self.size}", bool(self.size)), ("AUTH PLAIN", bool(self.login))]
        return [keyword for keyword, is_offered in offers if is_offered]


@dataclass
class Received:
    """One content that came, whether or not it got a 250. ``reply`` is the code it got, 0 if none."""

    sender: str
    recipients: list[str]
    content: bytes
    ehlo: str
    is_tls: bool
    session: int
    parameters: list[str] = field(default_factory=list)  # of MAIL, then of each RCPT
    login: str = ""
    reply: int = 0
