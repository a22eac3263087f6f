"""What the doctor is told of an identity: what signs, and whose MAIL FROM is used, as for a message."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.admin.doctor import Patient
from relay.admin.finding import MailFrom
from relay.daemon.settings.config import parse
from relay.daemon.worker.patients import leaving_from, own_addresses, patient_of, snapshot_of
from relay.directory.mail_from_life import Seen, Times, decide
from relay.directory.records import OnMailFromFailure
from relay.directory.secrets import create_key_file
from relay.directory.store import Directory
from tests.fakes.clock import ManualClock

BASE = '[relay]\nhostname = "Relay.example.net"\n'
OURS = BASE + '[signing]\nreturn_path = "relay"\nreturn_path_domain = "bounces.relay.example"\n'


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    create_key_file(tmp_path / "relay.key")
    made = Directory(
        f"sqlite:///{tmp_path / 'directory.db'}", tmp_path / "relay.key", "us-east-1", ManualClock()
    )
    made.migrate()
    made.accounts.create("shop")
    made.identities.add("shop", "example.org", is_verified=True)
    yield made
    made.close()


def patient(directory: Directory, name: str, text: str = BASE) -> Patient:
    config = parse(text, Path("/etc/relay/relay.toml"))
    held = directory.mail_froms.show(name)
    return patient_of(held, snapshot_of(directory), config, ("192.0.2.1",), directory)


def test_a_domain_as_it_is(directory: Directory) -> None:
    made = patient(directory, "example.org")
    (signing,) = directory.identities.signing_keys("example.org")[:1]
    assert (made.domain, made.helo, made.host) == ("example.org", "relay.example.net", "relay.example.net")
    assert (made.mail_from, made.mail_from_kind) == ("example.org", MailFrom.SENDER)
    assert signing.record_name in [key.name for key in made.keys]
    assert (made.unused, made.unverified, made.is_dkim_on) == ("", "", True)


def test_whose_mail_from(directory: Directory) -> None:
    made = patient(directory, "example.org", OURS)
    assert (made.mail_from, made.mail_from_kind) == ("bounces.relay.example", MailFrom.RELAY)
    for choice, used, kind in (
        (OnMailFromFailure.USE_DEFAULT, "bounces.relay.example", MailFrom.RELAY),
        (OnMailFromFailure.REJECT, "bounce.example.org", MailFrom.OWN),
    ):
        directory.mail_froms.put("example.org", "bounce.example.org", choice)
        made = patient(directory, "example.org", OURS)
        assert (made.mail_from, made.mail_from_kind) == (used, kind)
        assert "bounce.example.org is pending" in made.unused
    (stand,) = directory.mail_froms.claim(1)
    directory.mail_froms.settle(stand, decide(stand, Seen.RIGHT, 0.0, Times()))
    made = patient(directory, "example.org", OURS)
    assert (made.mail_from, made.mail_from_kind, made.unused) == ("bounce.example.org", MailFrom.OWN, "")


def test_an_address_is_signed_for_by_its_domain(directory: Directory) -> None:
    directory.identities.add("shop", "joe@example.org", is_verified=True)
    made = patient(directory, "joe@example.org")
    assert made.domain == "example.org"
    assert [key.domain for key in made.keys] == ["example.org"]


def test_what_is_not_verified_is_said_to_be_so_and_has_its_keys_all_the_same(directory: Directory) -> None:
    directory.identities.add("shop", "mail.example.org")
    made = patient(directory, "mail.example.org")
    assert made.unverified == "pending"
    assert {key.domain for key in made.keys} == {"mail.example.org"}


def test_the_addresses_that_mail_leaves_from() -> None:
    config = parse(BASE + '[delivery]\nsource_address = "192.0.2.7"\n', Path("/etc/relay/relay.toml"))
    assert own_addresses(config) == ("192.0.2.7",)
    for address in own_addresses(parse(BASE, Path("/etc/relay/relay.toml"))):
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as one:
            one.bind((address, 0))  # raises if it is not this machine's


def test_an_address_of_the_domain_that_is_an_identity_too_changes_nothing(directory: Directory) -> None:
    directory.identities.add("shop", "postmaster@example.org", is_verified=True)
    assert patient(directory, "example.org").unverified == ""


def test_keys_whose_records_are_not_there_do_not_sign_and_are_looked_at(directory: Directory) -> None:
    directory.identities.add("shop", "new.example")
    directory.identities.verify("new.example")
    made = patient(directory, "new.example")
    state = directory.dkim.of("new.example").standing.state.value
    assert [key.is_signing for key in made.keys] == [state == "verified"] * len(made.keys)
    assert made.keys


def test_with_a_service_domain_a_cname_is_to_be_published(directory: Directory) -> None:
    text = BASE + '[signing]\nservice_domain = "relay.example"\n'
    (key,) = patient(directory, "example.org", text).keys[:1]
    assert key.publish == f"{key.name}. IN CNAME {key.name.partition('.')[0]}.dkim.relay.example."
    (key,) = patient(directory, "example.org").keys[:1]
    assert " IN TXT ( " in key.publish


def test_a_next_hop_for_all_mail_is_what_receivers_see(directory: Directory) -> None:
    route = '[[route]]\ndomain = "*"\nnext_hop = "smarthost.example:587"\n'
    assert patient(directory, "example.org", BASE + route).smarthost == ""  # its address was given
    config = parse(BASE + route, Path("/etc/relay/relay.toml"))
    made = patient_of(directory.mail_froms.show("example.org"), snapshot_of(directory), config, (), directory)
    assert made.smarthost == "smarthost.example:587"
    assert tuple(made.addresses) == own_addresses(config)


SOURCES = (
    BASE
    + """[delivery]
source_address = "192.0.2.9"
source = "both"
[[source]]
name = "one"
addresses = ["192.0.2.1", "2001:db8::1"]
helo_name = "One.example.net"
[[source]]
name = "two"
addresses = ["192.0.2.2"]
[[source]]
name = "any"
helo_name = "any.example.net"
[[source_pool]]
name = "both"
sources = ["one", "two"]
"""
)
ONE = {"192.0.2.1": "one.example.net", "2001:db8::1": "one.example.net"}


@pytest.mark.parametrize(
    ("source", "addresses", "helo_of"),
    [
        ("one", ("192.0.2.1", "2001:db8::1"), ONE),
        ("two", ("192.0.2.2",), {}),
        ("both", ("192.0.2.1", "2001:db8::1", "192.0.2.2"), ONE),
        ("", ("192.0.2.1", "2001:db8::1", "192.0.2.2"), ONE),  # the default
        ("gone", ("192.0.2.1", "2001:db8::1", "192.0.2.2"), ONE),
        ("any", ("192.0.2.9",), {"192.0.2.9": "any.example.net"}),
    ],
)
def test_sources_leave_from_their_own_addresses(
    source: str, addresses: tuple[str, ...], helo_of: dict[str, str]
) -> None:
    config = parse(SOURCES, Path("/etc/relay/relay.toml"))
    assert leaving_from(config, source) == (addresses, helo_of)
    assert leaving_from(parse(BASE, Path("/etc/relay/relay.toml")), source)[1] == {}


def test_an_account_is_examined_with_its_source(directory: Directory) -> None:
    directory.accounts.set("shop", source="two")
    config = parse(SOURCES, Path("/etc/relay/relay.toml"))
    held = directory.mail_froms.show("example.org")
    made = patient_of(held, snapshot_of(directory), config, (), directory)
    assert (made.addresses, made.helo_of) == (("192.0.2.2",), {})
    given = patient_of(held, snapshot_of(directory), config, ("192.0.2.1",), directory)
    assert (given.addresses, given.helo_of) == (("192.0.2.1",), {})


def test_who_hears_what_comes_back(directory: Directory) -> None:
    assert not patient(directory, "example.org").has_inbound
    listener = '[[listener]]\naddress = "127.0.0.1:25"\nrole = "inbound"\n'
    for more, is_read in (("", False), ('postmaster = "admin@people.example"\n', True)):
        made = patient(directory, "example.org", BASE + more + listener)
        assert (made.has_inbound, made.is_postmaster_read) == (True, is_read)
