"""Replies that take longer than they used to."""

from relay.traffic.latency import Latency


def heard(latency: Latency, took_s: float, times: int, begin: float = 0.0) -> None:
    for number in range(times):
        latency.heard(begin + number * 0.1, took_s)


def test_a_receiver_that_drowns_is_seen() -> None:
    latency = Latency()
    heard(latency, 0.5, 100)
    assert not latency.is_strained
    heard(latency, 2.0, 20, 10.0)
    assert latency.is_strained
    assert not latency.is_overloaded
    heard(latency, 8.0, 20, 12.0)
    assert latency.is_overloaded


def test_short_replies_are_never_slow_whatever_they_were() -> None:
    latency = Latency()
    heard(latency, 0.001, 100)
    heard(latency, 0.7, 50, 10.0)
    assert not latency.is_strained


def test_a_receiver_that_is_always_slow_is_as_usual() -> None:
    latency = Latency()
    heard(latency, 20.0, 100)
    assert not latency.is_strained


def test_what_is_usual_falls_at_once_and_doubles_in_an_hour() -> None:
    latency = Latency()
    heard(latency, 4.0, 1)
    heard(latency, 1.0, 60)
    assert latency.usual_s < 1.1
    for number in range(100_000):  # however many messages
        latency.heard(6.0 + number / 1000, 4.0)
    assert latency.usual_s < 1.2
    assert latency.is_strained
    for number in range(3600):
        latency.heard(106.0 + number, 4.0)
    assert 2.0 < latency.usual_s < 3.5
    assert not latency.is_strained


def test_it_says_when_it_is_worth_asking() -> None:
    latency = Latency()
    assert latency.heard(0.0, 5.0) is False  # the first is what is usual
    assert latency.heard(0.1, 5.0) is True
    heard(latency, 0.01, 50, 1.0)
    assert latency.heard(9.0, 0.01) is False
