"""The limits of all accounts, for all workers: who may send how much now, and what is lent to whom.

Contract: a worker that cannot decide from its lease (``relay.policy.lease``) gives back what it has in hand
and asks for the messages that wait; each gets a ``Verdict``: it passes, or what the account chose for mail
over its limits: refuse, delay, hold. With the verdicts comes a slice for messages to come, about 50 ms worth
of the rate, so that most need not ask. What is lent counts as sent until it comes back: N workers never send
more than one may, and a worker that dies with its lease has, for the ledger, sent it.

- The rate: in any T seconds no more than ``depth + rate * T`` recipients (``relay.policy.token_bucket``),
  plus the debt that one message of several recipients may make.
- The quota: never more in any 24 hours (``relay.policy.rolling_count``). A count is in the minute in which
  the slice is spent at the latest.
- Delayed mail takes its tokens and its quota at the time when it will leave, one after the other; until the
  last of it has left, no other message of the account overtakes it.
- Held mail takes nothing: when it is released, an operator decided so.

``now`` is the ledger's own time in seconds, which never goes back and does not jump with the wall clock.

After a crash: whoever keeps the ledger has stored what ``changes`` names before it answers. Cost: 7 to
9 microseconds a request, in the supervisor. Pure; no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from relay.directory.records import OverQuota
from relay.policy.rolling_count import RollingCount, minute_of
from relay.policy.token_bucket import TokenBucket

FOREVER = float("inf")
SLICE_S = 0.05
_SLICE_WITHOUT_RATE = 100  # recipients
LATE_S = 5.0  # a worker does not spend what it got longer ago
_LOST_S = 2 * LATE_S  # what is lent and was not heard of since then is spent
_REARM = 0.05  # of the quota: how far usage falls below a warning's level before it may come again

Minutes = list[tuple[int, int]]  # (minute, recipients), oldest first


class Limits(NamedTuple):
    """What an account may send; negative for no limit."""

    rate: float  # recipients a second
    quota: int  # recipients in 24 hours
    over: OverQuota


class Need(NamedTuple):
    """What one message takes: recipients, and those of them that the quota counts."""

    tokens: int
    quota: int


class Way(StrEnum):
    """What becomes of a message."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    DELAY = "delay"
    HOLD = "hold"


class Bound(StrEnum):
    """Which limit binds."""

    RATE = "rate"
    QUOTA = "quota"


class Verdict(NamedTuple):
    """``wait_s``: for DELAY until it leaves, for REFUSE until another try makes sense. ``minute`` is where
    the quota is counted."""

    way: Way
    bound: Bound = Bound.RATE
    wait_s: float = 0.0
    minute: int = 0


class Slice(NamedTuple):
    """What is lent with the verdicts, for messages to come."""

    tokens: int = 0
    quota: int = 0
    minute: int = 0


class QuotaWarning(NamedTuple):
    """The account has used so many hundredths of its quota."""

    account_id: int
    percent: int
    used: int
    quota: int


@dataclass(slots=True)
class Usage:
    """What one account has used. Owned by the ledger."""

    bucket: TokenBucket | None = None
    sent: RollingCount = field(default_factory=RollingCount)
    lent: dict[int, tuple[int, int, float]] = field(default_factory=dict)  # holder: tokens, quota, since
    warned: int = 0  # the highest warning that was given and still holds
    idle_until: float = 0.0  # no message passes before: from before a restart

    def lent_tokens(self) -> int:
        """Tokens in the hands of workers, as far as known."""
        return sum(one[0] for one in self.lent.values())

    def spent(self) -> int:
        """Recipients of the last 24 hours, without what may come back."""
        return self.sent.total - sum(one[1] for one in self.lent.values())


class Ledger:
    """All accounts that have limits."""

    def __init__(self) -> None:
        self.accounts: dict[int, Usage] = {}
        self._changed: dict[int, set[int]] = {}
        self._warnings: list[QuotaWarning] = []

    def ask(
        self,
        holder: int,
        account_id: int,
        limits: Limits,
        needs: Sequence[Need],
        now: float,
        *,
        in_hand: tuple[int, int] = (0, 0),
        longest_s: float = FOREVER,
    ) -> tuple[list[Verdict], Slice]:
        """A verdict for each message that waits, in their order, and a slice for those to come.

        ``in_hand``: tokens and quota of earlier slices that the holder keeps; with ``needs`` it has given
        back all of it before. ``longest_s``: mail that would wait longer is refused.
        """
        usage = self._at(account_id, limits, now)
        self._set_lent(usage, holder, *in_hand, now)
        verdicts = [self._judge(account_id, usage, limits, need, now, longest_s) for need in needs]
        extra = self._slice(account_id, usage, limits, now)
        if extra.tokens:
            self._set_lent(usage, holder, in_hand[0] + extra.tokens, in_hand[1] + extra.quota, now)
        self._warn(account_id, usage, limits)
        return verdicts, extra

    def end_lease(
        self, holder: int, account_id: int, tokens: int, minutes: Iterable[tuple[int, int]], now: float
    ) -> None:
        """The holder has nothing in hand any more; this is what it has not used."""
        usage = self.accounts.get(account_id)
        if usage is not None:
            self._refill(usage, now)
            usage.lent.pop(holder, None)
            self._put(account_id, usage, tokens, minutes)

    def give_back(self, account_id: int, tokens: int, minutes: Iterable[tuple[int, int]], now: float) -> None:
        """What was admitted and then not stored."""
        usage = self.accounts.get(account_id)
        if usage is not None:
            self._refill(usage, now)
            self._put(account_id, usage, tokens, minutes)

    def restore(
        self, account_id: int, minutes: Iterable[tuple[int, int]], idle_until: float, warned: int
    ) -> None:
        """What was stored. A debt, or mail to come, is not forgotten; nor that there was none for a while."""
        self.accounts[account_id] = Usage(sent=RollingCount(minutes), idle_until=idle_until, warned=warned)

    def count_in(self, account_id: int, minutes: Sequence[tuple[int, int]]) -> None:
        """What an account sent before the ledger knew it."""
        self.accounts[account_id] = Usage(sent=RollingCount(minutes))
        self._changed[account_id] = {minute for minute, _ in minutes}

    def changes(self) -> Iterator[tuple[int, list[tuple[int, int]], float, int]]:
        """What has changed since the last call, as ``restore`` takes it; a count of 0 is to be forgotten."""
        changed, self._changed = self._changed, {}
        for account_id, minutes in changed.items():
            usage = self.accounts[account_id]
            ready_at = usage.bucket.ready_at() if usage.bucket is not None else 0.0
            idle_until = ready_at if ready_at != FOREVER else 0.0
            yield account_id, [(one, usage.sent[one]) for one in minutes], idle_until, usage.warned

    def touch(self, account_id: int, minute: int) -> None:
        """Have ``changes`` tell of a minute though it is as it was."""
        self._note(account_id, minute)

    def warnings(self) -> list[QuotaWarning]:
        """Those that have come up since the last call."""
        found, self._warnings = self._warnings, []
        return found

    def sent(self, account_id: int, now: float) -> int:
        """Recipients of the last 24 hours, and of mail kept for later."""
        usage = self.accounts.get(account_id)
        if usage is None:
            return 0
        usage.sent.expire(now)
        return max(usage.spent(), 0)

    def _at(self, account_id: int, limits: Limits, now: float) -> Usage:
        usage = self.accounts.get(account_id)
        if usage is None:
            usage = self.accounts[account_id] = Usage()
        usage.sent.expire(now)
        self._refill(usage, now)
        if limits.rate < 0:
            usage.bucket = None
        elif usage.bucket is None:
            bucket = usage.bucket = TokenBucket(limits.rate, now)
            if usage.idle_until:
                # One message may pass then; what has come in since the one before is known to be there.
                bucket.tokens, bucket.at = (1.0 if usage.idle_until > now else 0.0), usage.idle_until
                bucket.refill(now)
                usage.idle_until = 0.0
        elif usage.bucket.rate != limits.rate:
            usage.bucket.set_rate(limits.rate)
        return usage

    def _refill(self, usage: Usage, now: float) -> None:
        """To be done before anything is lent or comes back; what was lent too long ago was spent."""
        if usage.bucket is not None:
            usage.bucket.refill(now, usage.lent_tokens())
        for holder in [one for one, lent in usage.lent.items() if now - lent[2] > _LOST_S]:
            del usage.lent[holder]

    def _put(self, account_id: int, usage: Usage, tokens: int, minutes: Iterable[tuple[int, int]]) -> None:
        for minute, count in minutes:
            if usage.sent.take_back(count, minute):
                self._note(account_id, minute)
        if usage.bucket is not None:
            usage.bucket.put(tokens, usage.lent_tokens())

    def _set_lent(self, usage: Usage, holder: int, tokens: int, quota: int, now: float) -> None:
        if tokens > 0 or quota > 0:
            usage.lent[holder] = (tokens, quota, now)
        else:
            usage.lent.pop(holder, None)

    def _judge(
        self, account_id: int, usage: Usage, limits: Limits, need: Need, now: float, longest_s: float
    ) -> Verdict:
        bucket = usage.bucket
        rate_at = max(bucket.ready_at(), now) if bucket is not None else now
        is_counted = limits.quota >= 0 and need.quota > 0
        quota_at = usage.sent.free_at(need.quota, limits.quota, now) if is_counted else now
        if rate_at <= now and quota_at <= now:
            return Verdict(Way.ACCEPT, minute=self._charge(account_id, usage, need, now))
        at, bound = max((rate_at, Bound.RATE), (quota_at, Bound.QUOTA))
        if limits.over is OverQuota.HOLD:
            return Verdict(Way.HOLD, bound)
        if limits.over is OverQuota.SMOOTH and at - now < longest_s:
            return Verdict(Way.DELAY, bound, at - now, self._charge(account_id, usage, need, at))
        # One that the quota has room for when it is smaller must not make the others wait.
        is_full = bound is Bound.RATE or usage.sent.total >= limits.quota
        return Verdict(Way.REFUSE, bound, at - now if is_full else 0.0)

    def _charge(self, account_id: int, usage: Usage, need: Need, at: float) -> int:
        minute = minute_of(at + LATE_S)
        if usage.bucket is not None:
            usage.bucket.take_at(need.tokens, at)
        if need.quota:
            usage.sent.add(need.quota, minute)
        self._note(account_id, minute)
        return minute

    def _slice(self, account_id: int, usage: Usage, limits: Limits, now: float) -> Slice:
        bucket = usage.bucket
        if bucket is None:
            size = _SLICE_WITHOUT_RATE
        else:
            # A quarter at most: the others want some, too.
            size = min(int(bucket.rate * SLICE_S), bucket.whole(now) // 4)
        if limits.quota >= 0:
            # Towards the end of the quota each message asks for itself, and hardly any is refused for what
            # others have in hand.
            size = min(size, max(limits.quota - usage.sent.total, 0) // 16)
        if size < 1:
            return Slice()
        minute = minute_of(now + LATE_S)
        if bucket is not None:
            bucket.take(size)
        usage.sent.add(size, minute)
        self._note(account_id, minute)
        return Slice(size, size, minute)

    def _note(self, account_id: int, minute: int) -> None:
        self._changed.setdefault(account_id, set()).add(minute)

    def _warn(self, account_id: int, usage: Usage, limits: Limits) -> None:
        """Once per crossing, upwards; it may come again once usage has fallen well below the level."""
        if limits.quota <= 0:
            return
        spent = usage.spent()
        share = spent / limits.quota
        level = 100 if share >= 1.0 else 80 if share >= 0.8 else 0
        if level > usage.warned:
            usage.warned = level
            self._warnings.append(QuotaWarning(account_id, level, spent, limits.quota))
        elif usage.warned and usage.sent.total < (usage.warned / 100 - _REARM) * limits.quota:
            usage.warned = 80 if share >= 0.8 else 0
        else:
            return
        self._changed.setdefault(account_id, set())
