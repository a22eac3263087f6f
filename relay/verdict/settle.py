"""From the outcomes of an attempt to the one change that the spool writes.

Contract: ``judge`` returns a Change that settles or defers every recipient of the attempt, with its events,
its uncertain notes and what the sender is told, all of which become one transaction: the bounce, the report
of success where NOTIFY=SUCCESS asked for it and the peer does not report itself, and the notice of delay
(``delay``), each for all recipients of the attempt together. ``late`` makes the notice of delay for
recipients that wait without an attempt (parked on disk). It never waits.

Failure: if the bounce cannot be made (a bug of ours), the failed recipients are deferred instead; a failure
that no one is told about would be a lost message. Without its notice of delay a recipient waits as it would;
the next attempt, or the next look, makes it.

Cost on the hot path: one event and one log line per delivered recipient.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from relay.base.clock import Clock
from relay.base.control import add_to
from relay.base.events import Change, Deferral, Event, EventKind, Transcript, Uncertain
from relay.base.log import MessageLog
from relay.base.message import Attempt, Message, Recipient
from relay.base.outcome import Deferred, Delivered, Failed, Onward, Outcome, Reason
from relay.codec.status import status_of
from relay.verdict.classify import Done, Schedule, Wait, classify, is_shutdown
from relay.verdict.delay import DelayNotices, hears_of_delay, is_late

log = logging.getLogger(__name__)

_BOUNCE_RETRY_S = 300.0
_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Bounces(Protocol):
    """Makes the message that tells the sender."""

    def make(
        self,
        message: Message,
        failures: list[tuple[Recipient, Failed | Deferred]],
        content: bytes | Path | None,
    ) -> Change: ...
    def make_success(
        self, message: Message, served: list[tuple[Recipient, Delivered]], content: bytes | Path | None
    ) -> Change: ...
    def make_delay(
        self, message: Message, waiting: list[tuple[Recipient, Deferred]], content: bytes | Path | None
    ) -> Change: ...


class Settler:
    """Judges attempts. Counters are read at scrape."""

    def __init__(
        self,
        schedule: Schedule,
        bounces: Bounces,
        clock: Clock,
        message_log: MessageLog,
        dice: Callable[[], float] = random.random,
        notices: DelayNotices = DelayNotices(),  # noqa: B008 (frozen)
    ) -> None:
        self.schedule = schedule
        self.notices = notices
        self.delivered = 0
        self.deferred = 0
        self.failed = 0
        self.expired = 0
        self.reasons: dict[Reason, int] = dict.fromkeys(Reason, 0)
        self.delivery_seconds = 0.0
        self._bounces = bounces
        self._clock = clock
        self._log = message_log
        self._dice = dice

    def wants_content(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> bool:
        """A bounce or a report of success will be made, which quotes the header of the message."""
        if not attempt.message.sender:
            return False
        if any(_is_to_report(one, outcomes[one.number]) for one in attempt.recipients if one.notify):
            return True
        now = self._clock.now()
        return any([self._hears_now(attempt.message, r, outcomes[r.number], now) for r in attempt.recipients])

    def late_since(self, now: float) -> float:
        """What arrived by then, and waits, is late; 0: nothing is for its age alone."""
        return now - self.notices.after_s if self.notices.after_s else 0.0

    def wants_content_of_late(self, message: Message, recipients: list[Recipient]) -> bool:
        """As ``wants_content``, for ``late``."""
        now = self._clock.now()
        return any(
            is_late(message, one, now, self.notices) and hears_of_delay(message, one, now, self.notices)
            for one in recipients
        )

    def _hears_now(self, message: Message, recipient: Recipient, outcome: Outcome, now: float) -> bool:
        """Whether there is a failure or a delay to tell."""
        if isinstance(outcome, Delivered):
            return False
        if isinstance(outcome, Failed):
            return _hears_of_failure(recipient)
        if is_shutdown(outcome):
            return False
        if now >= message.gives_up_at:
            return _hears_of_failure(recipient)
        return is_late(message, recipient, now, self.notices) and hears_of_delay(
            message, recipient, now, self.notices
        )

    def judge(self, attempt: Attempt, outcomes: dict[int, Outcome], content: bytes | Path | None) -> Change:
        """The change that these outcomes mean; see the module."""
        message, now, change = attempt.message, self._clock.now(), Change()
        failures: list[tuple[Recipient, Failed | Deferred]] = []
        served: list[tuple[Recipient, Delivered]] = []  # and the sender is to hear it from us
        waiting: list[tuple[Recipient, Deferred]] = []  # for so long that the sender is to hear of it
        for recipient in attempt.recipients:
            outcome = outcomes[recipient.number]
            if isinstance(outcome, Deferred) and outcome.reason is Reason.REPLY_LOST:
                change.uncertain.append(Uncertain(message.id, recipient.address, now, "reply-lost"))
            verdict = classify(outcome, message, recipient, now, self.schedule, self._dice())
            if recipient.attempts and not isinstance(verdict, Wait):
                change.tried_before.append((message.key, recipient.number))
            if isinstance(verdict, Done):
                assert isinstance(outcome, Delivered)
                self._done(change, message, recipient, outcome, now)
                if recipient.notify and _is_to_report(recipient, outcome):
                    served.append((recipient, outcome))
            elif isinstance(verdict, Wait):
                assert isinstance(outcome, Deferred)
                self._wait(change, message, recipient, outcome, verdict)
                said = attempt.transcript or outcome.dialogue
                if said:
                    change.transcripts.append(Transcript(message.key, recipient.number, now, said))
                if is_late(message, recipient, now, self.notices) and not is_shutdown(outcome):
                    waiting.append((recipient, outcome))
            else:
                assert not isinstance(outcome, Delivered)
                failures.append((recipient, outcome))
        if failures:
            self._give_up(change, message, failures, content, now)
        if served and message.sender:
            self._report_success(change, message, served, content)
        if waiting:
            self._report_delay(change, message, waiting, content, now)
        return change

    def late(
        self, message: Message, waiting: list[tuple[Recipient, Deferred]], content: bytes | Path | None
    ) -> Change:
        """The change that tells the sender of those of ``waiting`` that have waited for too long, each with
        why. It moves nobody; without anyone to tell it is empty."""
        change, now = Change(), self._clock.now()
        late = [pair for pair in waiting if is_late(message, pair[0], now, self.notices)]
        if late:
            self._report_delay(change, message, late, content, now)
        return change

    def _report_delay(
        self,
        change: Change,
        message: Message,
        waiting: list[tuple[Recipient, Deferred]],
        content: bytes | Path | None,
        now: float,
    ) -> None:
        """One event for each recipient, and one notice for those whose sender wants it. If the notice cannot
        be made, nobody counts as told."""
        hear = [(r, o) for r, o in waiting if hears_of_delay(message, r, now, self.notices)]
        notice = Change()
        if hear:
            try:
                notice = self._bounces.make_delay(message, hear, content)
            except Exception:
                log.exception("notice of delay could not be made; tried again", extra={"id": message.id})
                return
        change.stored += notice.stored
        change.events += notice.events
        for recipient, outcome in waiting:
            recipient.is_told = True
            change.told.append((message.key, recipient.number))
            detail = {
                "recipient": recipient.address,
                "reason": outcome.reason.value,
                "status": status_of(outcome),
                "reply": describe(outcome),
                "expires": round(message.gives_up_at),
                "notice": notice.stored[-1].id if notice.stored and (recipient, outcome) in hear else "",
            }
            text = add_to(_text(detail), message.control)
            change.events.append(Event(now, EventKind.DELIVERY_DELAY, message.id, message.account_id, text))

    def _report_success(
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

    def _done(
        self, change: Change, message: Message, recipient: Recipient, outcome: Delivered, now: float
    ) -> None:
        self.delivered += 1
        self.delivery_seconds += now - message.arrived_at
        change.settled.append((message.key, recipient.number))
        reply, peer, seconds = str(outcome.reply), outcome.peer, now - message.arrived_at
        detail = _text(
            {
                "recipient": recipient.address,
                "reply": reply,
                "host": peer.host,
                "address": peer.address,
                "tls": peer.tls,
                "milliseconds": round(seconds * 1000),
            }
        )
        detail = add_to(detail, message.control)
        change.events.append(Event(now, EventKind.DELIVERY, message.id, message.account_id, detail))
        if self._log.is_on:
            self._log(
                "delivered", message.id, recipient=recipient.address, host=peer.host, address=peer.address,
                tls=peer.tls, delay_s=round(seconds, 3), reply=reply,
            )  # fmt: skip

    def _wait(
        self, change: Change, message: Message, recipient: Recipient, outcome: Deferred, verdict: Wait
    ) -> None:
        self.deferred += 1
        self.reasons[outcome.reason] += 1
        said = describe(outcome)
        change.deferred.append(
            Deferral(message.key, recipient.number, verdict.attempts, verdict.due_at, said, recipient.is_told)
        )
        if self._log.is_on:
            self._log(
                "deferred", message.id, recipient=recipient.address, attempts=verdict.attempts,
                due_at=round(verdict.due_at, 3), scope=outcome.scope.value, reason=outcome.reason.value,
                host=outcome.peer.host, reply=said,
            )  # fmt: skip

    def _give_up(
        self,
        change: Change,
        message: Message,
        failures: list[tuple[Recipient, Failed | Deferred]],
        content: bytes | Path | None,
        now: float,
    ) -> None:
        """Failed or expired recipients: settled, their event, and the bounce, in the same change."""
        told = [(r, o) for r, o in failures if _hears_of_failure(r)]
        if message.sender and told:
            try:
                bounce = self._bounces.make(message, told, content)
            except Exception:
                log.exception("bounce could not be made; tried again later", extra={"id": message.id})
                for recipient, outcome in failures:
                    due_at = now + _BOUNCE_RETRY_S
                    change.deferred.append(
                        Deferral(
                            message.key,
                            recipient.number,
                            recipient.attempts + 1,
                            due_at,
                            describe(outcome),
                            recipient.is_told,
                        )
                    )
                return
            change.stored += bounce.stored
            change.events += bounce.events
        for recipient, outcome in failures:
            is_expired = isinstance(outcome, Deferred)
            self.failed += 1
            self.expired += is_expired
            self.reasons[Reason.EXPIRED if is_expired else outcome.reason] += 1
            change.settled.append((message.key, recipient.number))
            said = describe(outcome)
            detail = {
                "recipient": recipient.address,
                "reason": outcome.reason.value,
                "scope": outcome.scope.value,
                "reply": said,
                "expired": is_expired,
                "bounce": change.stored[-1].id if change.stored else "",
            }
            text = add_to(_text(detail), message.control)
            change.events.append(Event(now, EventKind.BOUNCE, message.id, message.account_id, text))
            if self._log.is_on:
                self._log(
                    "expired" if is_expired else "failed", message.id, recipient=recipient.address,
                    scope=outcome.scope.value, reason=outcome.reason.value, host=outcome.peer.host,
                    reply=said, bounce=detail["bounce"],
                )  # fmt: skip


def _hears_of_failure(recipient: Recipient) -> bool:
    """RFC 3461 4.1: unless the sender said that it does not want to."""
    return not recipient.notify or "FAILURE" in recipient.notify


def _is_to_report(recipient: Recipient, outcome: Outcome) -> bool:
    """Whether we owe the sender a report of success (RFC 3461 5.2.2, 5.2.3)."""
    return (
        isinstance(outcome, Delivered)
        and outcome.onward is not Onward.PROMISED
        and "SUCCESS" in recipient.notify
    )


def describe(outcome: Deferred | Failed) -> str:
    """The peer's reply, or else the reason and its detail, as one line for people."""
    text = str(outcome.reply) if outcome.reply is not None else f"{outcome.reason}: {outcome.detail}"
    return " ".join(text.split())[:500]
