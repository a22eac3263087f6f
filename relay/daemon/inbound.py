"""The way in for what comes back, joined for one worker: its doors, its gate, and who takes the mail.

``Inbound.doors`` are those of the configuration in force and the directory as it is now; they are made anew
when one of the two is another. ``door`` and ``takes_from`` are the gate that inbound sessions ask
(``relay.ingress.surroundings``). The rates of the configuration are over all workers; each has its share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from relay.base.inbound import Door, Doors
from relay.daemon.settings.config import Config
from relay.daemon.translate import complaints_address, own_domain, own_domains
from relay.ingress.inbound_rate import InboundRate


class Names(Protocol):
    """What is asked of the directory."""

    @property
    def mail_from_domains(self) -> frozenset[str]:
        """The MAIL FROM domains of all identities."""
        ...


class Inbound:
    """See above. Owner of its state: the event loop's thread."""

    def __init__(self, config: Callable[[], Config], names: Callable[[], Names], key: bytes) -> None:
        """``config`` and ``names`` are asked for what is in force; ``key`` proves return paths."""
        self._config = config
        self._names = names
        self._key = key
        self._made_of: tuple[Config, Names] | None = None
        self._doors = Doors(key, ())
        self._rate = InboundRate(0.0, 0.0)

    def doors(self) -> Doors:
        """Whom mail may come to, now."""
        config, names = self._config(), self._names()
        if self._made_of is None or self._made_of[0] is not config or self._made_of[1] is not names:
            self._made_of = (config, names)
            self._doors = doors_of(config, names.mail_from_domains, self._key)
            share = config.workers.effective_count
            self._rate.total = config.feedback.rate / share
            self._rate.per_address = config.feedback.rate_per_address / share
        return self._doors

    def door(self, address: str, domain: str) -> Door:
        """What a recipient is to us."""
        return self.doors().find(address, domain)[0]

    def takes_from(self, address: str, now: float) -> bool:
        """Whether one more message may come from there; counts it."""
        self.doors()  # which brings the rates up to date
        return self._rate.take(address, now)


def doors_of(config: Config, mail_from_domains: frozenset[str], key: bytes) -> Doors:
    """The doors of a configuration. A postmaster at one of our own addresses is none: the mail would come
    back here."""
    domain = own_domain(config)
    own = own_domains(config)
    doors = Doors(
        key=key,
        return_path_domains=mail_from_domains | own,
        complaints=frozenset({complaints_address(config), f"fbl@{domain}"}),
        houses=own | {config.relay.hostname.lower()},
        has_postmaster=False,
    )
    postmaster = config.relay.postmaster
    is_elsewhere = postmaster and not doors.is_ours(postmaster, postmaster.rpartition("@")[2].lower())
    return Doors(doors.key, doors.return_path_domains, doors.complaints, doors.houses, bool(is_elsewhere))
