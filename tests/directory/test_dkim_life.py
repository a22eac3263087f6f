"""How DKIM stands after each look: a table, and the whole life of one domain."""

import pytest

from relay.directory.dkim_life import Pace, Sight, Standing, Step, after_look, all_of, any_of, next_look_s
from relay.directory.records import RecordState

HOUR, DAY = 3600.0, 86400.0
NOW = 1_800_000_000.0
PACE = Pace()
PENDING, VERIFIED, WARNED, FAILED, NONE = (
    RecordState.PENDING,
    RecordState.VERIFIED,
    RecordState.WARNED,
    RecordState.FAILED,
    RecordState.NONE,
)
SEEN, ABSENT, UNKNOWN = Sight.SEEN, Sight.ABSENT, Sight.UNKNOWN

pending = Standing(PENDING, pending_since=NOW - HOUR)
late = Standing(PENDING, pending_since=NOW - 72 * HOUR)
vouched_for = Standing(VERIFIED)
verified = Standing(VERIFIED, seen_at=NOW - DAY)
warned = Standing(WARNED, seen_at=NOW - DAY, missing_since=NOW - HOUR)
overdue = Standing(WARNED, seen_at=NOW - 6 * DAY, missing_since=NOW - 5 * DAY)
failed = Standing(FAILED, pending_since=NOW - 90 * HOUR)


@pytest.mark.parametrize(
    ("before", "needed", "signing", "state", "step"),
    [
        (pending, SEEN, SEEN, VERIFIED, Step.FOUND),
        (pending, ABSENT, SEEN, PENDING, None),  # one of three is not all of three
        (pending, ABSENT, ABSENT, PENDING, None),
        (pending, UNKNOWN, UNKNOWN, PENDING, None),
        (late, SEEN, SEEN, VERIFIED, Step.FOUND),
        (late, ABSENT, SEEN, FAILED, Step.FAILED),
        (late, UNKNOWN, UNKNOWN, PENDING, None),
        (vouched_for, ABSENT, ABSENT, VERIFIED, None),  # never seen: the administrator's word holds
        (vouched_for, UNKNOWN, UNKNOWN, VERIFIED, None),
        (vouched_for, SEEN, SEEN, VERIFIED, None),
        (verified, SEEN, SEEN, VERIFIED, None),
        (verified, ABSENT, SEEN, VERIFIED, None),  # a reserve is missing
        (verified, ABSENT, UNKNOWN, VERIFIED, None),
        (verified, UNKNOWN, UNKNOWN, VERIFIED, None),
        (verified, ABSENT, ABSENT, WARNED, Step.WARNED),
        (warned, ABSENT, ABSENT, WARNED, None),
        (warned, UNKNOWN, UNKNOWN, WARNED, None),
        (warned, ABSENT, SEEN, VERIFIED, Step.RECOVERED),
        (overdue, ABSENT, ABSENT, FAILED, Step.REVOKED),
        (overdue, UNKNOWN, UNKNOWN, WARNED, None),
        (overdue, SEEN, SEEN, VERIFIED, Step.RECOVERED),
        (failed, SEEN, SEEN, FAILED, None),  # the owner begins again
        (Standing(NONE), ABSENT, ABSENT, NONE, None),
    ],
)
def test_after_a_look(
    before: Standing, needed: Sight, signing: Sight, state: RecordState, step: Step | None
) -> None:
    after, told = after_look(before, needed, signing, NOW, PACE)
    assert (after.state, told) == (state, step)
    if UNKNOWN in (needed, signing) and before.seen_at is None:
        assert after == before
    assert (after.seen_at == NOW) is (signing is SEEN and state is VERIFIED)
    assert (after.missing_since is not None) is (state is WARNED or told is Step.REVOKED)


def test_what_was_vouched_for_and_then_seen_can_be_gone() -> None:
    seen, _ = after_look(vouched_for, SEEN, SEEN, NOW, PACE)
    assert after_look(seen, ABSENT, ABSENT, NOW + DAY, PACE)[1] is Step.WARNED


def test_several_records_amount_to_the_worst_that_is_certain() -> None:
    assert all_of([SEEN, SEEN]) is SEEN
    assert all_of([SEEN, UNKNOWN]) is UNKNOWN
    assert all_of([SEEN, UNKNOWN, ABSENT]) is ABSENT
    assert all_of([]) is ABSENT


def test_of_several_signatures_one_that_verifies_is_enough() -> None:
    assert any_of([ABSENT, UNKNOWN, SEEN]) is SEEN
    assert any_of([ABSENT, UNKNOWN]) is UNKNOWN
    assert any_of([ABSENT, ABSENT]) is any_of([]) is ABSENT


@pytest.mark.parametrize(
    ("standing", "needed", "awaited", "seconds"),
    [
        (Standing(PENDING, pending_since=NOW), ABSENT, None, 60),
        (Standing(PENDING, pending_since=NOW - HOUR), ABSENT, None, 360),
        (Standing(PENDING, pending_since=NOW - DAY), ABSENT, None, HOUR),
        (verified, SEEN, None, DAY),
        (verified, ABSENT, None, DAY),
        (verified, ABSENT, NOW - 100, 60),  # new keys wait
        (verified, UNKNOWN, None, 300),
        (warned, ABSENT, None, HOUR),
    ],
)
def test_when_to_look_again(standing: Standing, needed: Sight, awaited: float | None, seconds: float) -> None:
    assert next_look_s(standing, needed, NOW, PACE, awaited) == seconds
