"""Relays that run: one set of keys per session, one relay per module for tests that do not disturb it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.prepared import Port, Prepared, prepare
from tests.fakes.running import RunningRelay

StartRelay = Callable[..., RunningRelay]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="session")
def nobody() -> Iterator[int]:
    """A port of loopback on which nobody listens."""
    port = Port()
    yield port.number
    port.free()


@pytest.fixture
def start_relay(tmp_path: Path, prepared: Prepared, nobody: int) -> Iterator[StartRelay]:
    """Start a relay that delivers to nobody; it ends with the test."""
    with ExitStack() as stack:

        def start(**settings: Any) -> RunningRelay:
            folder = tmp_path / f"relay-{len(list(tmp_path.iterdir()))}"
            return stack.enter_context(RunningRelay(folder, prepared, **{"next_hop": nobody, **settings}))

        yield start


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, prepared: Prepared, nobody: int
) -> Iterator[RunningRelay]:
    """A relay whose mail waits: its next hop is down, and is tried again in an hour."""
    folder = tmp_path_factory.mktemp("running")
    with RunningRelay(folder, prepared, next_hop=nobody, retry='["1h"]') as relay:
        yield relay
        relay.stop()
        assert "Traceback" not in relay.log()
