"""Who watches which session, and how much is kept for them."""

import pytest

from relay.base.trace import MAX_LINES, MAX_UNDECIDED, UNWATCHED, Filter, Traces
from tests.fakes.clock import ManualClock

OWN = ("192.0.2.1", 587)


@pytest.mark.parametrize(
    ("chosen", "address", "account", "verdict"),
    [
        (Filter(), "198.51.100.7", 0, True),
        (Filter(client="198.51.100.0/24"), "198.51.100.7", 0, True),
        (Filter(client="198.51.100.0/24"), "::ffff:198.51.100.7", 0, True),
        (Filter(client="198.51.100.0/24"), "198.51.101.7", 0, False),
        (Filter(client="2001:db8::/32"), "2001:db8::7%eth0", 0, True),
        (Filter(client="2001:db8::/32"), "198.51.100.7", 0, False),
        (Filter(client="0.0.0.0/0"), "no address", 0, False),
        (Filter(listener="192.0.2.1:587"), "198.51.100.7", 0, True),
        (Filter(listener=":587"), "198.51.100.7", 0, True),
        (Filter(listener="0.0.0.0:587"), "198.51.100.7", 0, True),
        (Filter(listener="192.0.2.2:587"), "198.51.100.7", 0, False),
        (Filter(listener=":465"), "198.51.100.7", 0, False),
        (Filter(account=7), "198.51.100.7", 0, None),  # not before it has logged in
        (Filter(account=7), "198.51.100.7", 7, True),
        (Filter(account=7), "198.51.100.7", 8, False),
        (Filter(client="198.51.101.0/24", account=7), "198.51.100.7", 0, False),
        (Filter(site="x.example"), "198.51.100.7", 7, False),
    ],
)
def test_which_clients(chosen: Filter, address: str, account: int, verdict: bool | None) -> None:
    assert chosen.of_client(address, OWN, account) is verdict


@pytest.mark.parametrize(
    ("chosen", "account", "verdict"),
    [
        (Filter(), 0, True),
        (Filter(client="198.51.100.0/24"), 7, False),
        (Filter(listener=":587"), 7, False),
        (Filter(site="mx1.example"), 0, True),
        (Filter(site="mx1.example"), 7, True),
        (Filter(site="other.example"), 0, None),  # until it is known whose mail goes there
        (Filter(site="other.example"), 7, False),
        (Filter(account=7), 0, None),
        (Filter(account=7), 7, True),
        (Filter(account=7, site="other.example"), 7, False),
        (Filter(account=8, site="mx1.example"), 7, False),
    ],
)
def test_which_receivers(chosen: Filter, account: int, verdict: bool | None) -> None:
    assert chosen.of_site({"mx1.example", "mx:mx1.example"}, account) is verdict


def test_fields_are_those_that_were_given() -> None:
    assert Filter(account=7, site="x").fields() == {"account": 7, "site": "x"}
    assert Filter(**Filter(account=7, site="x").fields()) == Filter(account=7, site="x")


def test_one_who_does_not_read_is_told_how_much_was_left_out() -> None:
    traces = Traces(clock=ManualClock())
    woken: list[int] = []
    traces.wake = lambda: woken.append(1)
    traces.begin(1, Filter())
    traces.begin(1, Filter())  # the same again changes nothing
    (trace,) = traces.active
    trail = traces.client_trail()
    trail.decide([(trace, True)])
    for number in range(MAX_LINES + 5):
        trail("C", str(number))
    lines, left_out = trace.take()
    assert (len(lines), lines[-1][3], left_out, len(woken)) == (MAX_LINES, str(MAX_LINES - 1), 5, 1)
    assert trace.take() == ([], 0)
    trail("C", "again")
    assert (len(trace.lines), len(woken)) == (1, 2)


def test_what_was_said_before_it_is_known_whose_it_is_comes_later_or_never() -> None:
    traces = Traces(3, ManualClock(5.0))
    traces.begin(1, Filter(account=7))
    traces.begin(2, Filter(account=8))
    seven, eight = traces.active
    trail = traces.client_trail()
    trail.decide([(seven, None), (eight, None)])
    for number in range(MAX_UNDECIDED + 1):
        trail("C", f"EHLO {number}")
    assert seven.lines == eight.lines == []
    trail.decide([(seven, True), (eight, False)])
    trail("S", "235 ok")
    trail.end("closed")
    assert [line[3] for line in seven.lines[:2]] == ["EHLO 0", "EHLO 1"]
    assert [line[3] for line in seven.lines[-3:]] == ["235 ok", "closed", ""]
    assert seven.lines[0][:3] == (seven.lines[0][0], "in3.1", "C")
    assert len(seven.lines) == MAX_UNDECIDED + 3
    assert eight.lines == []


def test_all_who_saw_a_session_hear_of_its_end() -> None:
    traces = Traces()
    traces.begin(1, Filter(site="a.example"))
    (trace,) = traces.active
    trail = traces.receiver_trail(frozenset({"mx.example"}))
    trail.decide([(trace, True)])
    trail.decide([(trace, False)])  # another's attempt on the same connection
    trail("C", "MAIL FROM:<x@other.example>")
    trail.end("closed")
    assert [(line[1], line[2]) for line in trace.lines] == [("out0.1", ".")]
    assert trail.knows(trace)
    assert not trail.is_watched


def test_what_has_no_session_is_told_all_the_same() -> None:
    traces = Traces()
    changes: list[int] = []
    traces.on_change.append(lambda: changes.append(len(traces.active)))
    traces.begin(1, Filter(client="198.51.100.0/24"))
    traces.begin(2, Filter(site="x.example"))
    client, site = traces.active
    traces.remark_client("198.51.100.7", OWN, "refused")
    traces.remark_site(frozenset({"x.example"}), "no address")
    assert [line[3] for line in client.lines] == ["refused", ""]
    assert [line[3] for line in site.lines] == ["no address", ""]
    traces.end(1)
    traces.end(2)
    assert changes == [1, 2, 1, 0]
    assert UNWATCHED.active == ()
