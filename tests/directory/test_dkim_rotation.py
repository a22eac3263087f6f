"""Turns of keys: who signs next, who goes, and that there is always one."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from relay.directory.dkim_life import Pace, Sight
from relay.directory.dkim_rotation import KeyRow, Turn, awaited_since, sparing, turn
from relay.directory.keys import ED25519, RSA
from relay.directory.records import KeyOrigin, KeyState

NOW = 1_800_000_000.0
DAY = 86400.0
PACE = Pace()
ACTIVE, STANDBY, RETIRED = KeyState.ACTIVE, KeyState.STANDBY, KeyState.RETIRED


def key(
    number: int,
    state: KeyState,
    age_s: float = 0.0,
    algorithm: str = RSA,
    origin: KeyOrigin = KeyOrigin.RELAY,
    is_leaving: bool = False,
    created_at: float | None = None,
) -> KeyRow:
    changed_at = NOW - age_s
    made = changed_at if created_at is None else created_at
    return KeyRow(
        number, 1, "example.org", f"s{number}", algorithm, b"", state, origin, is_leaving, made, changed_at
    )


def seen(*numbers: int) -> dict[int, Sight]:
    return dict.fromkeys(numbers, Sight.SEEN)


THREE = (key(1, ACTIVE), key(2, STANDBY), key(3, STANDBY))
OLD = (key(1, ACTIVE, 90 * DAY), key(2, STANDBY, 90 * DAY), key(3, STANDBY, 90 * DAY))


def test_young_keys_sign_on() -> None:
    assert turn(THREE, seen(1, 2, 3), NOW, PACE).is_none


def test_an_old_key_gives_way_to_a_reserve_that_is_seen() -> None:
    assert turn(OLD, seen(1, 2, 3), NOW, PACE) == Turn(promote=(2,), retire=(1,))
    assert turn(OLD, seen(3), NOW, PACE) == Turn(promote=(3,), retire=(1,))


def test_nothing_turns_without_a_record_that_is_seen() -> None:
    for sights in ({}, {2: Sight.ABSENT, 3: Sight.UNKNOWN}, seen(1)):
        held = turn(OLD, sights, NOW, PACE)
        assert held.is_none
        assert "s2._domainkey.example.org, s3._domainkey.example.org" in held.remark


def test_age_turns_no_key_where_that_is_switched_off_but_asking_does() -> None:
    never = replace(PACE, rotate_every_s=0)
    assert turn(OLD, seen(2), NOW, never).is_none
    assert turn(THREE, seen(2), NOW, never, is_asked=True) == Turn(promote=(2,), retire=(1,))


def test_a_reserve_steps_in_for_a_key_whose_record_is_gone() -> None:
    sights = {1: Sight.ABSENT, **seen(2, 3)}
    assert turn(THREE, sights, NOW, PACE).is_none
    assert turn(THREE, sights, NOW, PACE, is_healing=True) == Turn(promote=(2,), retire=(1,))
    assert turn(THREE, seen(2, 3), NOW, PACE, is_healing=True).is_none
    assert turn(THREE, {1: Sight.UNKNOWN, **seen(2, 3)}, NOW, PACE, is_healing=True).is_none


def test_each_algorithm_turns_for_itself() -> None:
    both = (*OLD, key(4, ACTIVE, DAY, ED25519), key(5, STANDBY, DAY, ED25519))
    assert turn(both, seen(2, 5), NOW, PACE) == Turn(promote=(2,), retire=(1,))
    asked = turn(both, seen(2, 5), NOW, PACE, is_asked=True)
    assert (asked.promote, asked.retire) == ((2, 5), (1, 4))


def test_a_retired_key_stays_published_while_its_mail_may_be_under_way() -> None:
    late = PACE.retired_for_s
    assert turn((*THREE[:2], key(3, RETIRED, late - 1)), {}, NOW, PACE).is_none
    assert turn((*THREE[:2], key(3, RETIRED, late)), {}, NOW, PACE) == Turn(renew=(3,))


def test_a_key_ends_only_when_none_of_its_mail_waits() -> None:
    keys = (key(1, ACTIVE), key(2, RETIRED, 9 * DAY), key(3, RETIRED, 5 * DAY, is_leaving=True))
    done = turn(keys, {}, NOW, PACE)
    assert (done.renew, done.drop) == ((2,), (3,))
    assert sparing(done, keys, NOW) == done
    assert sparing(done, keys, NOW - 6 * DAY) == Turn(renew=(2,))
    assert sparing(done, keys, NOW - 9 * DAY).is_none
    assert sparing(done, keys, NOW - 9 * DAY + 1800).is_none  # signed by a worker that heard of it late


def test_the_new_key_of_an_old_selector_waits_until_caches_have_forgotten() -> None:
    renewed = key(2, STANDBY, PACE.settled_after_s - 3600, created_at=NOW - 90 * DAY)
    held = turn((key(1, ACTIVE), renewed), seen(2), NOW, PACE, is_asked=True)
    assert held.is_none
    assert "for 1 h at most" in held.remark
    settled = replace(renewed, changed_at=NOW - PACE.settled_after_s)
    assert turn((key(1, ACTIVE), settled), seen(2), NOW, PACE, is_asked=True).promote == (2,)


def test_the_reserve_that_has_waited_longest_is_next() -> None:
    keys = (key(1, ACTIVE), key(2, STANDBY, 3 * DAY, created_at=0), key(3, STANDBY, 9 * DAY, created_at=0))
    assert turn(keys, seen(2, 3), NOW, PACE, is_asked=True).promote == (3,)


def test_other_keys_take_over_once_all_their_algorithms_are_seen() -> None:
    leaving = (key(1, ACTIVE, is_leaving=True), key(2, ACTIVE, algorithm=ED25519, is_leaving=True))
    new = (key(3, STANDBY), key(4, STANDBY), key(5, STANDBY, algorithm=ED25519))
    assert turn((*leaving, *new), seen(1, 2, 3), NOW, PACE).is_none
    assert turn((*leaving, *new), seen(3, 5), NOW, PACE) == Turn(promote=(5, 3), retire=(1, 2))
    assert awaited_since((*leaving, *new)) == NOW
    assert awaited_since(new) is None


def test_an_owners_single_key_replaces_all_and_is_not_rotated_by_us() -> None:
    leaving = (key(1, ACTIVE, is_leaving=True), key(2, ACTIVE, algorithm=ED25519, is_leaving=True))
    brought = key(3, STANDBY, origin=KeyOrigin.OWNER)
    assert turn((*leaving, brought), seen(3), NOW, PACE) == Turn(promote=(3,), retire=(1, 2))
    signing = replace(brought, state=ACTIVE, changed_at=NOW - 900 * DAY)
    assert turn((signing,), seen(3), NOW, PACE).is_none
    assert "import another" in turn((signing,), seen(3), NOW, PACE, is_asked=True).remark


def test_keys_that_left_are_dropped_not_renewed() -> None:
    gone = key(1, RETIRED, PACE.retired_for_s, is_leaving=True)
    assert turn((*THREE[:1], gone), {}, NOW, PACE).drop == (1,)
    brought = key(9, RETIRED, PACE.retired_for_s, origin=KeyOrigin.OWNER)
    assert turn((*THREE[:1], brought), {}, NOW, PACE).drop == (9,)


@given(st.data())
def test_whatever_is_seen_each_algorithm_keeps_one_signing_key(data: st.DataObject) -> None:
    """Keys of two algorithms over a year or so, with records that come and go."""
    keys = [
        key(3 * at + number, ACTIVE if number == 0 else STANDBY, algorithm=algorithm)
        for at, algorithm in enumerate((RSA, ED25519))
        for number in range(3)
    ]
    now = NOW
    for _ in range(15):
        now += data.draw(st.sampled_from([60.0, DAY, 3 * DAY, 100 * DAY]))
        sights = {one.id: data.draw(st.sampled_from(Sight)) for one in keys}
        done = turn(keys, sights, now, PACE, is_asked=data.draw(st.booleans()))
        for number in done.promote:
            assert sights[number] is Sight.SEEN
        keys = [after(one, done, now) for one in keys]
        for algorithm in (RSA, ED25519):
            assert [one.state for one in keys if one.algorithm == algorithm].count(ACTIVE) == 1


def after(one: KeyRow, done: Turn, now: float) -> KeyRow:
    if one.id in done.promote:
        return replace(one, state=ACTIVE, changed_at=now)
    if one.id in done.retire:
        return replace(one, state=RETIRED, changed_at=now)
    if one.id in done.renew:
        return replace(one, state=STANDBY, changed_at=now)
    return one
