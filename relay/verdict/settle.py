"""From the outcomes of an attempt to the one change that the spool writes.

Contract: ``judge`` returns a Change that settles or defers every recipient of the attempt, with its events,
its uncertain notes and what the sender is told (``telling``), all of which become one transaction: the
bounce, the report of success where NOTIFY=SUCCESS asked for it and the peer does not report itself, and the
notice of delay (``delay``), each for all recipients of the attempt together; and what the mailboxes of the
simulator send back, which thus is neither lost nor made twice by a crash. ``late`` makes the notice of delay
for recipients that wait without an attempt (parked on disk). It never waits.

Failure: if the bounce cannot be made (a bug of ours), the failed recipients are deferred instead; a failure
that no one is told about would be a lost message. Without its notice of delay a recipient waits as it would;
the next attempt, or the next look, makes it.

Cost on the hot path: one event and one log line per delivered recipient.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from relay.base.clock import Clock
from relay.base.control import add_to
from relay.base.events import Change, Deferral, Event, EventKind, Transcript, Uncertain
from relay.base.histogram import WAITS, Histogram
from relay.base.log import MessageLog
from relay.base.message import Attempt, Message, Recipient
from relay.base.outcome import Deferred, Delivered, Failed, Outcome, Reason
from relay.base.simulator import LANE as SIMULATOR
from relay.verdict.classify import Done, Schedule, Wait, classify, is_shutdown
from relay.verdict.delay import DelayNotices, is_late
from relay.verdict.details import describe
from relay.verdict.hearing import hears_of_success
from relay.verdict.telling import Bounces, Telling

_BOUNCE_RETRY_S = 300.0
_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


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
        hostname: str = "",
    ) -> None:
        """``hostname``: our own, which events name as the reporting MTA."""
        self.schedule = schedule
        self.telling = Telling(bounces, hostname, notices)
        self.delivered = 0
        self.deferred = 0
        self.failed = 0
        self.expired = 0
        self.reasons: dict[Reason, int] = dict.fromkeys(Reason, 0)
        self.delivery_seconds = Histogram(WAITS)  # since acceptance
        self._clock = clock
        self._log = message_log
        self._dice = dice

    def wants_content(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> bool:
        """Something will be made that quotes the header of the message, or answers it."""
        message = attempt.message
        if attempt.lane == SIMULATOR and any(
            self.telling.answers_to(message, one) and isinstance(outcomes[one.number], Delivered)
            for one in attempt.recipients
        ):
            return True
        if not message.sender:
            return False
        if any(hears_of_success(one, outcomes[one.number]) for one in attempt.recipients if one.notify):
            return True
        now = self._clock.now()
        return any([self._hears_now(message, r, outcomes[r.number], now) for r in attempt.recipients])

    def late_since(self, now: float) -> float:
        """What arrived by then, and waits, is late; 0: nothing is for its age alone."""
        after_s = self.telling.notices.after_s
        return now - after_s if after_s else 0.0

    def wants_content_of_late(self, message: Message, recipients: list[Recipient]) -> bool:
        """As ``wants_content``, for ``late``."""
        now = self._clock.now()
        return any(self.telling.tells_delay(message, one, now) for one in recipients)

    def _hears_now(self, message: Message, recipient: Recipient, outcome: Outcome, now: float) -> bool:
        """Whether there is a failure or a delay to tell."""
        if isinstance(outcome, Delivered):
            return False
        if isinstance(outcome, Failed):
            return self.telling.tells_failure(message, recipient)
        if is_shutdown(outcome):
            return False
        if now >= message.gives_up_at:
            return self.telling.tells_failure(message, recipient)
        return self.telling.tells_delay(message, recipient, now)

    def judge(self, attempt: Attempt, outcomes: dict[int, Outcome], content: bytes | Path | None) -> Change:
        """The change that these outcomes mean; see the module."""
        message, now, change = attempt.message, self._clock.now(), Change()
        is_simulated = attempt.lane == SIMULATOR
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
                if recipient.notify and hears_of_success(recipient, outcome):
                    served.append((recipient, outcome))
            elif isinstance(verdict, Wait):
                assert isinstance(outcome, Deferred)
                self._wait(change, message, recipient, outcome, verdict)
                said = attempt.transcript or outcome.dialogue
                if said:
                    change.transcripts.append(Transcript(message.key, recipient.number, now, said))
                if is_late(message, recipient, now, self.telling.notices) and not is_shutdown(outcome):
                    waiting.append((recipient, outcome))
            else:
                assert not isinstance(outcome, Delivered)
                failures.append((recipient, outcome))
        if failures:
            self._give_up(change, message, failures, content, now, is_simulated)
        if served and message.sender:
            self.telling.success(change, message, served, content)
        if waiting:
            self.telling.delays(change, message, waiting, content, now)
        if is_simulated:
            for recipient in attempt.recipients:
                if isinstance(outcomes[recipient.number], Delivered) and self.telling.answers_to(
                    message, recipient
                ):
                    self.telling.answered(change, message, recipient, content)
        return change

    def late(
        self, message: Message, waiting: list[tuple[Recipient, Deferred]], content: bytes | Path | None
    ) -> Change:
        """The change that tells the sender of those of ``waiting`` that have waited for too long, each with
        why. It moves nobody; without anyone to tell it is empty."""
        change, now = Change(), self._clock.now()
        late = [pair for pair in waiting if is_late(message, pair[0], now, self.telling.notices)]
        if late:
            self.telling.delays(change, message, late, content, now)
        return change

    def _done(
        self, change: Change, message: Message, recipient: Recipient, outcome: Delivered, now: float
    ) -> None:
        self.delivered += 1
        change.settled.append((message.key, recipient.number))
        reply, peer, seconds = str(outcome.reply), outcome.peer, now - message.arrived_at
        self.delivery_seconds.observe(seconds)
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
        is_simulated: bool,
    ) -> None:
        """Failed or expired recipients: settled, their events, and the bounce, in the same change."""
        before = len(change.stored)
        if not self.telling.failures(change, message, failures, content, now, is_simulated):
            for recipient, outcome in failures:
                attempts, due_at = recipient.attempts + 1, now + _BOUNCE_RETRY_S
                change.deferred.append(
                    Deferral(
                        message.key, recipient.number, attempts, due_at, describe(outcome), recipient.is_told
                    )
                )
            return
        bounce_id = change.stored[-1].id if len(change.stored) > before else ""
        for recipient, outcome in failures:
            is_expired = isinstance(outcome, Deferred)
            self.failed += 1
            self.expired += is_expired
            self.reasons[Reason.EXPIRED if is_expired else outcome.reason] += 1
            change.settled.append((message.key, recipient.number))
            if self._log.is_on:
                self._log(
                    "expired" if is_expired else "failed", message.id, recipient=recipient.address,
                    scope=outcome.scope.value, reason=outcome.reason.value, host=outcome.peer.host,
                    reply=describe(outcome), bounce=bounce_id,
                )  # fmt: skip
