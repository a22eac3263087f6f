"""Whether a site is left alone: closed (mail flows), open (nothing goes), half open (one probe).

Contract: a decision; ``now`` is monotonic seconds. A failure opens it for a time that doubles with each in a
row (``SiteBackoff``). When the time is over it is half open: one connection may try. A session that opens
ends the waiting but not the row; only an answer to a message does, so that a site which greets well and then
drops everything is not hammered either.

Not here: what counts as a failure (``site_control``).
"""

from __future__ import annotations

from relay.traffic.backoff import SiteBackoff


class Breaker:
    """One lane's."""

    __slots__ = ("_backoff", "failures", "retry_at", "why")

    def __init__(self, backoff: SiteBackoff) -> None:
        self._backoff = backoff
        self.failures = 0  # in a row
        self.retry_at = 0.0  # monotonic seconds; 0: closed
        self.why = ""  # of the last failure, for people

    def is_open(self, now: float) -> bool:
        """Nothing goes."""
        return now < self.retry_at

    @property
    def is_probing(self) -> bool:
        """Half open, or open: it has failed and no message was answered since."""
        return self.failures > 0

    def fail(self, now: float, why: str, dice: float) -> None:
        """``dice`` is uniform in [0, 1) and spreads the return."""
        self.failures += 1
        self.retry_at = now + self._backoff.delay_s(self.failures, dice)
        self.why = why

    def greeted(self) -> None:
        """A session opened: no need to wait on."""
        self.retry_at = 0.0

    def close(self) -> None:
        """A message was answered, or the operator wants it tried."""
        self.failures = 0
        self.retry_at = 0.0
