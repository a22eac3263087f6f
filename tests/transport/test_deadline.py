"""The lazy timer on a loop whose clock the test moves."""

import pytest

from relay.transport.deadline import Deadline


class Loop:
    """Time and timers of an event loop, moved by hand."""

    def __init__(self):
        self.now = 0.0
        self.timers = []
        self.made = 0

    def time(self):
        return self.now

    def call_at(self, at, call):
        self.made += 1
        timer = Timer(self, at, call)
        self.timers.append(timer)
        return timer

    def advance(self, seconds):
        end = self.now + seconds
        while due := [t for t in self.timers if t.at <= end]:
            first = min(due, key=lambda t: t.at)
            self.timers.remove(first)
            self.now = max(self.now, first.at)
            first.call()
        self.now = end


class Timer:
    def __init__(self, loop, at, call):
        self.loop, self.at, self.call = loop, at, call

    def cancel(self):
        if self in self.loop.timers:
            self.loop.timers.remove(self)


@pytest.fixture
def watched():
    loop, passed = Loop(), []
    return loop, Deadline(loop, lambda: passed.append(loop.now)), passed


def test_it_fires_once_when_the_time_is_over(watched):
    loop, deadline, passed = watched
    deadline.within(10)
    loop.advance(9)
    assert passed == []
    loop.advance(100)
    assert passed == [10]


def test_moving_it_later_makes_no_new_timer(watched):
    loop, deadline, passed = watched
    for _ in range(100):
        deadline.within(10)
        loop.advance(0.09)
    assert loop.made == 1
    loop.advance(100)
    assert passed == [pytest.approx(99 * 0.09 + 10)]
    assert loop.made == 2


def test_moving_it_earlier_does(watched):
    loop, deadline, passed = watched
    deadline.within(600)
    deadline.within(5)
    loop.advance(1000)
    assert passed == [5]


def test_cleared_and_ended_it_does_not_fire(watched):
    loop, deadline, passed = watched
    deadline.within(5)
    deadline.clear()
    loop.advance(10)
    deadline.within(5)
    deadline.end()
    assert loop.timers == []
    loop.advance(10)
    assert passed == []
    deadline.within(5)
    loop.advance(5)
    assert passed == [25]
