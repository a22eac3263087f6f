"""What binds, from what is known: a table."""

from dataclasses import replace

import pytest

from relay.admin.explanation import Facts, explain
from relay.base.message import RecipientState

NOW = 1000.0
ID = "0000019a8c3b1f20-5b1c0000-0000-4000-8000-000000000000-000001"
OPEN = {
    "state": "open",
    "why": "",
    "connections": 20,
    "connections_rule": 20,
    "rule": "google",
    "wait_s": 0.0,
}
DOWN = OPEN | {"state": "down", "why": "connect: refused", "retry_in_s": 30.0}
PROBING = OPEN | {"state": "probing", "why": "connect: refused", "retry_in_s": 0.0}
PAUSING = OPEN | {"state": "pausing", "why": "the receiver asked for less mail", "wait_s": 5.0}
PACED = OPEN | {"state": "paced", "why": "rate of the rule", "wait_s": 0.5, "rate_per_s": 2.0}
NONE_LEFT = OPEN | {"connections": 0, "why": "other workers use all connections of the rule"}
BASE = Facts(ID, "b.example", RecipientState.DEFERRED, 1, NOW + 300, "450 later", NOW, NOW + 5000)
QUEUED = replace(BASE, place="queue", site="mx:b.example", lane=OPEN, waiting=9, accounts=1)
PARKED = replace(BASE, state=RecipientState.PARKED, due_at=NOW - 1, attempts=0, reply="")
FLUSH = f"relay queue flush {ID}"
FLUSH_SITE = 'relay queue flush --site "mx:b.example"'
SHAPING = 'rule "google" of shaping.toml bounds the site'


@pytest.mark.parametrize(
    ("facts", "limit", "why", "next_at", "advice"),
    [
        (BASE, "backoff", "attempt 1 was answered: 450 later", NOW + 300, FLUSH),
        (replace(BASE, due_at=NOW + 9000), "backoff", "attempt 1", NOW + 5000, FLUSH),  # given up then
        (replace(BASE, is_running=False), "backoff", "attempt 1", NOW + 300, FLUSH),
        (
            replace(BASE, attempts=0, reply="delayed until x by the send rate of the account"),
            "account",
            "delayed until x by the send rate",
            NOW + 300,
            "relay account set NAME --rate N --quota N",
        ),
        (
            replace(BASE, state=RecipientState.HELD),
            "hold",
            "an operator holds it",
            None,
            f"relay queue release {ID}",
        ),
        (
            replace(
                BASE, state=RecipientState.HELD, attempts=0, reply="held: the quota of the account is reached"
            ),
            "hold",
            "held: the quota",
            None,
            f"relay queue release {ID}",
        ),
        (replace(BASE, place="connection", suspended="x"), "none", "it is being delivered", NOW, ""),
        (
            replace(
                BASE, suspended="domain b.example is suspended: they asked", resume='--domain "b.example"'
            ),
            "suspension",
            "domain b.example is suspended: they asked",
            None,
            'relay queue resume --domain "b.example"',
        ),
        (replace(BASE, place="route"), "route", "the DNS is asked", NOW, "relay doctor b.example"),
        (
            replace(QUEUED, lane=DOWN),
            "breaker",
            "the site is left alone: connect: refused",
            NOW + 30,
            FLUSH_SITE,
        ),
        (replace(QUEUED, lane=PROBING), "breaker", "one message tries it", NOW, FLUSH_SITE),
        (replace(QUEUED, lane=PAUSING), "rate", "the receiver asked for less mail", NOW + 5, SHAPING),
        (replace(QUEUED, lane=PACED), "rate", "rate of the rule (2/s)", NOW + 0.5, SHAPING),
        (replace(QUEUED, lane=NONE_LEFT), "share", "other workers use all connections", NOW, ""),
        (replace(QUEUED, before=7), "turn", "others of its account leave first", NOW, ""),
        (QUEUED, "connections", "all 20 connections are busy", NOW, SHAPING),
        (replace(QUEUED, lane={}), "connections", "it waits for a connection", NOW, ""),
        (replace(PARKED, lane=DOWN, site="mx:b.example"), "breaker", "left alone", NOW + 30, FLUSH_SITE),
        (replace(PARKED, lane=DOWN), "breaker", "left alone", NOW + 30, FLUSH),
        (replace(PARKED, reply="site-down: x"), "room", "part of the memory is full", NOW, ""),
        (
            replace(PARKED, is_running=False),
            "worker",
            "does not run",
            None,
            "relay run, or see the relay's log",
        ),
        (
            replace(PARKED, route_fault="dns-temporary: SERVFAIL"),
            "route",
            "SERVFAIL",
            NOW,
            "relay doctor b.example",
        ),
        (replace(BASE, due_at=NOW - 5), "room", "it comes in as others leave", NOW, ""),
    ],
)
def test_what_binds(facts: Facts, limit: str, why: str, next_at: float | None, advice: str) -> None:
    found = explain(facts)
    assert (found.limit, found.next_at, found.advice) == (limit, next_at, advice)
    assert why in found.why


def test_where_it_is() -> None:
    assert explain(BASE).where == "on disk, deferred"
    assert explain(PARKED).where == "on disk, parked"
    assert (
        explain(replace(QUEUED, before=7)).where
        == "in the queue of its lane, 7 messages of its account before it"
    )
    assert explain(replace(QUEUED, accounts=3)).where.endswith(", 3 accounts take turns")
