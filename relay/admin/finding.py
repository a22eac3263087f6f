"""The words of ``relay doctor``: what was gathered about a domain's mail, and what was found. No I/O.

``Facts`` is what the DNS, the directory and the configuration say; the judges (``judge_...``) turn it into
``Finding``s, each with what was seen and, where it helps, the record to publish.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from relay.admin.spf import SpfVerdict
from relay.transport.answers import Answer, Status

NO_ANSWER = Answer(Status.EMPTY)


class Level(StrEnum):
    """How bad it is. A problem makes the doctor's exit status 1."""

    OK = "ok"
    NOTE = "note"  # worth knowing, as it may be meant
    UNKNOWN = "unknown"  # nobody here can say
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that receivers look at, or that the host must have, or that is wrong now."""

    level: Level
    about: str  # "SPF", "DKIM", "DMARC", "alignment", "reverse DNS", "EHLO name", "MX"; "TLS", "disk", ...
    seen: str
    publish: str = ""  # a line of a zone file, or what else to do


class MailFrom(StrEnum):
    """Whose MAIL FROM receivers see."""

    OWN = "own"  # a MAIL FROM domain of the identity
    RELAY = "relay"  # the relay's return paths
    SENDER = "sender"  # the client's; assumed to be in the domain of From


@dataclass(frozen=True, slots=True)
class KeySeen:
    """A DKIM key that signs, or is to, and the TXT records at its name."""

    name: str
    domain: str
    expected: str  # the record that publishes it
    answer: Answer
    publish: str = ""  # the line of the owner's zone file
    is_service: bool = False  # of the service domain: it signs everything, and aligns with nobody else
    is_signing: bool = True


@dataclass(frozen=True, slots=True)
class Reverse:
    """An address that mail leaves from, looked up backwards and forwards again."""

    address: str
    names: Answer
    forward: Mapping[str, Answer] = field(default_factory=dict)
    helo: str = ""  # what is said in EHLO from there, where that is not the name of the relay
    helo_addresses: Answer = NO_ANSWER


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of the mail of one identity."""

    domain: str  # of From
    organisation: str
    helo: str
    host: str  # where the MX of MAIL FROM domains must lead
    mail_from: str  # the domain that receivers see
    mail_from_kind: MailFrom
    unused: str = ""  # a MAIL FROM domain that was asked for and is not used, with its state
    is_dkim_on: bool = True
    dkim_state: str = ""  # of records that are not as they should be, so that nothing is signed
    spf: tuple[SpfVerdict, ...] = ()
    spf_stranger: SpfVerdict | None = None  # for an address that nobody has
    spf_texts: Answer = NO_ANSWER  # TXT of the MAIL FROM domain
    mx: Answer = NO_ANSWER
    mail_from_addresses: Answer = NO_ANSWER  # the implicit MX, where there is no MX
    keys: tuple[KeySeen, ...] = ()
    dmarc: Answer = NO_ANSWER  # TXT of _dmarc.<domain>
    dmarc_above: Answer | None = None  # of the organisational domain, where it is another
    reverse: tuple[Reverse, ...] = ()
    helo_addresses: Answer = NO_ANSWER


def unknown(about: str, answer: Answer) -> Finding:
    """The DNS did not answer: no one can say, and receivers will not know either."""
    return Finding(
        Level.PROBLEM,
        about,
        f"the DNS did not answer: {answer.detail}",
        "ask again; else see the name server",
    )
