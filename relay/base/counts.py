"""Words of the statistics: what was counted of an account's mail, where, and over which span of time.

``Counts`` has two halves. The first belongs to the moment at which something happened: what SES shows in a
data point. The second belongs to the moment at which the mail was sent: of so many mails, so many have
bounced hard and so many were complained about until now. Rates come from the second alone, so that a bounce
that arrives days later is set against the mail that it is about.

Pure words.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

QUARTER_S = 900  # a data point of SES: 15 minutes
DAY_S = 86_400
OTHER = "(other)"  # in place of receiver domains that are not told apart


class Place(NamedTuple):
    """What a data point is about: a quarter of an hour of an account's mail from an identity to a domain."""

    account_id: int
    start: int  # seconds since the epoch
    identity: str
    domain: str  # of the receiver, or OTHER


@dataclass(slots=True)
class Counts:
    """How often. All are recipients, but for ``rejects``, which are messages."""

    sent: int = 0  # accepted for delivery: the delivery attempts of SES
    delivered: int = 0
    hard: int = 0  # bounces that are the address's fault, the service's suppression list included
    soft: int = 0  # given up for another reason
    complaints: int = 0
    rejects: int = 0  # accepted and dropped for what was in them
    suppressed: int = 0  # not sent, since a suppression list has the address
    mails: int = 0  # sent then, and counted towards the rates
    bounced: int = 0  # of these, hard until now
    complained: int = 0  # of these, until now

    def add(self, other: Counts) -> None:
        """Count the other's too."""
        for name in COLUMNS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


COLUMNS = tuple(one.name for one in fields(Counts))


class Sent(NamedTuple):
    """What became of the mail of one span of time, which began at ``start``."""

    start: int
    mails: int
    bounced: int
    complained: int
