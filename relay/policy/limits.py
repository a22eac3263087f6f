"""The limits of an account as a worker keeps them: from the lease in hand, else by asking the ledger.

Contract: ``take`` returns None when the message passes at once, or an awaitable while the ledger is asked;
then the admission says what the account's limits made of it. Refused is raised with SES's 454 where the
account wants that, and with 451 where the ledger cannot be asked: no one can say that the limits allow it.
Accounts without limits, and the relay itself, are never counted. Mail to the simulator counts against the
rate only.

One request at a time is under way for each account; messages that come meanwhile wait in order and go with
the next. After a refusal nobody is asked for what cannot have come free yet, nor longer than a tenth of a
second. The next slice is asked for when half of one, or half of the lease's time, is left, so that hardly any
message waits; 0.1 s after the last slice the lease ends, and what is left of it goes back.

After a crash: what was in hand counts as sent. Cost on the hot path: 0.4 microseconds a message from a
lease in hand, 0.2 for an account without limits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from heapq import nlargest
from typing import Any, Protocol, TypeAlias

from relay.base.admission import Admission
from relay.base.clock import Clock
from relay.base.errors import Refused, RelayError
from relay.base.message import Recipient
from relay.base.reply import Reply
from relay.base.tasks import Tasks
from relay.directory.records import Account
from relay.policy.lease import LEASE_S, Lease
from relay.policy.ledger import LATE_S, Bound, Minutes, Slice, Verdict, Way

log = logging.getLogger(__name__)

RATE_EXCEEDED = Reply(454, "Throttling failure: Maximum sending rate exceeded", "4.7.1")
QUOTA_EXCEEDED = Reply(454, "Throttling failure: Daily message quota exceeded", "4.7.1")
UNKNOWN = Reply(451, "Temporary service failure", "4.3.0")
_REPLIES = {Bound.RATE: RATE_EXCEEDED, Bound.QUOTA: QUOTA_EXCEEDED}
_TEXTS = {Bound.RATE: "maximum sending rate", Bound.QUOTA: "daily message quota"}

_ASK_S = LATE_S - 2.0  # below LATE_S by more than a lease lives
_NEWS_S = 0.1  # a refusal is not believed for longer: limits change, leases come back

Waiter: TypeAlias = tuple[int, int, "asyncio.Future[Verdict]"]


class Asking(Protocol):
    """The way to the ledger: ``lease``, ``end lease``, ``give back``. Raises RelayError if there is none."""

    def __call__(self, what: str, timeout_s: float, **fields: Any) -> Awaitable[Any]:  # noqa: ANN401
        """The ledger's answer."""
        ...


class _Account:
    """What a worker knows of one account's limits."""

    __slots__ = (
        "account",
        "asked_at",
        "is_asking",
        "is_ending",
        "lease",
        "refused",
        "refused_until",
        "throttled",
        "waiters",
    )

    def __init__(self, account: Account) -> None:
        self.account = account
        self.lease = Lease()
        self.waiters: list[Waiter] = []
        self.is_asking = False
        self.is_ending = False  # a timer runs for the end of the lease
        self.refused_until = 0.0
        self.refused = Bound.RATE
        self.asked_at = 0.0
        self.throttled = {"refused": 0, "delayed": 0, "held": 0}  # messages


class LeasedLimits:
    """All accounts of one worker."""

    def __init__(
        self,
        ask: Asking,
        clock: Clock,
        tasks: Tasks,
        max_age_s: Callable[[], float],
        simulator_domain: str = "",
    ) -> None:
        """``max_age_s``: mail that would leave later than this is refused, not delayed."""
        self._ask = ask
        self._clock = clock
        self._tasks = tasks
        self._max_age_s = max_age_s
        self.simulator = simulator_domain  # in lower case; what goes there counts against the rate only
        self._accounts: dict[int, _Account] = {}
        self.refused = {"rate": 0, "quota": 0, "unknown": 0}
        self.delayed = 0
        self.held = 0
        self.asked = 0
        self.waited = 0

    @property
    def leases(self) -> int:
        """Accounts of which something is in hand."""
        return sum(not one.lease.is_empty for one in self._accounts.values())

    def accounts(self, most: int = 200) -> dict[str, dict[str, Any]]:
        """Those who asked last, by number: name, limits, and how many messages were throttled."""
        known = list(self._accounts.values())
        if len(known) > most:
            known = nlargest(most, known, key=lambda one: one.asked_at)
        return {
            str(one.account.id): {
                "name": one.account.name,
                "quota": one.account.max_24_hours,
                "rate": one.account.max_send_rate,
                "throttled": one.throttled.copy(),
            }
            for one in known
        }

    def take(
        self, account: Account, recipients: Sequence[Recipient], admission: Admission[Any]
    ) -> Awaitable[None] | None:
        """Count a message; see above. Raises Refused."""
        if account.max_send_rate < 0 and account.max_24_hours < 0:
            return None
        known = self._accounts.get(account.id)
        if known is None:
            known = self._accounts[account.id] = _Account(account)
        elif known.account is not account:
            self._take_over(known, account)
        tokens = len(recipients)
        if tokens == 1:
            quota = 0 if recipients[0].domain == self.simulator else 1
        else:
            quota = sum(one.domain != self.simulator for one in recipients)
        now = self._clock.monotonic()
        lease = known.lease
        if lease.spend(tokens, quota, now):
            admission.tokens, admission.quota, admission.minute = tokens, quota, lease.minute
            if (lease.tokens < lease.low or now >= lease.renew_at) and not known.is_asking:
                self._start_asking(known)
            return None
        if now < known.refused_until and (quota or known.refused is Bound.RATE):
            self._refuse(known, known.refused)
        return self._wait(known, tokens, quota, admission)

    def give_back(self, account_id: int, admission: Admission[Any]) -> None:
        """The message was not stored."""
        tokens, quota = admission.tokens, admission.quota
        admission.tokens = admission.quota = 0
        if tokens:
            self._tell("give back", account_id, tokens, [(admission.minute, quota)])

    async def end(self) -> None:
        """Give back all that is in hand; nothing is taken any more."""
        for known in self._accounts.values():
            if not known.lease.is_empty:
                await self._told("end lease", known.account.id, *known.lease.end())

    async def _wait(self, known: _Account, tokens: int, quota: int, admission: Admission[Any]) -> None:
        self.waited += 1
        verdict_to_come: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        known.waiters.append((tokens, quota, verdict_to_come))
        if not known.is_asking:
            self._start_asking(known)
        verdict = await verdict_to_come
        if verdict.way is Way.REFUSE:
            self._refuse(known, verdict.bound)
        if verdict.way is Way.HOLD:
            self.held += 1
            known.throttled["held"] += 1
            admission.is_held = True
            admission.note = f"held: the {_TEXTS[verdict.bound]} of the account is reached"
            return
        admission.tokens, admission.quota, admission.minute = tokens, quota, verdict.minute
        if verdict.way is Way.DELAY:
            self.delayed += 1
            known.throttled["delayed"] += 1
            admission.due_at = max(self._clock.now() + verdict.wait_s, admission.due_at)
            moment = datetime.fromtimestamp(admission.due_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            admission.note = f"delayed until {moment} by the {_TEXTS[verdict.bound]} of the account"

    def _refuse(self, known: _Account, bound: Bound) -> None:
        self.refused[bound.value] += 1
        known.throttled["refused"] += 1
        raise Refused(_REPLIES[bound], why=bound.value)

    def _take_over(self, known: _Account, account: Account) -> None:
        """A later snapshot's account: with other limits, what was got under the former ones goes back."""
        if _limits(known.account) != _limits(account):
            known.refused_until = known.lease.ends_at = 0.0  # the timer sees to it
        known.account = account

    def _start_asking(self, known: _Account) -> None:
        known.is_asking = True
        self._tasks.spawn(self._ask_on(known), "limits")

    async def _ask_on(self, known: _Account) -> None:
        """Ask for those who wait until none does."""
        waiters: list[Waiter] = []
        try:
            while True:
                waiters, known.waiters = known.waiters, []
                await self._ask_once(known, waiters)
                if not known.waiters:
                    return
        except Exception as error:
            is_ours = not isinstance(error, RelayError)
            log.warning("the ledger of limits cannot be asked", extra={"why": str(error)}, exc_info=is_ours)
            waiters, known.waiters = waiters + known.waiters, []
            self.refused["unknown"] += len(waiters)
            for _, _, future in waiters:
                if not future.done():
                    detail = f"the ledger of limits cannot be asked: {error}"
                    future.set_exception(Refused(UNKNOWN, detail, why="trouble"))
        finally:
            known.is_asking = False

    async def _ask_once(self, known: _Account, waiters: list[Waiter]) -> None:
        account, lease = known.account, known.lease
        back = lease.end() if waiters else (0, [])  # the ledger decides, so it must have all of it
        asked_at = known.asked_at = self._clock.monotonic()
        self.asked += 1
        answer = await self._ask(
            "lease",
            _ASK_S,
            account=account.id,
            limits=_limits(account),
            needs=[(tokens, quota) for tokens, quota, _ in waiters],
            back=back,
            in_hand=(lease.tokens, lease.quota),
            created_at=account.created_at,
            longest_s=self._max_age_s(),
        )
        now = self._clock.monotonic()
        if now - asked_at > _ASK_S + 1.0:
            raise RelayError("it answered too late")  # what it lent counts as spent
        verdicts = [Verdict(Way(way), Bound(bound), *rest) for way, bound, *rest in answer["verdicts"]]
        got = Slice(*answer["slice"])
        if got.tokens:
            if lease.tokens >= got.tokens:  # more than will be needed: what is old goes back
                self._tell("give back", account.id, *lease.end())
            lease.add(got, now)
            self._watch_end(known)
        for (tokens, quota, future), verdict in zip(waiters, verdicts, strict=True):
            if verdict.way is Way.REFUSE and verdict.wait_s > 0.0:
                known.refused, known.refused_until = verdict.bound, now + min(verdict.wait_s, _NEWS_S)
            if not future.done():
                future.set_result(verdict)
            elif verdict.way in (Way.ACCEPT, Way.DELAY):  # who waited for it has gone
                self._tell("give back", account.id, tokens, [(verdict.minute, quota)])

    def _watch_end(self, known: _Account) -> None:
        if not known.is_ending:
            known.is_ending = True
            asyncio.get_running_loop().call_later(LEASE_S, self._end_if_over, known)

    def _end_if_over(self, known: _Account) -> None:
        left_s = known.lease.ends_at - self._clock.monotonic()
        if (left_s > 0.0 or known.is_asking) and not known.lease.is_empty:
            asyncio.get_running_loop().call_later(max(left_s, LEASE_S / 4), self._end_if_over, known)
            return
        known.is_ending = False
        self._end_lease(known)

    def _end_lease(self, known: _Account) -> None:
        """Not while another slice is asked for: the ledger would take it for a part of what comes back."""
        if not known.lease.is_empty:
            self._tell("end lease", known.account.id, *known.lease.end())

    def _tell(self, what: str, account_id: int, tokens: int, minutes: Minutes) -> None:
        """What the ledger need not answer; if it is not heard, it counts as sent."""
        self._tasks.spawn(self._told(what, account_id, tokens, minutes), what)

    async def _told(self, what: str, account_id: int, tokens: int, minutes: Minutes) -> None:
        with suppress(RelayError):
            await self._ask(what, _ASK_S, account=account_id, tokens=tokens, minutes=minutes)


def _limits(account: Account) -> tuple[float, int, str]:
    return account.max_send_rate, account.max_24_hours, account.over_quota.value
