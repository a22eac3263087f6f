"""The way in of a worker: its doors follow the configuration and the directory."""

from dataclasses import dataclass
from pathlib import Path

from relay.base.inbound import Door
from relay.base.return_path import make
from relay.daemon.inbound import Inbound, doors_of
from relay.daemon.settings.config import Config, parse

KEY = b"k" * 32
ID = "0000019a8c3b1f20-5b1c9f1e-8a7b-4c3d-9e2f-1a2b3c4d5e6f-00002a"
TEXT = """[relay]
hostname = "MX.relay.example"
{relay}
[signing]
service_domain = "relay.example"
{signing}
"""


def config(relay: str = "", signing: str = "", more: str = "") -> Config:
    return parse(TEXT.format(relay=relay, signing=signing) + more, Path("/x"))


@dataclass(frozen=True)
class Names:
    mail_from_domains: frozenset[str]


def door(settings: Config, address: str, names: frozenset[str] = frozenset()) -> Door:
    return doors_of(settings, names, KEY).find(address, address.rpartition("@")[2])[0]


def test_where_return_paths_come_back() -> None:
    ours = make(ID, KEY)
    named = config(signing='return_path_domain = "bounces.example"')
    assert door(config(), f"{ours}@relay.example") is Door.RETURN_PATH
    assert door(named, f"{ours}@relay.example") is Door.RETURN_PATH  # those of yesterday
    assert door(named, f"{ours}@bounces.example") is Door.RETURN_PATH
    assert door(named, f"{ours}@bounce.owner.example") is Door.NOBODY
    assert (
        door(named, f"{ours}@bounce.owner.example", frozenset({"bounce.owner.example"})) is Door.RETURN_PATH
    )


def test_where_complaints_come_to() -> None:
    assert door(config(), "complaints@relay.example") is Door.COMPLAINTS
    assert door(config(), "fbl@relay.example") is Door.COMPLAINTS
    other = config(more='[feedback]\ncomplaints = "arf@else.example"')
    assert door(other, "arf@else.example") is Door.COMPLAINTS
    assert door(other, "complaints@relay.example") is Door.NOBODY
    plain = parse('[relay]\nhostname = "mx.relay.example"', Path("/x"))
    assert door(plain, "complaints@mx.relay.example") is Door.COMPLAINTS


def test_who_reads_mail_to_the_postmaster() -> None:
    addresses = ["postmaster@relay.example", "abuse@mx.relay.example"]
    elsewhere = config(relay='postmaster = "admin@people.example"')
    assert {door(elsewhere, one) for one in addresses} == {Door.POSTMASTER}
    assert {door(config(), one) for one in addresses} == {Door.UNREAD}
    circle = config(relay='postmaster = "Postmaster@Relay.example"')  # would come back here
    assert {door(circle, one) for one in addresses} == {Door.UNREAD}


def test_it_follows_both_and_each_worker_has_its_share() -> None:
    now = [
        config(more="[workers]\ncount = 2\n[feedback]\nrate = 4.0\nrate_per_address = 2.0"),
        Names(frozenset()),
    ]
    inbound = Inbound(lambda: now[0], lambda: now[1], KEY)
    ours = make(ID, KEY)
    assert inbound.door(f"{ours}@bounce.owner.example", "bounce.owner.example") is Door.NOBODY
    first = inbound.doors()
    assert inbound.doors() is first
    assert sum([inbound.takes_from("192.0.2.1", 0.0) for _ in range(100)]) == 10
    now[1] = Names(frozenset({"bounce.owner.example"}))
    assert inbound.door(f"{ours}@bounce.owner.example", "bounce.owner.example") is Door.RETURN_PATH
    now[0] = config(more="[feedback]\nrate = 0.0\nrate_per_address = 0.0")
    assert all([inbound.takes_from("192.0.2.1", 0.0) for _ in range(100)])
