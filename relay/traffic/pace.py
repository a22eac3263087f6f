"""How many messages a second a lane may send: found out from the receiver, bounded by the rule.

Contract: a decision; ``now`` is monotonic seconds. Until the receiver complains there is no bound but the
rule's. When it does:

1. **Pause.** What is on its way is let end, and its answers count as the same complaint. After one second one
   message is tried, then after 2, 4, ... up to 60 seconds, until one is taken. So a receiver that counts by
   the minute sees a handful of refused messages, not a minute full.
2. **Measure.** The rate that it bears is what it has taken since the last complaint, over that time with the
   pause in it: exact for one that counts by the minute; for a bucket that was full it is too high and the
   next complaint corrects it. It is never more than the rate that it complained about. A pause of minutes is
   another matter: that was no count but a storm, and what was before it is in force again; only if it happens
   once more within the hour it is taken for a count by the hour.
3. **Grow.** A first guess, and one that is far below what was before, is doubled every minute until the next
   complaint. From then on the rate begins a step below the peak and rises fast at first, slowly near it, and
   faster again beyond it (a cubic in time, as TCP has it, plus a small constant slope which lets workers that
   share a receiver without knowing of each other meet in the middle). Time in which nothing was sent does not
   count.

After an hour without a complaint the peak is forgotten.

Cost of asking, taking and hearing, a message: 0.7 microseconds where there is no bound, 1.2 where there is.

Not here: connections (``concurrency``).
"""

from __future__ import annotations

import math

_STEP = 0.15  # how far below the peak it begins again
_RISE_S = 400.0  # until it is at the peak again; slow lanes take longer: a complaint costs more there
_LONGEST_RISE_S = 900.0
_DOUBLE_S = 60.0  # while a first guess is made better
_SLOPE = 1.0 / 3600.0  # messages a second, per second: at most one a minute more each minute
_SLOPE_SHARE = 1.0 / 1500.0  # of the peak, per second
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_MEASURE_S = 60.0
_STORM_S = 150.0  # longer than those who count by the minute can say no
_FORGET_S = 3600.0
_SLICE_S = 0.05  # fast lanes get tokens in slices of this
_LEAST = 1.0 / 60.0  # messages a second: a receiver that takes less is as good as down
_LEAST_AT_ONCE = 0.1  # if it takes mail again at the first try, too few may have been sent to measure


class Pace:
    """The bucket of one lane, or of lanes that share a receiver."""

    __slots__ = (
        "_accepted",
        "_counted_from",
        "_filled_at",
        "_hold_until",
        "_is_seeking",
        "_last_took",
        "_long_at",
        "_pause_s",
        "_paused_at",
        "_peak",
        "_probes",
        "_since",
        "_throttled_at",
        "_tokens",
        "_was",
        "bound",
        "refused",
    )

    def __init__(self, bound: float = 0.0) -> None:
        self.bound = bound  # of the rule and this worker's share, messages a second; 0: none
        self.refused = 0  # answers that meant "slower"
        self._peak = 0.0  # what the receiver bears; 0: it has not complained
        self._is_seeking = False  # the peak is a first guess
        self._since = 0.0  # when it began to rise, less the time of idleness
        self._hold_until = 0.0  # while pausing: when the next is tried
        self._paused_at = 0.0
        self._pause_s = 0.0
        self._probes = 0  # tried in vain in this pause
        self._was = 0.0  # the rate that it complained about; 0: there was no bound
        self._tokens = 1.0
        self._filled_at = 0.0
        self._last_took = 0.0
        self._accepted = 0.0
        self._counted_from = 0.0
        self._throttled_at = 0.0
        self._long_at = -_FORGET_S  # when a long pause ended

    @property
    def is_pausing(self) -> bool:
        """It complained, and has taken nothing since."""
        return self._hold_until > 0.0

    def is_learned(self, now: float) -> bool:
        """It complained within the hour."""
        return self.refused > 0 and now - self._throttled_at < _FORGET_S

    def rate(self, now: float) -> float:
        """Messages a second, now; 0: no bound."""
        peak = self._peak
        if not peak:
            return self.bound
        since = now - self._since
        if self._is_seeking:
            rate = (1.0 - _STEP) * peak * math.exp2(min(since / _DOUBLE_S, 60.0))
            return min(rate, self.bound) if self.bound else rate
        rise_s = _RISE_S if peak >= 1.0 else min(_RISE_S / peak, _LONGEST_RISE_S)
        way = since / rise_s - 1.0
        rate = peak * (1.0 + _STEP * way * way * way) + min(_SLOPE, _SLOPE_SHARE * peak) * since
        return min(rate, self.bound) if self.bound else rate

    def wait_s(self, now: float) -> float:
        """Seconds until the next may go."""
        if self._hold_until:
            return max(0.0, self._hold_until - now)
        if not self._peak and not self.bound:
            return 0.0
        rate = self.rate(now)
        self._fill(now, rate)
        if self._tokens >= 1.0:
            return 0.0
        return max((1.0 - self._tokens) / rate, _SLICE_S)

    def allowed(self, now: float, most: int) -> int:
        """How many could go at once now, up to ``most``."""
        if self._hold_until:
            return int(now >= self._hold_until)
        if not self._peak and not self.bound:
            return most
        self._fill(now, self.rate(now))
        return min(most, int(self._tokens))

    def took(self, now: float) -> None:
        """One goes."""
        if self._hold_until:
            self._hold_until = now + max(self._pause_s, _FIRST_PAUSE_S)  # nothing else before its answer
            return
        if self._peak or self.bound:
            self._tokens -= 1.0
            idle_s = now - self._last_took
            if idle_s > 10.0 and self._peak and idle_s * self._peak > 5.0:
                self._since = min(now, self._since + idle_s)
            self._last_took = now

    def answered(self, now: float, took_s: float) -> None:
        """A message was taken, or refused for reasons of its own."""
        if self._hold_until:
            self._accepted += 1.0
            if now - took_s > self._paused_at:
                self._resume(now)
            return
        span = now - self._counted_from
        if span > _MEASURE_S:
            if span > 2 * _MEASURE_S:
                self._counted_from, self._accepted = now, 0.0
            else:
                self._counted_from += span / 2
                self._accepted /= 2
            if self._peak and now - self._throttled_at > _FORGET_S:
                self._peak = 0.0
        self._accepted += 1.0

    def throttled(self, now: float, took_s: float) -> None:
        """It said: slower."""
        self.refused += 1
        self._throttled_at = now
        if not self._hold_until:
            self._was = self.rate(now)
            self._paused_at = now
            self._pause_s = _FIRST_PAUSE_S
            self._probes = 0
        elif now - took_s <= self._paused_at:
            return  # it was on its way already
        else:
            self._probes += 1
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        self._hold_until = now + self._pause_s

    def ease(self, now: float) -> None:
        """Trouble that is not a complaint: where a peak is known, begin again a step below."""
        if self._peak and not self._hold_until and now - self._since > _FIRST_PAUSE_S:
            self._peak = max(_LEAST, min(self._peak, self.rate(now)))
            self._since = now

    def _resume(self, now: float) -> None:
        """It takes mail again: go on with what it has borne."""
        measured = self._accepted / max(1.0, now - self._counted_from)
        is_long = now - self._paused_at > _STORM_S
        is_storm = is_long and self._paused_at - self._long_at > _FORGET_S
        if is_long:
            self._long_at = now
        if is_storm or (self._was and not self._probes):
            peak = self._was
        elif self._was:
            peak = min(self._was, measured)
        else:
            peak = measured
        self._is_seeking = (not self._was or measured < self._was / 2) and not is_storm
        self._peak = max(_LEAST if self._probes else _LEAST_AT_ONCE, peak) if peak else 0.0
        self._since = self._counted_from = self._last_took = self._filled_at = now
        self._accepted = self._tokens = self._hold_until = 0.0

    def _fill(self, now: float, rate: float) -> None:
        most = 1.0 + rate * 2 * _SLICE_S  # what comes while a slice is waited for is not lost
        self._tokens = min(most, self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now
