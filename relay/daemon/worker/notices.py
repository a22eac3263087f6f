"""Mail of the relay to people: to an account's contact, or to an address that is to be verified.

    await notices.send(account_id, "Subject", "Text for people.", kind="what-happened", about="example.org")
    await notices.mail("owner@example.org", "Subject", "Text for people.")

Contract: when ``send`` returns, the mail and a Notice event that tells of it are on disk, in one transaction;
it returns the message id. An account without a contact, or with one that cannot be written to, gets the event
alone, and the log says so; then the id is "". SpoolError and Refused mean that nothing was stored: the caller
leaves its own state as it is and tries again later. Whoever tells of a change of state sends first and
commits the change after, so that a crash in between repeats a mail rather than loses it.

The mail comes from account 0 with the null reverse-path, so that nothing bounces back; it counts against
nobody's limits. Texts are plain; the account's name and the relay's host name are added below them.

Deliberately not here: bounces (``verdict``), and what the notices say.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Protocol

from relay.base.address import check_address, domain_of
from relay.base.clock import Clock
from relay.base.events import Change, Event, EventKind
from relay.base.message import Client, Envelope, Message, Recipient, Submission, TlsWish
from relay.codec.notice import compose
from relay.directory.records import Account

log = logging.getLogger(__name__)


class Accounts(Protocol):
    """Who is to be told."""

    def account(self, account_id: int) -> Account | None:
        """The account of this number."""
        ...


class Live(Protocol):
    """Where the current accounts are found."""

    @property
    def current(self) -> Accounts:
        """The accounts as they are now."""
        ...


class Spool(Protocol):
    """The promise."""

    def commit(self, change: Change) -> asyncio.Future[None]:
        """Done once the change is on disk."""
        ...


class Notices:
    """Writes to people, through one shard."""

    def __init__(
        self,
        *,
        accounts: Live,
        prepare: Callable[[Submission], tuple[Message, list[Event]]],
        spool: Spool,
        on_stored: Callable[[Message], None],
        sender: Callable[[], str],
        hostname: str,
        clock: Clock,
    ) -> None:
        """``prepare``, ``spool`` and ``on_stored`` are those of the intake; ``sender`` is asked for From."""
        self._accounts = accounts
        self._prepare = prepare
        self._spool = spool
        self._on_stored = on_stored
        self._sender = sender
        self._hostname = hostname
        self._clock = clock

    async def send(
        self, account_id: int, subject: str, text: str, *, kind: str = "notice", about: str = ""
    ) -> str:
        """Tell the contact of an account; the id of the mail. ``kind`` and ``about`` go into the event.

        Raises SpoolError or Refused if the notice could not be stored.
        """
        account = self._accounts.current.account(account_id)
        contact = account.contact if account is not None else ""
        change, fault = Change(), "the account has no contact"
        if contact and account is not None:
            below = f"\n\n-- \nAccount: {account.name}\nSent by the mail relay at {self._hostname}\n"
            try:
                change = self._make(contact, subject, text.rstrip() + below)
            except ValueError as error:
                fault = f"its contact cannot be written to: {error}"
        message_id = change.stored[0].id if change.stored else ""
        detail = json.dumps({"notice": kind, "about": about, "subject": subject, "contact": contact})
        change.events.append(Event(self._clock.now(), EventKind.NOTICE, message_id, account_id, detail))
        await self._store(change)
        extra = {"kind": kind, "about": about, "account": account_id, "message_id": message_id}
        if message_id:
            log.info("notice sent", extra={**extra, "contact": contact})
        else:
            log.warning("notice without mail", extra={**extra, "why": fault, "subject": subject})
        return message_id

    async def mail(self, address: str, subject: str, text: str) -> str:
        """Write to an address; the id of the mail.

        Raises ValueError if it is none, SpoolError or Refused if the mail could not be stored.
        """
        change = self._make(address, subject, f"{text.rstrip()}\n\n-- \nThe mail relay at {self._hostname}\n")
        await self._store(change)
        return change.stored[0].id

    async def hand_in(self, address: str, content: bytes, tls: TlsWish = TlsWish.NONE) -> str:
        """Send content that is complete but for what signing adds; the id of the mail.

        Raises ValueError if the address is none, SpoolError or Refused if the mail could not be stored.
        """
        check_address(address)
        change = self._change(address, content, tls)
        await self._store(change)
        return change.stored[0].id

    def _make(self, address: str, subject: str, text: str) -> Change:
        return self._change(address, compose(self._sender(), address, subject, text))

    def _change(self, address: str, content: bytes, tls: TlsWish = TlsWish.NONE) -> Change:
        recipient = Recipient(0, address, domain_of(address))
        envelope = Envelope(sender="", recipients=[recipient], is_utf8=not address.isascii(), tls=tls)
        message, events = self._prepare(Submission(0, envelope, content, Client(protocol="local")))
        return Change(stored=[message], events=events)

    async def _store(self, change: Change) -> None:
        await asyncio.shield(self._spool.commit(change))
        for message in change.stored:
            try:
                self._on_stored(message)
            except Exception:  # it is on disk and will be found there
                log.exception("a stored message could not be scheduled", extra={"message_id": message.id})
