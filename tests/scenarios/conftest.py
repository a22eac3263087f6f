"""What scenarios share: one set of keys per session, receivers, and relays that end with their test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.prepared import Prepared, prepare
from tests.fakes.running import RunningRelay
from tests.scenarios.receiver import Receiver

StartRelay = Callable[..., RunningRelay]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


@pytest.fixture
def start_relay(tmp_path: Path, prepared: Prepared) -> Iterator[StartRelay]:
    """Start a relay; one that still runs when the test ends is ended by SIGTERM, and must end well."""
    with ExitStack() as stack:
        started: list[RunningRelay] = []

        def start(**settings: Any) -> RunningRelay:
            relay = RunningRelay(tmp_path / f"relay-{len(started)}", prepared, **settings)
            started.append(stack.enter_context(relay))
            return relay

        yield start
        for relay in started:
            if relay.process is not None and relay.process.poll() is None:
                relay.stop()
            assert "Traceback" not in relay.log()


@pytest.fixture(scope="module")
def shared_receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


@pytest.fixture(scope="module")
def shared_relay(
    tmp_path_factory: pytest.TempPathFactory, prepared: Prepared, shared_receiver: Receiver
) -> Iterator[RunningRelay]:
    """One relay for all tests of a file: they must not change its configuration or its processes."""
    folder = tmp_path_factory.mktemp("shared")
    with RunningRelay(folder, prepared, next_hop=shared_receiver.port) as relay:
        yield relay
        relay.stop()
        assert "Traceback" not in relay.log()
