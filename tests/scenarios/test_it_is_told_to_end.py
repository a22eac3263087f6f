"""SIGTERM under load: nothing that was promised is lost, and nothing is sent twice where nothing crashed."""

import signal

from tests.fakes.prepared import wait_until
from tests.fakes.running import STOP_S
from tests.scenarios.conftest import StartRelay
from tests.scenarios.load import Load
from tests.scenarios.receiver import Receiver


def test_under_load_nothing_is_lost(start_relay: StartRelay, receiver: Receiver) -> None:
    relay = start_relay(next_hop=receiver.port)
    with Load(relay) as load:
        load.wait_for(100)
        relay.stop()
    assert "relay ended" in relay.log()
    relay.start()
    load.check(receiver)


def test_a_client_in_the_middle_of_a_session_is_told(start_relay: StartRelay, receiver: Receiver) -> None:
    relay = start_relay(next_hop=receiver.port, workers=1)
    client = relay.client()
    relay.signal(signal.SIGTERM)
    assert client.getreply() == (421, b"4.3.2 Service shutting down")
    client.close()
    assert relay.process is not None
    assert relay.process.wait(STOP_S) == 0


def test_the_second_time_it_ends_at_once(start_relay: StartRelay, receiver: Receiver) -> None:
    """A receiver that never answers the dot would hold the drain up for its whole bound."""
    receiver.is_mute = True
    relay = start_relay(next_hop=receiver.port, workers=1, drain="90s")
    with Load(relay) as load:
        load.wait_for(50)
        wait_until(lambda: receiver.muted, "a dot was sent")
    relay.signal(signal.SIGTERM)
    wait_until(lambda: "relay drains" in relay.log(), "it drains")
    assert relay.process is not None
    relay.signal(signal.SIGTERM)
    assert relay.process.wait(45.0) in (0, 1)  # half of the drain's own bound
    receiver.is_mute = False
    relay.start()
    load.check(receiver)
    assert receiver.muted  # these dots were sent, their reply never seen: they are told apart
    wait_until(lambda: relay.count("uncertain_found"), "what is uncertain is counted")


def test_all_processes_are_killed(start_relay: StartRelay, receiver: Receiver) -> None:
    relay = start_relay(next_hop=receiver.port)
    with Load(relay) as load:
        load.wait_for(100)
        relay.kill()
    relay.start()
    load.check(receiver, allowed_twice=40)  # the dots in flight: at most one per connection
