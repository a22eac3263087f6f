"""The duty of the watch that tells receivers how TLS fared (RFC 8460): a report for each domain and day.

Contract: when a day has ended (UTC), each domain that sessions were counted for has a report due, at a moment
spread over the hours after midnight. Then its TXT record is asked: no record, no report, and the counts go.
A report is made once it is due, and given to each address of the record: mail through the spool, signed for
the service domain, and not held up by the receiver's own TLS policies; HTTPS directly. What is handed over is
noted; what could not be is tried again, ever more rarely, for about a day.

After a crash a report may be sent twice, with the same id; none is lost but by a receiver that takes none for
a day. Only one worker does this, with the counts of all.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from relay.base.clock import Clock
from relay.base.errors import SpoolError
from relay.base.message import TlsWish
from relay.base.tls_session import TlsSession
from relay.codec import tls_report_mail
from relay.codec.tls_report import DAY_S, Reporter, mail_address, parse_record, report_json
from relay.transport.answers import Answer, Status
from relay.transport.tls_records import ReportDue

log = logging.getLogger(__name__)

SETTLE_S = 300.0  # after midnight: every worker has handed over its counts of the day before
_PLAN_S = 600.0
_LOOK_S = 10.0
_CLAIM_S = 3600.0
RETRY_S = (300.0, 900.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 28_800.0)


class Records(Protocol):
    """Counts, and what is due (``transport.tls_records.TlsRecords``)."""

    def sessions(self, day: int, domain: str) -> list[tuple[TlsSession, int]]:
        """What was counted."""
        ...

    def plan(self, today: int, due_at: Callable[[], float]) -> int:
        """Make reports due for all days before ``today``."""
        ...

    def claim(self, now: float, limit: int, again_at: float) -> Sequence[ReportDue]:
        """Reports that are due."""
        ...

    def settle(self, report: ReportDue, done: Sequence[str], due_at: float | None) -> None:
        """Where a report has gone."""
        ...


class Names(Protocol):
    """The question to the DNS."""

    async def txt(self, name: str, *, is_fresh: bool = False) -> Answer:
        """TXT records of a name."""
        ...


class Mail(Protocol):
    """Mail of the relay's own (``daemon.notices``)."""

    async def hand_in(self, address: str, content: bytes, tls: TlsWish = TlsWish.NONE) -> str:
        """Send content. Raises ValueError, SpoolError or Refused."""
        ...


@dataclass(frozen=True, slots=True)
class From:
    """Whom reports come from: the words in them, the mail's From, and whether a key of ours signs it."""

    reporter: Reporter
    sender: str
    is_signed: bool = True


class TlsReportDuty:
    """See above; ``post(uri, compressed)`` returns "" or why the server did not take it."""

    name = "tls-reports"

    def __init__(
        self,
        *,
        records: Records,
        names: Names,
        mail: Mail,
        post: Callable[[str, bytes], Awaitable[str]],
        come_from: Callable[[], From],
        spread_s: float,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._records = records
        self._names = names
        self._mail = mail
        self._post = post
        self._come_from = come_from
        self._spread_s = spread_s
        self._clock = clock
        self._random = random
        self._plan_at = 0.0
        self._look_at = 0.0

    def claim(self, limit: int) -> Sequence[ReportDue]:
        """Reports that are due; blocking."""
        now = self._clock.now()
        if now < self._look_at:
            return []
        self._look_at = now + _LOOK_S
        try:
            if now >= self._plan_at:
                self._plan_at = now + _PLAN_S
                new = self._records.plan(
                    int((now - SETTLE_S) // DAY_S), lambda: now + self._spread_s * self._random()
                )
                if new:
                    log.info("TLS reports are due", extra={"domains": new})
            found = self._records.claim(now, limit, now + _CLAIM_S)
        except SpoolError as fault:
            log.warning("TLS reports: nothing could be claimed", extra={"why": str(fault)})
            return []
        if len(found) == limit:
            self._look_at = now
        return found

    async def check(self, item: Any) -> None:  # noqa: ANN401
        """Make one report, and hand it over."""
        report: ReportDue = item
        answer = await self._names.txt(f"_smtp._tls.{report.domain}", is_fresh=True)
        if answer.status is Status.TEMPORARY:
            await self._settle(report, list(report.done), is_done=False)
            return
        come_from = self._come_from()
        addresses = parse_record(answer.texts)
        if not come_from.is_signed and any(map(_is_mail, addresses)):
            addresses = tuple(one for one in addresses if not _is_mail(one))  # it would be ignored (5.3)
            log.info("TLS report not mailed: no service key signs it", extra={"domain": report.domain})
        open_ = [one for one in addresses if one not in report.done]
        done = list(report.done)
        if open_:
            sessions = await asyncio.to_thread(self._records.sessions, report.day, report.domain)
            body = report_json(report.day, report.domain, sessions, come_from.reporter)
            compressed = gzip.compress(body, mtime=0)
            for uri in open_:
                why = await self._hand_over(report, uri, compressed, come_from)
                extra = {"domain": report.domain, "day": report.day, "to": uri}
                if why:
                    log.warning("TLS report not taken", extra={**extra, "why": why, "tries": report.tries})
                else:
                    done.append(uri)
                    log.info("TLS report sent", extra=extra)
        await self._settle(report, done, is_done=all(one in done for one in addresses))

    async def _hand_over(self, report: ReportDue, uri: str, compressed: bytes, come_from: From) -> str:
        """ "" or why not."""
        if not _is_mail(uri):
            return await self._post(uri, compressed)
        try:
            address = mail_address(uri)
            content = tls_report_mail.compose(
                come_from.sender, address, report.day, report.domain, compressed, come_from.reporter
            )
            await self._mail.hand_in(address, content, TlsWish.OPTIONAL)
        except ValueError as fault:
            return str(fault)
        return ""

    async def _settle(self, report: ReportDue, done: Sequence[str], *, is_done: bool) -> None:
        due_at = None
        if not is_done and report.tries < len(RETRY_S):
            due_at = self._clock.now() + RETRY_S[report.tries]
        await asyncio.to_thread(self._records.settle, report, done, due_at)


def _is_mail(uri: str) -> bool:
    return not uri.lower().startswith("https:")
