"""The mailbox simulator: which addresses are its own, and which mailbox each names (SES.md 9).

Contract, pure. The simulator is ``simulator.<service domain>``, in any case; all of it is the relay's own,
whatever the local part, and none of its mail leaves the relay. Without a service domain there is no
simulator. A label behind a plus sign belongs to the mailbox before it: ``bounce+batch-7@``. A mailbox that
the simulator does not have is None, which receivers call an unknown user.

Cost, measured: ``is_simulator`` 0.3 microseconds, ``is_simulator_domain`` 0.1 for a domain that is another.
"""

from __future__ import annotations

from enum import StrEnum

from relay.base.address import domain_of


class Mailbox(StrEnum):
    """What the simulator plays."""

    SUCCESS = "success"  # takes the message
    BOUNCE = "bounce"  # refuses the recipient for good
    OOTO = "ooto"  # takes the message; whoever reads it is out of the office
    COMPLAINT = "complaint"  # takes the message, and calls it spam
    SUPPRESSION_LIST = "suppressionlist"  # an address that is on the suppression list


LANE = "simulator"  # of its route; no receiver's lane has this name
ANSWERING = frozenset((Mailbox.OOTO, Mailbox.COMPLAINT))  # they take a message, and then send something back
_MAILBOXES = {mailbox.value: mailbox for mailbox in Mailbox}


def simulator_domain(service_domain: str) -> str:
    """The simulator's domain in lower case; "" where there is no service domain."""
    return f"simulator.{service_domain.lower().rstrip('.')}" if service_domain else ""


def is_simulator_domain(domain: str, service_domain: str) -> bool:
    """Whether a recipient's domain (lower case, A-labels) is the simulator."""
    return domain.startswith("simulator.") and domain == simulator_domain(service_domain)


def is_simulator(address: str, service_domain: str) -> bool:
    """Whether mail to an address, in any case, goes to the simulator; its mailbox need not exist."""
    try:
        return is_simulator_domain(domain_of(address), service_domain)
    except ValueError:  # no domain at all
        return False


def mailbox_of(address: str) -> Mailbox | None:
    """The mailbox that an address of the simulator names; None for an unknown user."""
    local = address.rpartition("@")[0].lower()
    return _MAILBOXES.get(local.partition("+")[0])
