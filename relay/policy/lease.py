"""What a worker has in hand of an account's limits: spent here, got from the ledger in slices.

Contract: ``spend`` answers at once whether a message fits into what is in hand. What is left when the lease
ends goes back with the minutes in which the ledger counted it: the oldest are spent first.

Cost on the hot path: ``spend`` is two comparisons and two subtractions. Pure; no clock.
"""

from __future__ import annotations

from relay.policy.ledger import Minutes, Slice

LEASE_S = 0.1


class Lease:
    """Slices of one account, joined. Owned by the event loop of a worker."""

    __slots__ = ("_slices", "ends_at", "low", "minute", "quota", "renew_at", "tokens")

    def __init__(self) -> None:
        self.tokens = 0
        self.quota = 0
        self.ends_at = 0.0  # monotonic; nothing of it is spent later
        self.low = 0  # with fewer tokens than this the next slice is asked for,
        self.renew_at = 0.0  # or with the first message after this
        self.minute = 0  # of the oldest quota in hand: where an admission is counted at the earliest
        self._slices: Minutes = []

    @property
    def is_empty(self) -> bool:
        """Nothing is in hand."""
        return self.tokens <= 0 and self.quota <= 0

    def spend(self, tokens: int, quota: int, now: float) -> bool:
        """Take what a message needs; False, and nothing taken, if it does not fit."""
        if tokens > self.tokens or quota > self.quota or now >= self.ends_at:
            return False
        self.tokens -= tokens
        self.quota -= quota
        return True

    def add(self, got: Slice, now: float) -> None:
        """Another slice; the lease ends later."""
        self._trim()
        self._slices.append((got.minute, got.quota))
        self.minute = self._slices[0][0]
        self.tokens += got.tokens
        self.quota += got.quota
        self.low = got.tokens // 2
        self.renew_at = now + LEASE_S / 2
        self.ends_at = now + LEASE_S

    def end(self) -> tuple[int, Minutes]:
        """The tokens that are left, and the quota by minute; then nothing is in hand."""
        self._trim()
        tokens, minutes = self.tokens, self._slices
        self.tokens = self.quota = 0
        self._slices = []
        return tokens, minutes

    def _trim(self) -> None:
        """Take what was spent off the oldest slices."""
        left = self.quota
        kept: Minutes = []
        for minute, count in reversed(self._slices):
            if left <= 0:
                break
            kept.append((minute, min(count, left)))
            left -= kept[-1][1]
        self._slices = kept[::-1]
