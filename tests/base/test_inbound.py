"""Doors: whom mail may come to."""

import pytest

from relay.base.inbound import Door, Doors
from relay.base.return_path import make

KEY = b"k" * 32
ID = "0000019a8c3b1f20-5b1c9f1e-8a7b-4c3d-9e2f-1a2b3c4d5e6f-00002a"
OURS = make(ID, KEY)
DOORS = Doors(
    key=KEY,
    return_path_domains={"bounces.relay.example", "bounce.sender.example"},
    complaints=frozenset({"complaints@relay.example", "fbl@relay.example"}),
    houses=frozenset({"relay.example", "mx.relay.example"}),
    has_postmaster=True,
)
CASES = [
    (f"{OURS}@bounces.relay.example", Door.RETURN_PATH, ID),
    (f"{OURS.upper()}@bounce.sender.example", Door.RETURN_PATH, ID),
    (f"{OURS[:-1]}{'a' if OURS[-1] != 'a' else 'b'}@bounces.relay.example", Door.FORGED, ""),
    (f"{make(ID, b'other')}@bounces.relay.example", Door.FORGED, ""),
    (f"{OURS}@relay.example", Door.NOBODY, ""),
    (f"{ID}@bounces.relay.example", Door.NOBODY, ""),
    ("Complaints@relay.example", Door.COMPLAINTS, ""),
    ("fbl@relay.example", Door.COMPLAINTS, ""),
    ("complaints@bounces.relay.example", Door.NOBODY, ""),
    ("Postmaster@relay.example", Door.POSTMASTER, ""),
    ("abuse@mx.relay.example", Door.POSTMASTER, ""),
    ("abuse@bounce.sender.example", Door.POSTMASTER, ""),
    ("postmaster@elsewhere.example", Door.NOBODY, ""),
    ("someone@relay.example", Door.NOBODY, ""),
]


@pytest.mark.parametrize(("address", "door", "message_id"), CASES)
def test_what_is_behind_which_door(address: str, door: Door, message_id: str) -> None:
    domain = address.rpartition("@")[2]
    assert DOORS.find(address, domain) == (door, message_id)
    assert DOORS.is_ours(address, domain) is (door is not Door.NOBODY)


def test_without_a_postmaster_nobody_reads() -> None:
    unread = Doors(KEY, (), houses=frozenset({"relay.example"}))
    assert unread.find("postmaster@relay.example", "relay.example") == (Door.UNREAD, "")
