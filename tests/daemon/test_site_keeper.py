"""The ledger of lanes in the supervisor: answers at once, calls whom it concerns."""

import asyncio

from relay.base.errors import RelayError
from relay.base.tasks import Tasks
from relay.daemon.supervisor.site_keeper import SiteKeeper
from relay.traffic.shares import SHARE_S, Demand
from tests.fakes.clock import ManualClock


class Calls:
    def __init__(self) -> None:
        self.made: list[tuple[int, list[str]]] = []
        self.is_deaf = False

    async def __call__(self, life: int, lanes: list[str]) -> None:
        self.made.append((life, lanes))
        if self.is_deaf:
            raise RelayError("gone")


def lanes(*names: str, held: int = 0, wanted: int = 5, cap: int = 0) -> dict[str, list[list[object]]]:
    return {"lanes": [list(Demand(name, 5, 0.0, held, wanted, cap, 0, 0.0)) for name in names]}


async def test_answers_calls_and_forgets() -> None:
    clock, calls = ManualClock(), Calls()
    keeper = SiteKeeper(clock, calls, Tasks("test"))
    assert [share.connections for share in keeper.answer(1, lanes("a", "b"))] == [5, 5]
    assert [share.connections for share in keeper.answer(2, lanes("b", "c"))] == [0, 5]
    await asyncio.sleep(0)
    assert calls.made == [(1, ["b"])]
    assert keeper.answer(1, lanes("b", held=3, cap=5))[0].connections == 3
    calls.is_deaf = True
    keeper.forget(1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert calls.made[-1] == (2, ["b"])
    assert keeper.answer(2, lanes("b"))[0].connections == 5
    clock.advance(SHARE_S)
    assert keeper.answer(2, lanes("z"))[0].connections == 5
    assert len(keeper) == 1  # the others have ended
