"""Ahead of what is granted: the count on disk may say more than was sent, so that not every grant needs an
fsync of its own.

Contract: for the minute that counts at present, the file gets the count plus a margin, at most a thousandth
of the account's quota and a small part of what is left of it; a grant that keeps the count below what is on
disk need not wait. After a crash the margin counts as sent: an account loses a thousandth of its quota for a
day, and never gains one. When the minute is over, or the relay ends in order, the exact count is written.

A claim about the disk is lowered before a lower count is written and raised after a higher one was, so it is
true at every moment. Pure; no I/O, no clock.
"""

from __future__ import annotations

_OF_QUOTA = 1000
_OF_REST = 64


class Margins:
    """What the disk is known to say, per account, of one minute. Owned by the keeper."""

    __slots__ = ("_claims", "_sizes")

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        self._claims: dict[int, tuple[int, int]] = {}  # minute, count

    def allow(self, account_id: int, quota: int, counted: int) -> None:
        """How far ahead of ``counted`` the disk may be."""
        self._sizes[account_id] = max(min(quota // _OF_QUOTA, (quota - counted) // _OF_REST), 0)

    def covers(self, account_id: int, minute: int, count: int) -> bool:
        """Whether the disk says as much already."""
        claim = self._claims.get(account_id)
        return claim is not None and claim[0] == minute and claim[1] >= count

    def to_write(self, account_id: int, minute: int, count: int, current: int) -> int:
        """What to write for a minute; ``current`` is the one that may be ahead, -1 for none."""
        claim = self._claims.get(account_id)
        if minute != current:
            if claim is not None and claim[0] == minute:
                del self._claims[account_id]
            return count
        written = count + self._sizes.get(account_id, 0)
        if claim is not None and claim[0] == minute and claim[1] > written:
            self._claims[account_id] = (minute, written)
        return written

    def is_written(self, account_id: int, minute: int, count: int) -> None:
        """The disk says so now, of the current minute."""
        self._claims[account_id] = (minute, count)

    def over(self, current: int) -> list[tuple[int, int]]:
        """Accounts and minutes of which the disk still says more than was sent, though they are over."""
        return [(account, claim[0]) for account, claim in self._claims.items() if claim[0] != current]
