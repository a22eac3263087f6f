"""May this account send this, now? The one question that intake asks, and its answer.

Contract: ``check`` raises Refused, or returns an ``Admission`` with the keys that sign the message: those of
the most granular verified identity that covers From, unless its DKIM is switched off, and the domain of its
return path (``relay.policy.return_path``). The relay's own mail (account 0) passes and is signed by the
service domain alone. ``complete`` is for what must be waited for: the ledger of limits, then the suppression
lists, then the scanner.

Cost on the hot path: that of ``identities.check_submission`` and ``content_rules``, and one dictionary
lookup. A scanner costs a task and a connection a message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from relay.base.admission import Admission
from relay.base.message import Recipient, Submission
from relay.codec.headers import Header
from relay.directory.keys import SigningKey
from relay.directory.records import Account
from relay.directory.snapshot import Snapshot
from relay.policy.content_rules import MessageRules
from relay.policy.control import control_of
from relay.policy.deadline import deadline_of
from relay.policy.identities import RELAY_ITSELF, check_submission
from relay.policy.return_path import domain_for
from relay.policy.scanner import Scanner, ScannerSettings
from relay.policy.suppression import Suppression


class Live(Protocol):
    """Where the current snapshot is found."""

    @property
    def current(self) -> Snapshot:
        """The snapshot to ask."""
        ...


class Limits(Protocol):
    """How much the account may send (``relay.policy.limits``)."""

    def take(
        self, account: Account, recipients: Sequence[Recipient], admission: Admission[Any]
    ) -> Awaitable[None] | None:
        """Count a message; None if it passes at once. Raises Refused."""
        ...

    def give_back(self, account_id: int, admission: Admission[Any]) -> None:
        """It was not stored."""
        ...


class Policy:
    """The decisions on a submission, joined."""

    def __init__(
        self,
        directory: Live,
        return_path_domain: str = "",
        service_domain: str = "",
        region: str = "",
        limits: Limits | None = None,
        suppression: Suppression | None = None,
    ) -> None:
        """``return_path_domain``: of MAIL FROM where the identity has none of its own; "": the sender's.
        ``service_domain``: the mailbox simulator is below it; "": there is none. ``region``: of ARNs.
        ``limits``: None counts nothing; ``suppression``: None keeps nothing back. ``rules`` are those of SES
        and ``scanner`` is off until told else."""
        self._directory = directory
        self._region = region
        self.return_path_domain = return_path_domain
        self.service_domain = service_domain
        self._limits = limits
        self.suppression = suppression
        self.rules = MessageRules()
        self.scanner = Scanner(ScannerSettings())

    def check(self, submission: Submission, header: Header) -> Admission[SigningKey]:
        """What can be decided at once; may run in a thread. Raises Refused."""
        if submission.account_id == RELAY_ITSELF:
            return Admission()
        snapshot = self._directory.current
        author = check_submission(snapshot, submission, header, self.service_domain)[0]
        self.rules.check(submission.content, header)
        identity = snapshot.identity_for(submission.account_id, author)
        user = submission.client.credential
        deadline_s, deadline_at = deadline_of(header)
        return Admission(
            identity.keys if identity is not None and identity.is_dkim_on else (),
            identity=identity.name if identity is not None else "",
            has_headers=identity is not None and identity.has_headers,
            control=control_of(header, snapshot, submission.account_id, self._region, user),
            deadline_s=deadline_s,
            deadline_at=deadline_at,
            return_path_domain=domain_for(identity, submission.envelope.sender, self.return_path_domain),
        )

    def complete(
        self, submission: Submission, header: Header, admission: Admission[SigningKey]
    ) -> Awaitable[None] | None:
        """What must be waited for; None if nothing. On the event loop. The awaitable raises Refused."""
        if submission.account_id == RELAY_ITSELF or admission.dropped:
            return None
        account = self._directory.current.account(submission.account_id)
        recipients = submission.envelope.recipients
        taking, suspects = None, None
        if account is not None and self.suppression is not None:
            suspects = self.suppression.suspects(account, recipients)
        if account is not None and self._limits is not None:
            taking = self._limits.take(account, recipients, admission)
        if not suspects and not self.scanner.settings.is_on:
            return taking
        return self._complete(taking, account, suspects, submission, admission)

    async def _complete(
        self,
        taking: Awaitable[None] | None,
        account: Account | None,
        suspects: Sequence[Recipient] | None,
        submission: Submission,
        admission: Admission[SigningKey],
    ) -> None:
        """The limits first: a message that is over them is not worth a question or a scan."""
        if taking is not None:
            await taking
        if suspects and account is not None and self.suppression is not None:
            await self.suppression.confirm(account, suspects)
        if self.scanner.settings.is_on:
            await self.scanner.screen(submission, admission)

    def give_back(self, submission: Submission, admission: Admission[SigningKey]) -> None:
        """The message was not stored: what was taken of the limits for it is theirs again."""
        if self._limits is not None and admission.tokens:
            self._limits.give_back(submission.account_id, admission)
