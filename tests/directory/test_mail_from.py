"""MAIL FROM domains in the directory: which may be asked for, and whose word counts while one looks."""

from pathlib import Path

import pytest

from relay.base.errors import DirectoryError
from relay.directory.mail_from import CLAIM_S, records
from relay.directory.mail_from_life import Seen, Times, decide
from relay.directory.published import zone_line
from relay.directory.records import OnMailFromFailure, RecordState
from relay.directory.store import Directory
from tests.fakes.clock import ManualClock

DEFAULT, REJECT = OnMailFromFailure.USE_DEFAULT, OnMailFromFailure.REJECT


@pytest.fixture
def shop(directory: Directory) -> Directory:
    directory.accounts.create("shop")
    for name in ("example.org", "joe@mail.example.co.uk", "news.example.org"):
        directory.identities.add("shop", name, is_verified=True)
    return directory


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("example.org", "Bounce.Example.ORG."),
        ("example.org", "a.b.example.org"),
        ("news.example.org", "bounce.example.org"),  # beside it: below the parent that someone registered
        ("joe@mail.example.co.uk", "bounce.example.co.uk"),
    ],
)
def test_a_domain_that_aligns_may_be_asked_for(shop: Directory, name: str, domain: str) -> None:
    held = shop.mail_froms.put(name, domain, REJECT)
    assert held.identity.mail_from == domain.lower().rstrip(".")
    assert held.identity.mail_from_state is RecordState.PENDING
    assert held.identity.mail_from_on_failure is REJECT
    cleared = shop.mail_froms.clear(name).identity
    assert (cleared.mail_from, cleared.mail_from_state) == ("", RecordState.NONE)
    assert cleared.mail_from_on_failure is DEFAULT


@pytest.mark.parametrize(
    ("name", "domain", "said"),
    [
        ("example.org", "example.org", "give a subdomain of example.org such as bounce.example.org"),
        ("example.org", "bounce.elsewhere.example", "give a subdomain of example.org"),
        ("joe@mail.example.co.uk", "bounce.other.co.uk", "give a subdomain of example.co.uk"),
        ("example.org", "news.example.org", "shop sends from it (news.example.org)"),
        ("joe@mail.example.co.uk", "mail.example.co.uk", "shop sends from it (joe@mail.example.co.uk)"),
        ("example.org", "joe@bounce.example.org", "is an address: give a domain"),
        ("example.org", "two words.example.org", "is not a domain name"),
        ("example.org", ".".join(["longer"] * 30) + ".example.org", "too long for a return path: 189"),
        ("gone.example", "bounce.gone.example", "no identity gone.example"),
    ],
)
def test_others_may_not_and_the_error_says_what_may(
    shop: Directory, name: str, domain: str, said: str
) -> None:
    with pytest.raises(DirectoryError) as caught:
        shop.mail_froms.put(name, domain, DEFAULT)
    assert said in str(caught.value)


def test_it_is_looked_at_at_once_and_by_one(shop: Directory, clock: ManualClock) -> None:
    shop.mail_froms.put("example.org", "bounce.example.org", DEFAULT)
    (stand,) = shop.mail_froms.claim(10)
    assert (stand.identity, stand.domain, stand.pending_since) == (
        "example.org",
        "bounce.example.org",
        clock.now(),
    )
    assert shop.mail_froms.claim(10) == ()
    clock.advance(CLAIM_S)
    (again,) = shop.mail_froms.claim(10)  # the first one never came back
    step = decide(again, Seen.RIGHT, clock.now(), Times())
    assert not shop.mail_froms.settle(stand, step)
    assert shop.mail_froms.settle(again, step)
    assert shop.read().identities[0].mail_from_state is RecordState.VERIFIED
    assert shop.mail_froms.claim(10) == ()


def test_what_is_set_meanwhile_wins(shop: Directory, clock: ManualClock) -> None:
    shop.mail_froms.put("example.org", "bounce.example.org", DEFAULT)
    (stand,) = shop.mail_froms.claim(10)
    shop.mail_froms.put("example.org", "other.example.org", DEFAULT)
    assert not shop.mail_froms.settle(stand, decide(stand, Seen.RIGHT, clock.now(), Times()))
    assert shop.read().identities[0].mail_from_state is RecordState.PENDING


def test_a_look_that_changes_nothing_raises_no_revision(shop: Directory, clock: ManualClock) -> None:
    shop.mail_froms.put("example.org", "bounce.example.org", DEFAULT)
    before = shop.revision()
    (stand,) = shop.mail_froms.claim(10)
    assert shop.mail_froms.settle(stand, decide(stand, Seen.WRONG, clock.now(), Times()))
    assert shop.revision() == before
    clock.advance(CLAIM_S)
    (stand,) = shop.mail_froms.claim(10)
    assert shop.mail_froms.settle(stand, decide(stand, Seen.RIGHT, clock.now(), Times()))
    assert shop.revision() == before + 1


def test_the_records_to_publish(shop: Directory) -> None:
    held = shop.mail_froms.put("example.org", "bounce.example.org", DEFAULT)
    assert [zone_line(one) for one in records(held.identity, "relay.example.net")] == [
        "bounce.example.org. IN MX 10 relay.example.net.",
        'bounce.example.org. IN TXT "v=spf1 a:relay.example.net ~all"',
    ]
    assert records(shop.mail_froms.clear("example.org").identity, "relay.example.net") == ()


def test_on_a_server_one_node_looks_and_its_word_counts(
    postgresql_url: str, key_file: Path, clock: ManualClock
) -> None:
    nodes = [Directory(postgresql_url, key_file, "us-east-1", clock) for _ in range(2)]
    nodes[0].migrate()
    nodes[0].accounts.create("mail-from")
    try:
        nodes[0].identities.add("mail-from", "joe@on-a-server.example", is_verified=True)
        nodes[0].mail_froms.put("joe@on-a-server.example", "bounce.on-a-server.example", REJECT)
        (stand,) = nodes[0].mail_froms.claim(10)
        assert nodes[1].mail_froms.claim(10) == ()
        assert nodes[0].mail_froms.settle(stand, decide(stand, Seen.RIGHT, clock.now(), Times()))
        found = nodes[1].mail_froms.show("joe@on-a-server.example").identity
        assert (found.mail_from_state, found.mail_from_on_failure) == (RecordState.VERIFIED, REJECT)
    finally:
        nodes[0].accounts.delete("mail-from")
        for node in nodes:
            node.close()
