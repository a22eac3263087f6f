from relay.base.budget import Budget
from relay.base.clock import SystemClock
from relay.ingress.auth import Throttle
from relay.ingress.connections import LocalTally
from relay.ingress.counters import Counters
from relay.ingress.surroundings import Surroundings

from .fakes import Accounts, RecordingIntake


async def test_each_worker_has_its_own_tasks():
    parts = (RecordingIntake(), Accounts(), LocalTally(), Throttle(), Budget(1), Counters(), SystemClock())
    first, second = Surroundings(*parts), Surroundings(*parts)
    assert first.tasks is not second.tasks
    assert first.certificate is None
