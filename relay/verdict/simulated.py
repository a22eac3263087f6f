"""What the mailboxes of the simulator send back: the automatic reply of ``ooto@``, the complaint of
``complaint@`` (SES.md 9).

Contract: ``make`` returns a change that stores the mail; it is part of the change that settles the recipient,
so that a crash loses neither and doubles neither. The mail is one as strangers' servers send: from the null
sender, of the relay's own account, an automatic reply (RFC 3834) to the message's return path, or a complaint
(RFC 5965) to the address for complaints. Where MAIL FROM stayed the sender's own, a return path of ours is
made for it, so that the reply comes to us and not to the network. Its route is that of the simulator
(``Recipient.domain``), which brings it to where such mail comes in.

No answer is made to the null sender, nor to what says that a program sent it (RFC 3834 2), nor to the relay's
own mail: nothing goes round. A complaint is made of all but the last.

After a crash: what is stored is brought there after the restart. What waits while the service domain becomes
another has a route no more, and ends as mail to a domain that does not exist.

Not on the hot path.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from relay.base.clock import Clock
from relay.base.events import Change
from relay.base.message import Client, Envelope, Message, Recipient, Submission
from relay.base.simulator import Mailbox, mailbox_of
from relay.codec import arf, auto_reply
from relay.verdict.bounce import Prepare, head_of

_SOURCE_IP = "127.0.0.1"  # the relay brought it here itself


class SimulatedMail:
    """Makes what comes back. ``return_path`` gives that of a message of ours, ``complaints`` the address that
    receivers send complaints to; ``prepare`` is as for bounces."""

    def __init__(
        self,
        prepare: Callable[[int], Prepare],
        return_path: Callable[[str], str],
        complaints: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._prepare = prepare
        self._return_path = return_path
        self._complaints = complaints
        self._clock = clock

    def make(self, message: Message, recipient: Recipient, content: bytes | Path | None) -> Change:
        """A change that stores what the recipient sends back; empty if it is nothing."""
        original = head_of(content)
        if mailbox_of(recipient.address) is Mailbox.COMPLAINT:
            return self._complaint(message, recipient, original)
        if not message.sender or not auto_reply.may_answer(original):
            return Change()
        to = message.return_path or self._return_path(message.id)
        return self._stored(message, recipient, to, auto_reply.compose(recipient.address, to, original))

    def _complaint(self, message: Message, recipient: Recipient, original: bytes) -> Change:
        complaint = arf.Complaint(
            message_id=message.id,
            reporter=f"{Mailbox.COMPLAINT}@{recipient.domain}",
            to=self._complaints(),
            recipient=recipient.address,
            mail_from=message.return_path or self._return_path(message.id),
            arrived_at=self._clock.now(),
            source_ip=_SOURCE_IP,
            reporting_mta=recipient.domain,
        )
        return self._stored(message, recipient, complaint.to, arf.compose(complaint, original))

    def _stored(self, message: Message, recipient: Recipient, to: str, content: bytes) -> Change:
        back = Recipient(0, to, recipient.domain)  # by the simulator's route
        envelope = Envelope(sender="", recipients=[back], is_utf8=True)  # as far as it needs it
        envelope.tls = message.tls  # RFC 8689 5: what it quotes is not to travel on otherwise than it came
        submission = Submission(0, envelope, content, Client(protocol="local"))
        stored, events = self._prepare(message.shard)(submission)
        return Change(stored=[stored], events=events)
