"""What all tests share: a machine that is busy with other things makes no property false.

How they are shared out among processes: what takes long begins first, so that no process is left with a crash
round when the others have ended; a file whose tests share a relay, or anything else of a module, stays in one
process, so that there is one such relay; scenarios that start their own go wherever there is room.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

# Some images forbid to keep compiled modules; relays that tests start would compile all of theirs each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Who starts us in the background may have had us ignore Ctrl-C; the programs that we start must hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")

ROOT = Path(__file__).parents[1]
FIRST = (
    "tests/crash/",
    "tests/scenarios/",
    "tests/daemon/test_supervisor.py",
    "tests/daemon/",
    "tests/traffic/",
)
APART = FIRST[:3]
OF_A_MODULE = ('scope="module"', "shared_relay", "running: RunningRelay")


@cache
def rank(file: str) -> int:
    """The lower, the earlier."""
    return next((place for place, start in enumerate(FIRST) if file.startswith(start)), len(FIRST))


@cache
def is_split(file: str) -> bool:
    """Whether the tests of a file may run in several processes."""
    return file.startswith(APART) and not any(one in (ROOT / file).read_text() for one in OF_A_MODULE)


class Scheduling(LoadScopeScheduling):
    """Files, and scenarios on their own, in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if is_split(file) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    config.option.loadscopereorder = False
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: rank(item.nodeid.partition("::")[0]))


@pytest.fixture(autouse=True)
def the_process_stays_as_it_was() -> Iterator[None]:
    """Some commands make what they write private, and give way to others, for the rest of their process; in
    tests that is ours, and the programs of the tests after it inherit both."""
    umask, nice = os.umask(0o022), os.getpriority(os.PRIO_PROCESS, 0)
    os.umask(umask)
    yield
    os.umask(umask)
    if os.getpriority(os.PRIO_PROCESS, 0) != nice:
        with suppress(PermissionError):  # root alone may take more again
            os.setpriority(os.PRIO_PROCESS, 0, nice)
