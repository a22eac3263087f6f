"""The life of an identity as a table: how it stands, what was found, when; and what becomes of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.directory.records import IdentityKind, IdentityState, RecordState
from relay.directory.verification import (
    LATE_S,
    SOON_S,
    Finding,
    Settings,
    Standing,
    Step,
    Told,
    decide,
    find,
)

HOUR, DAY = 3600.0, 86400.0
T = 1_800_000_000.0
SETTINGS = Settings()
P, V, W, F, R = (
    IdentityState.PENDING,
    IdentityState.VERIFIED,
    IdentityState.WARNED,
    IdentityState.FAILED,
    IdentityState.REVOKED,
)
DOMAIN = Standing(
    1, 1, "example.org", IdentityKind.DOMAIN, P, "token", RecordState.PENDING, None, None, T + 300
)
ADDRESS = replace(DOMAIN, name="a@example.org", kind=IdentityKind.ADDRESS)


def standing(state: IdentityState, age: float) -> Standing:
    """A domain that has been pending, or without its records, for ``age``."""
    since = T - age
    return replace(
        DOMAIN,
        state=state,
        pending_since=since if state is P else None,
        missing_since=since if state is W else None,
    )


@pytest.mark.parametrize(
    ("state", "age", "finding", "after", "told", "next_in"),
    [
        (P, 0.0, Finding.MISSING, P, None, SOON_S),
        (P, 60.0, Finding.MISSING, P, None, 15.0),
        (P, 10 * HOUR, Finding.MISSING, P, None, LATE_S),
        (P, 72 * HOUR - 600, Finding.MISSING, P, None, 600.0),
        (P, 72 * HOUR, Finding.MISSING, F, Told.FAILED, None),
        (P, 72 * HOUR, Finding.UNKNOWN, P, None, LATE_S),
        (P, 144 * HOUR, Finding.UNKNOWN, F, Told.FAILED, None),
        (P, 0.0, Finding.FOUND, V, Told.VERIFIED, DAY),
        (P, 80 * HOUR, Finding.FOUND, V, Told.VERIFIED, DAY),  # we were late, not the owner
        (V, 0.0, Finding.FOUND, V, None, DAY),
        (V, 0.0, Finding.UNKNOWN, V, None, LATE_S),
        (V, 0.0, Finding.MISSING, W, Told.WARNED, SOON_S),
        (W, HOUR, Finding.MISSING, W, None, 900.0),
        (W, 72 * HOUR - 600, Finding.MISSING, W, None, 600.0),
        (W, 72 * HOUR, Finding.MISSING, R, Told.REVOKED, None),
        (W, 720 * HOUR, Finding.UNKNOWN, W, None, LATE_S),
        (W, 71 * HOUR, Finding.FOUND, V, Told.CANCELLED, DAY),
        (W, 80 * HOUR, Finding.FOUND, V, Told.CANCELLED, DAY),
        (F, 0.0, Finding.FOUND, F, None, None),
        (R, 0.0, Finding.FOUND, R, None, None),
    ],
)
def test_the_life_of_a_domain(
    state: IdentityState,
    age: float,
    finding: Finding,
    after: IdentityState,
    told: Told | None,
    next_in: float | None,
) -> None:
    before = standing(state, age)
    step = decide(before, finding, T, SETTINGS, 0.0)
    assert (step.state, step.told) == (after, told)
    assert step.next_check_at == (None if next_in is None else T + next_in)
    assert step.pending_since == (before.pending_since if after is P else None)
    if after is W:
        assert step.missing_since == (T if state is V else before.missing_since)
    else:
        assert step.missing_since is None


@pytest.mark.parametrize(
    ("state", "sent_ago", "expected"),
    [
        (P, None, Step(P, T, None, T + DAY, None, True)),
        (P, HOUR, Step(P, T - HOUR, None, T + 23 * HOUR)),
        (P, DAY, Step(F, told=Told.FAILED)),
        (V, None, Step(V, told=Told.VERIFIED)),
        (F, None, Step(F)),
    ],
)
def test_the_life_of_an_address(state: IdentityState, sent_ago: float | None, expected: Step) -> None:
    since = None if sent_ago is None else T - sent_ago
    address = replace(ADDRESS, state=state, pending_since=since)
    assert decide(address, Finding.UNKNOWN, T, SETTINGS, 0.5) == expected


@pytest.mark.parametrize(
    ("texts", "is_answered", "dkim", "finding"),
    [
        (("v=spf1 -all", "token"), True, RecordState.PENDING, Finding.FOUND),
        ((" token ",), False, RecordState.NONE, Finding.FOUND),
        (("TOKEN",), True, RecordState.PENDING, Finding.MISSING),
        ((), True, RecordState.WARNED, Finding.MISSING),
        ((), False, RecordState.PENDING, Finding.UNKNOWN),
        ((), False, RecordState.VERIFIED, Finding.FOUND),
    ],
)
def test_token_or_dkim_records_prove_a_domain(
    texts: tuple[str, ...], is_answered: bool, dkim: RecordState, finding: Finding
) -> None:
    assert find(texts, "token", is_answered, dkim) is finding


def test_no_token_is_found_in_an_empty_record() -> None:
    assert find(("",), "", True, RecordState.PENDING) is Finding.MISSING


@given(
    state=st.sampled_from([P, V, W]),
    age=st.floats(0, 100 * HOUR),
    finding=st.sampled_from(Finding),
    spread=st.floats(0, 1),
)
def test_whoever_is_looked_at_is_looked_at_again_and_no_one_is_asked_without_end(
    state: IdentityState, age: float, finding: Finding, spread: float
) -> None:
    step = decide(standing(state, age), finding, T, SETTINGS, spread)
    is_alive = step.state in (P, V, W)
    assert (step.next_check_at is not None) == is_alive
    if step.next_check_at is not None:
        assert T + 0.9 * SOON_S <= step.next_check_at <= T + DAY
    if finding is Finding.UNKNOWN and state is not P:
        assert step.state is state


def test_the_search_asks_a_bounded_number_of_times() -> None:
    now, looks, domain = T, 0, standing(P, 0.0)
    while domain.state is P:
        step = decide(domain, Finding.MISSING, now, SETTINGS, 0.0)
        domain = replace(domain, state=step.state, pending_since=step.pending_since)
        now, looks = step.next_check_at or now, looks + 1
    assert now == T + 72 * HOUR
    assert looks < 120
