"""A worker that is killed, or hangs, is replaced; its sockets and its mail outlive it."""

import os
import signal
from pathlib import Path

import pytest

from tests.fakes.prepared import wait_until
from tests.scenarios.conftest import StartRelay
from tests.scenarios.load import Load
from tests.scenarios.receiver import Receiver


@pytest.mark.parametrize("how", ["killed", "hung"])
def test_it_is_replaced_and_its_mail_delivered(start_relay: StartRelay, receiver: Receiver, how: str) -> None:
    relay = start_relay(next_hop=receiver.port, heartbeat="3s")
    before = relay.worker_pids()
    assert len(before) == 2
    with Load(relay) as load:
        load.wait_for(60)
        os.kill(before[0], signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        wait_until(
            lambda: before[0] not in relay.worker_pids() and len(relay.worker_pids()) == 2,
            "another worker takes its place",
        )
        wait_until(relay.is_ready, "it is ready")
        load.wait_for(len(load.promised) + 60)
    load.check(receiver, allowed_twice=20)
    assert before[1] in relay.worker_pids()
    assert not Path(f"/proc/{before[0]}").exists()
    _, text = relay.http("/metrics")
    assert 'relay_worker_restarts_total{worker="0"} 1.0' in text or (
        'relay_worker_restarts_total{worker="1"} 1.0' in text
    )
    if how == "hung":
        assert "worker hangs; killed" in relay.log()


def test_fewer_workers_adopt_what_the_others_left(start_relay: StartRelay, receiver: Receiver) -> None:
    receiver.is_mute = True
    relay = start_relay(next_hop=receiver.port)
    with Load(relay, per_session=5) as load:
        wait_until(lambda: {i[-6:] for i in list(load.ids)} == {"000001", "000002"}, "both have mail")
        load.wait_for(40)
    relay.kill()
    relay.configure(workers=1)
    receiver.is_mute = False
    relay.start()
    assert len(relay.worker_pids()) == 1
    load.check(receiver)
    assert "shards=2" in relay.log()
