"""May this account send in these names? The decision that SES makes before it takes a message.

Contract: MAIL FROM (unless null), every address of From, and that of Sender must be covered by verified
identities of the account; Reply-To need not. ``check`` returns nothing or raises Refused with the reply that
SES would give, safe to show to the client; what only the log may know is in ``detail``. Account 0 is the
relay itself and may send as anyone.

Cost on the hot path: ``check`` 0.9 microseconds where MAIL FROM and From are one address, 1.6
where they are two; ``check_header`` 2.7 with the reading of From and Sender.

It deliberately does not look at recipients, quotas or the rest of the header, and never reads the directory:
the snapshot it is given answers from memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, Protocol

from relay.base.errors import Refused
from relay.base.reply import Reply
from relay.codec.headers import Header, addresses
from relay.directory.records import Account, Identity

RELAY_ITSELF = 0
_TEXT_LIMIT = 440  # with code and CRLF below the 512 octets of RFC 5321 4.5.3.1.5

_UNVERIFIED = "Message rejected: Email address is not verified. The following identities failed the check: "
_DENIED = Reply(554, "Access denied", "5.7.1")
_SUSPENDED = Reply(
    554, "Message rejected: Sending suspended for this account. Ask the postmaster of this relay.", "5.7.1"
)


class Snapshot(Protocol):
    """What the decision asks of the directory."""

    def account(self, account_id: int) -> Account | None:
        """The account of this number."""
        ...

    def identity_for(self, account_id: int, address: str) -> Identity | None:
        """The verified identity of the account that covers the address."""
        ...


def check_header(snapshot: Snapshot, account_id: int, sender: str, header: Header) -> list[str]:
    """As ``check``, with From and Sender read from the message; also refuses a header that lacks From, or has
    From or Sender twice or in a form that names no address for certain. Returns the addresses in From.
    """
    if account_id == RELAY_ITSELF:
        return []
    values = header.get_all(b"from")
    if not values:
        _refuse_header("Missing required header 'From'.")
    header_from = _one_field("From", values)
    values = header.get_all(b"sender")
    check(snapshot, account_id, sender, header_from, _one_field("Sender", values) if values else ())
    return header_from


def check(
    snapshot: Snapshot,
    account_id: int,
    sender: str,
    header_from: Sequence[str],
    header_sender: Sequence[str],
) -> None:
    """Raise Refused unless the account may send as all of these addresses.

    ``sender`` is MAIL FROM, ``""`` for the null reverse-path; ``header_from`` and ``header_sender`` are the
    addresses in those fields. A message without an address in From is refused whatever its sender.
    """
    if account_id == RELAY_ITSELF:
        return
    account = snapshot.account(account_id)
    if account is None:
        raise Refused(_DENIED, f"there is no account {account_id}")
    if account.is_paused:
        raise Refused(_SUSPENDED, f"account {account.name} is paused: {account.reason or 'no reason given'}")
    if not header_from:
        _refuse_header("Missing required header 'From'.")
    failed: list[str] = []
    if sender and snapshot.identity_for(account_id, sender) is None:
        failed.append(sender)
    for address in (*header_from, *header_sender):
        if address == sender and sender:
            continue  # asked already: From and MAIL FROM are mostly one
        if address not in failed and snapshot.identity_for(account_id, address) is None:
            failed.append(address)
    if failed:
        raise Refused(Reply(554, _UNVERIFIED + _listed(failed, _TEXT_LIMIT - len(_UNVERIFIED)), "5.7.1"))


def _one_field(name: str, values: Sequence[bytes]) -> list[str]:
    if len(values) > 1:
        _refuse_header(f"Duplicate header '{name}'.")
    found = addresses(values[0])
    if not found:
        _refuse_header(f"Invalid header '{name}'.")
    return found


def _refuse_header(text: str) -> NoReturn:
    raise Refused(Reply(554, f"Transaction failed: {text}", "5.6.0"))


def _listed(failed: Sequence[str], limit: int) -> str:
    """The addresses, as many as fit; three dots at the end if not all do, as SES has it."""
    shown = ""
    for address in failed:
        clean = "".join(char if " " < char < "\x7f" else "?" for char in address)
        longer = f"{shown}, {clean}" if shown else clean
        if len(longer) > limit - 5:
            return f"{shown}, ..." if shown else f"{clean[: limit - 5]}..."
        shown = longer
    return shown
