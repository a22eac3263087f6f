"""Which addresses are the simulator's, and which mailbox each names."""

import pytest

from relay.base.simulator import Mailbox, is_simulator, is_simulator_domain, mailbox_of, simulator_domain

SERVICE = "Relay.Example.net"


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("success@simulator.relay.example.net", Mailbox.SUCCESS),
        ("SUCCESS@Simulator.RELAY.example.NET", Mailbox.SUCCESS),
        ("success+order-7@simulator.relay.example.net", Mailbox.SUCCESS),
        ("Bounce+a+b@simulator.relay.example.net", Mailbox.BOUNCE),
        ("bounce+@simulator.relay.example.net", Mailbox.BOUNCE),
        ("ooto@simulator.relay.example.net", Mailbox.OOTO),
        ("complaint@simulator.relay.example.net", Mailbox.COMPLAINT),
        ("suppressionlist@simulator.relay.example.net", Mailbox.SUPPRESSION_LIST),
        ("nobody@simulator.relay.example.net", None),
        ("successful@simulator.relay.example.net", None),
        ("+success@simulator.relay.example.net", None),
        ("success.@simulator.relay.example.net", None),
    ],
)
def test_every_address_there_is_the_simulators(address: str, mailbox: Mailbox | None) -> None:
    assert is_simulator(address, SERVICE)
    assert mailbox_of(address) is mailbox


@pytest.mark.parametrize(
    "address",
    [
        "success@relay.example.net",
        "success@simulator.example.net",
        "success@a.simulator.relay.example.net",
        "success@simulator.relay.example.net.example.org",
        "success@notsimulator.relay.example.net",
        "success@simulator.relay.example.net@example.org",
        "success",
        "",
        "success@\udcff",
    ],
)
def test_other_addresses_are_not(address: str) -> None:
    assert not is_simulator(address, SERVICE)


def test_a_domain_in_another_script_that_means_the_same_is_the_same() -> None:
    assert is_simulator("success@ｓimulator.relay.example.net", SERVICE)


def test_an_internationalised_domain_of_a_service() -> None:
    assert is_simulator("success@simulator.xn--bcher-kva.example", "xn--bcher-kva.example")
    assert is_simulator("success@simulator.bücher.example", "xn--bcher-kva.example")


def test_without_a_service_domain_there_is_no_simulator() -> None:
    assert simulator_domain("") == ""
    assert not is_simulator("success@simulator.", "")
    assert not is_simulator("success@simulator", "")
    assert not is_simulator_domain("", "")


def test_the_domain_that_the_router_asks_for() -> None:
    assert simulator_domain(SERVICE) == simulator_domain(SERVICE + ".") == "simulator.relay.example.net"
    assert is_simulator_domain("simulator.relay.example.net", SERVICE)
    assert not is_simulator_domain("relay.example.net", SERVICE)
