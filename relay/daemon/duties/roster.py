"""What worker 0 looks after, joined: DKIM records, proofs of identities, MAIL FROM domains, MTA-STS policies,
reports on TLS.

Part of the wiring, in a file of its own. The settings of [verification] are those of the start; ``config`` is
asked anew for what a reload changes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from pathlib import Path
from random import random

from relay.base.clock import Clock
from relay.daemon.duties.dkim_watch import DkimDuty
from relay.daemon.duties.identity_watch import IdentityWatch
from relay.daemon.duties.mail_from_duty import MailFromDuty
from relay.daemon.duties.sts_duty import StsDuty
from relay.daemon.duties.tls_report_duty import TlsReportDuty
from relay.daemon.duties.watch import Duty
from relay.daemon.public import PATH
from relay.daemon.settings.config import Config
from relay.daemon.translate import dkim_pace, return_path_host, tls_reporter, verification_settings
from relay.daemon.worker.notices import Notices
from relay.daemon.worker.outbound import Outbound
from relay.directory.mail_from_life import LONGEST_WAIT_S, Times
from relay.directory.records import Account
from relay.directory.store import Directory
from relay.directory.verification import Standing
from relay.spool import views
from relay.transport.report_post import post
from relay.transport.resolve import Resolver


def duties(
    *,
    config: Callable[[], Config],
    directory: Directory,
    resolver: Resolver,
    notices: Notices,
    account: Callable[[int], Account | None],
    clock: Clock,
    outbound: Outbound,
) -> list[Duty]:
    """The duties, for one ``Watch``."""
    verification = config().verification

    def link(standing: Standing, expires_at: float) -> str:
        """The URL that proves an address; "" while there is no page that it could lead to."""
        url = verification.url.rstrip("/")
        return f"{url}{PATH}{directory.life.make_link(standing, expires_at)}" if url else ""

    identities = IdentityWatch(
        life=directory.life,
        dns=resolver,
        notices=notices,
        account=account,
        link=link,
        settings=verification_settings(verification),
        prefix=verification.record_prefix,
        clock=clock,
        random=random,
    )
    every_s = min(verification.check_every, LONGEST_WAIT_S)
    times = Times(verification.pending_for, verification.warned_for, every_s)
    host = return_path_host(config())
    more: list[Duty] = []
    if config().delivery.mta_sts:
        more.append(StsDuty(outbound.sts, clock))
    if config().tls_reports.enabled:
        more.append(
            TlsReportDuty(
                records=outbound.tls_records,
                names=resolver,
                mail=notices,
                post=partial(post, outbound.https),
                come_from=lambda: tls_reporter(config()),
                spread_s=config().tls_reports.spread,
                clock=clock,
                random=random,
            )
        )
    return [
        # DKIM first: what it finds proves a domain, too.
        DkimDuty(
            directory.dkim,
            resolver,
            notices,
            clock,
            lambda: dkim_pace(config()),
            lambda: config().signing.service_domain,
            lambda: _oldest_arrival(config().spool.path),
        ),
        identities,
        MailFromDuty(directory.mail_froms, resolver, notices, clock, host, times),
        *more,
    ]


def _oldest_arrival(spool: Path) -> float:
    """When the oldest message that waits arrived, whichever worker has it. Raises SpoolError."""
    oldest = next(views.list_messages(spool, limit=1), None)
    return inf if oldest is None else oldest.arrived_at
