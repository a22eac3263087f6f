"""What is sent and by whom: messages of all sizes to receivers of all kinds, decided by their number. Pure.

Every message is one of ``tests.crash.mail``, which proves at the receiver what it is and that it is whole.
Mostly 1 to 5 KB; one in 17 has 60 KB, one in 61 300 KB, one in 250 2 MB, one in 5,000 nearly 10 MB (that
one first as number 200, so that a short run has it too). Of 40 messages go

- 29 to a receiver that is there and takes nearly everything;
- 2 to one whose mood changes (``MOODY``): hangs, throttles, bounces, breaks off, comes back;
- 3 to one that is found through the DNS (``BY_NAME``);
- 2 to one with narrow limits that is down half of the time;
- 1 to one that is never there, with a time after which the sender wants to hear;
- 1 to addresses that nobody has (``NOBODY``), every second time to one that was bounced before;
- 2 to one that takes them and sends a bounce later (``LATER``).
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.directory.records import OverQuota
from tests.crash import mail
from tests.crash.mail import GIVEN_UP_AFTER_S, GONE, NARROW, Mail

MOODY, NOBODY, LATER, BY_NAME = "moody.example", "nobody.example", "later.example", "byname.example"
GIVES_UP = frozenset({GONE, NOBODY, LATER, MOODY})
_OLD = 640  # so many numbers ago the address of ``NOBODY`` was bounced
_LARGEST = 9_400_000


@dataclass(frozen=True, slots=True)
class Sender:
    """An account: its share of all mail is given by how many clients it has. No limit: -1."""

    account: str
    connections: tuple[str, ...]  # of its clients: "plain", "starttls" or "wrapper", "-once" if not kept
    rate_share: float = -1.0  # of all mail, as its rate
    over_quota: OverQuota = OverQuota.REJECT

    @property
    def domain(self) -> str:
        return f"{self.account}.example"

    @property
    def address(self) -> str:
        return f"app@{self.domain}"


SENDERS = (
    Sender("crash", ("plain",) * 6 + ("plain-once",) * 2),
    Sender(
        "shop",
        ("starttls",) * 4 + ("starttls-once",) * 2 + ("wrapper",) * 3 + ("wrapper-once",) * 2,
    ),
    Sender("news", ("starttls",) * 3, 0.2, OverQuota.SMOOTH),  # its mail waits now and then, and leaves
    Sender("small", ("wrapper",) * 2, 0.05),  # half of its mail gets 454
)


def size_bytes(number: int) -> int:
    """How large the body of a message is."""
    if number == 200 or number % 5000 == 4999:
        return _LARGEST
    for each, size in ((250, 2_000_000), (61, 300_000), (17, 60_000)):
        if number % each == each - 1:
            return size
    return 1000 + number % 7 * 600


def domains(number: int) -> tuple[str, ...]:
    """To which receivers, in turn, a message goes."""
    match number % 40:
        case 3 | 23:
            return (MOODY,)
        case 6 | 16 | 26:
            return (BY_NAME,)
        case 9:
            return (NARROW,)
        case 19:
            return (NARROW, *mail.DOMAINS)
        case 29:
            return (GONE,)
        case 38:
            return (NOBODY,)
        case 8 | 28:
            return (LATER,)
    return mail.DOMAINS


def make(number: int, sender: str) -> Mail:
    """Submission ``number``."""
    to = domains(number)
    if to == (NOBODY,) and number // 40 % 2 and number > _OLD:
        made = mail.make(number, 800, domains=to, sender=sender)
        return Mail([f"m{number - _OLD - 40}-0@{NOBODY}"], made.content, sender=sender)
    if to == (GONE,):
        return mail.make(number, 1000, domains=to, by_s=GIVEN_UP_AFTER_S, sender=sender)
    count = len(to) if len(to) > 2 else 3 if number % 13 == 0 else 1
    return mail.make(number, size_bytes(number), count, to, sender=sender)
