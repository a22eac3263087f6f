"""The send rate of an account as a token bucket, with the debt rule of SES.

Contract: one token a recipient, ``rate`` of them a second. A message passes while at least one token is
there, however many recipients it has; what is missing is a debt, paid before the next message: at 1/s ten
recipients pass every ten seconds. The bucket holds one second's worth, and one token at least: that is the
burst an account may have after a pause. Hence, in any T seconds, no more than ``depth + rate * T`` recipients
in messages of one recipient, whoever spends them.

``lent`` tokens are in the hands of a leaseholder, neither here nor known to be spent. They count for the
depth, so that a lease spent late does not come on top of a bucket that has filled up meanwhile.

Times are the ledger's (``relay.policy.ledger``), which never go back; one that does adds nothing. Tokens may
be taken at a time to come (``at``): that is how mail is spread at the rate. Pure; no clock.
"""

from __future__ import annotations

BURST_S = 1.0
_ROUNDING = 1e-6  # of a token: sums of floats must not make the last one wait


class TokenBucket:
    """Tokens of one account. ``tokens`` is what was there at ``at``; below zero it is a debt."""

    __slots__ = ("at", "rate", "tokens")

    def __init__(self, rate: float, now: float) -> None:
        """A full one."""
        self.rate = rate
        self.at = now
        self.tokens = self.depth

    @property
    def depth(self) -> float:
        """What it holds at most."""
        return max(1.0, self.rate * BURST_S)

    def refill(self, now: float, lent: int = 0) -> None:
        """Bring ``tokens`` to ``now``. To be called before ``lent`` changes, too."""
        if now > self.at:
            room = max(self.depth - lent - self.tokens, 0.0)
            self.tokens += min((now - self.at) * self.rate, room)
            self.at = now

    def ready_at(self) -> float:
        """When a message may pass: ``at`` or later; infinity if never."""
        missing = 1.0 - self.tokens
        if missing <= _ROUNDING:
            return self.at
        return self.at + missing / self.rate if self.rate > 0.0 else float("inf")

    def whole(self, now: float) -> int:
        """How many whole tokens are there."""
        return int(self.tokens + _ROUNDING) if self.tokens > 0.0 and now >= self.at else 0

    def take(self, count: int) -> None:
        """Take tokens; the caller has seen that a message may pass."""
        self.tokens -= count

    def take_at(self, count: int, at: float) -> None:
        """Take tokens at a time to come, not before ``ready_at``. Until then no other message passes."""
        self.refill(at)
        self.take(count)

    def put(self, count: int, lent: int = 0) -> None:
        """Tokens that were taken and not used; never more than fit."""
        self.tokens += min(float(count), max(self.depth - lent - self.tokens, 0.0))

    def set_rate(self, rate: float) -> None:
        """Another rate from ``at`` on; a debt stays a debt of as many tokens."""
        self.rate = rate
        self.tokens = min(self.tokens, self.depth)
