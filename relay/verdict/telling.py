"""What the sender is told by mail, and everybody by events, of failures, of delays and of what was asked for.

Contract: each method adds to the change that settles the attempt: the mail and the events become one
transaction with the outcome that they tell of. ``failures`` returns False, and adds nothing, where the bounce
cannot be made (a bug of ours); a failure that no one is told about would be a lost message. Without its
notice of delay nobody counts as told; a report of success or a mail of the simulator that cannot be made
delays nothing.

Not on the hot path: a message that is delivered, and of whose delivery nobody wants to hear by mail, does not
come here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from relay.base.events import Change
from relay.base.feedback import BounceClass
from relay.base.message import Message, Recipient
from relay.base.outcome import Deferred, Delivered, Failed
from relay.base.simulator import ANSWERING, mailbox_of
from relay.verdict.delay import DelayNotices, hears_of_delay, is_late
from relay.verdict.details import Setting, bounce_event, delay_event, kin
from relay.verdict.hearing import hears_of_failure
from relay.verdict.outcome_class import class_of

log = logging.getLogger(__name__)


class Bounces(Protocol):
    """Makes the message that tells the sender."""

    def make(
        self,
        message: Message,
        failures: list[tuple[Recipient, Failed | Deferred]],
        content: bytes | Path | None,
        classes: Sequence[BounceClass] = (),
    ) -> Change: ...
    def make_success(
        self, message: Message, served: list[tuple[Recipient, Delivered]], content: bytes | Path | None
    ) -> Change: ...
    def make_delay(
        self, message: Message, waiting: list[tuple[Recipient, Deferred]], content: bytes | Path | None
    ) -> Change: ...


class Answers(Protocol):
    """Makes what the mailboxes of the simulator send back."""

    def make(self, message: Message, recipient: Recipient, content: bytes | Path | None) -> Change: ...


class Telling:
    """Makes what is told. ``is_forwarding(account, identity)`` is the switch of email feedback forwarding;
    ``answers`` are those of the simulator, None where there is none."""

    def __init__(self, bounces: Bounces, hostname: str, notices: DelayNotices) -> None:
        self.notices = notices
        self.is_forwarding: Callable[[int, str], bool] = _always
        self.answers: Answers | None = None
        self._bounces = bounces
        self._hostname = hostname

    def tells_failure(self, message: Message, recipient: Recipient) -> bool:
        """The sender hears by mail if the recipient fails."""
        return bool(message.sender) and hears_of_failure(recipient, self._forwards(message))

    def tells_delay(self, message: Message, recipient: Recipient, now: float) -> bool:
        """The sender hears by mail that the recipient waits, now."""
        return is_late(message, recipient, now, self.notices) and hears_of_delay(
            message, recipient, now, self.notices, self._forwards(message)
        )

    def answers_to(self, message: Message, recipient: Recipient) -> bool:
        """A mailbox of the simulator that took the message sends something back. The relay's own mail gets no
        answer, or it would never end."""
        return (
            self.answers is not None
            and message.account_id != 0
            and mailbox_of(recipient.address) in ANSWERING
        )

    def _forwards(self, message: Message) -> bool:
        return not message.identity or self.is_forwarding(message.account_id, message.identity)

    def failures(
        self,
        change: Change,
        message: Message,
        failures: list[tuple[Recipient, Failed | Deferred]],
        content: bytes | Path | None,
        now: float,
        is_simulated: bool = False,
    ) -> bool:
        """The bounce for those whose sender wants it, and an event for each, those that are alike together.
        ``failures`` are all of the attempt."""
        is_alone = len(failures) == 1
        judged = [(r, o, class_of(o, message, is_alone)) for r, o in failures]
        told = [one for one in judged if self.tells_failure(message, one[0])]
        bounce_id = ""
        if told:
            pairs, classes = [(r, o) for r, o, _ in told], [found for _, _, found in told]
            try:
                bounce = self._bounces.make(message, pairs, content, classes)
            except Exception:
                log.exception("bounce could not be made; tried again later", extra={"id": message.id})
                return False
            change.stored += bounce.stored
            change.events += bounce.events
            bounce_id = bounce.stored[-1].id
        setting = Setting(message, now, self._hostname, is_simulated)
        for recipient, outcome, found in sorted(judged, key=lambda one: kin(one[0], one[2])):
            change.events.append(bounce_event(setting, recipient, outcome, found, bounce_id))
        return True

    def delays(
        self,
        change: Change,
        message: Message,
        waiting: list[tuple[Recipient, Deferred]],
        content: bytes | Path | None,
        now: float,
    ) -> None:
        """One event for each of ``waiting``, and one notice for those whose sender wants it. If the notice
        cannot be made, nobody counts as told."""
        hear = [(r, o) for r, o in waiting if self.tells_delay(message, r, now)]
        notice = Change()
        if hear:
            try:
                notice = self._bounces.make_delay(message, hear, content)
            except Exception:
                log.exception("notice of delay could not be made; tried again", extra={"id": message.id})
                return
        change.stored += notice.stored
        change.events += notice.events
        setting = Setting(message, now, self._hostname)
        for recipient, outcome in waiting:
            recipient.is_told = True
            change.told.append((message.key, recipient.number))
            notice_id = notice.stored[-1].id if notice.stored and (recipient, outcome) in hear else ""
            change.events.append(delay_event(setting, recipient, outcome, notice_id))

    def success(
        self,
        change: Change,
        message: Message,
        served: list[tuple[Recipient, Delivered]],
        content: bytes | Path | None,
    ) -> None:
        """What the sender asked for with NOTIFY=SUCCESS. If it cannot be made, the delivery stands."""
        try:
            report = self._bounces.make_success(message, served, content)
        except Exception:
            log.exception("report of success could not be made", extra={"id": message.id})
            return
        change.stored += report.stored
        change.events += report.events

    def answered(
        self, change: Change, message: Message, recipient: Recipient, content: bytes | Path | None
    ) -> None:
        """What a mailbox of the simulator sends back. If it cannot be made, the delivery stands."""
        assert self.answers is not None
        try:
            answer = self.answers.make(message, recipient, content)
        except Exception:
            log.exception("no answer from the simulator", extra={"id": message.id})
            return
        change.stored += answer.stored
        change.events += answer.events


def _always(account_id: int, identity: str) -> bool:
    return True
