"""From the outcomes of an attempt to the one change that the spool writes.

Contract: ``judge`` returns a Change that settles or defers every recipient of the attempt, with its events,
its uncertain notes and what the sender is told, all of which become one transaction: the bounce, and the
report of success where NOTIFY=SUCCESS asked for it and the peer does not report itself. It never waits.

Failure: if the bounce cannot be made (a bug of ours), the failed recipients are deferred instead; a failure
that no one is told about would be a lost message.

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
from relay.base.events import Change, Deferral, Event, EventKind, Uncertain
from relay.base.log import MessageLog
from relay.base.message import Attempt, Message, Recipient
from relay.base.outcome import Deferred, Delivered, Failed, Onward, Outcome, Reason
from relay.verdict.classify import Done, Schedule, Wait, classify

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


class Settler:
    """Judges attempts. Counters are read at scrape."""

    def __init__(
        self,
        schedule: Schedule,
        bounces: Bounces,
        clock: Clock,
        message_log: MessageLog,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self.schedule = schedule
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
        is_late = self._clock.now() >= attempt.message.gives_up_at
        return any(isinstance(o, Failed) or (is_late and isinstance(o, Deferred)) for o in outcomes.values())

    def judge(self, attempt: Attempt, outcomes: dict[int, Outcome], content: bytes | Path | None) -> Change:
        """The change that these outcomes mean; see the module."""
        message, now, change = attempt.message, self._clock.now(), Change()
        failures: list[tuple[Recipient, Failed | Deferred]] = []
        served: list[tuple[Recipient, Delivered]] = []  # and the sender is to hear it from us
        for recipient in attempt.recipients:
            outcome = outcomes[recipient.number]
            if isinstance(outcome, Deferred) and outcome.reason is Reason.REPLY_LOST:
                change.uncertain.append(Uncertain(message.id, recipient.address, now, "reply-lost"))
            verdict = classify(outcome, message, recipient, now, self.schedule, self._dice())
            if isinstance(verdict, Done):
                assert isinstance(outcome, Delivered)
                self._done(change, message, recipient, outcome, now)
                if recipient.notify and _is_to_report(recipient, outcome):
                    served.append((recipient, outcome))
            elif isinstance(verdict, Wait):
                assert isinstance(outcome, Deferred)
                self._wait(change, message, recipient, outcome, verdict)
            else:
                assert not isinstance(outcome, Delivered)
                failures.append((recipient, outcome))
        if failures:
            self._give_up(change, message, failures, content, now)
        if served and message.sender:
            self._report_success(change, message, served, content)
        return change

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
        told = [(r, o) for r, o in failures if not r.notify or "FAILURE" in r.notify]  # RFC 3461 4.1
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
