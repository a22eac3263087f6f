"""What waits, counted beside the workers."""

import pytest

from relay.base.errors import SpoolError
from relay.base.message import RecipientState
from relay.spool.waiting import waiting
from tests.fakes.clock import ManualClock
from tests.fakes.spool import NOW, deferring, message, storing


async def test_states_ages_and_domains_over_all_shards(shards) -> None:
    first, second = await shards.open(1), await shards.open(2)
    one = message("a@example.org", "b@sub.example", now=NOW)
    held = message("d@example.org", now=NOW + 20)
    held.recipients[0].state = RecipientState.HELD
    other = message("e@example.org", now=NOW + 5)
    other.id = other.id[:-6] + "000002"
    await first.commit(storing(one, held))
    await second.commit(storing(other))
    await first.commit(deferring(one, 1, NOW + 300, attempts=2, reply="450 later"))
    found = waiting(shards.path)
    assert dict((name, (count, at)) for name, count, at in found.states) == {
        "fresh": (2, NOW), "deferred": (1, NOW), "held": (1, NOW + 20), "parked": (0, 0.0),
    }  # fmt: skip
    assert found.domains == (("example.org", 3, ""), ("sub.example", 1, "450 later"))
    assert waiting(shards.path, top=1).domains == (("example.org", 3, ""),)
    assert not found.is_cut


async def test_without_a_spool_nothing_waits(tmp_path) -> None:
    assert sum(count for _, count, _ in waiting(tmp_path / "none").states) == 0


async def test_one_that_takes_too_long_is_cut_short(shards, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = await shards.open(1)
    await shard.commit(storing(*[message(f"a@d{n}.example", now=NOW) for n in range(50)]))
    monkeypatch.setattr("relay.spool.waiting._STEPS", 1)
    clock = ManualClock()
    assert waiting(shards.path, limit_s=-1.0, clock=clock).is_cut


async def test_damage_is_an_error(shards) -> None:
    folder = shards.path / "shard-000001"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spool.db").write_bytes(b"no database" * 100)
    with pytest.raises(SpoolError, match=r"spool\.db"):
        waiting(shards.path)
