"""Each row is claimed by one, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import update

from relay.directory.claims import claim
from relay.directory.database import Database
from relay.directory.models import IdentityTable
from relay.directory.store import Directory
from tests.fakes.clock import ManualClock

DUE = IdentityTable.next_check_at


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(
    request: pytest.FixtureRequest, tmp_path: Path, key_file: Path, clock: ManualClock
) -> Iterator[tuple[Database, Database]]:
    """One directory with ten addresses that are due one after the other, as two nodes open it."""
    url = f"sqlite:///{tmp_path / 'directory.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    directory = Directory(url, key_file, "us-east-1", clock)
    directory.migrate()
    if any(account.name == "claims" for account in directory.accounts.list()):
        directory.accounts.delete("claims")
    directory.accounts.create("claims")
    for number in range(10):
        directory.identities.add("claims", f"a{number}@example.org", is_verified=True)
    nodes = Database(url), Database(url)
    with nodes[0].writing() as session:
        for number in range(10):
            session.execute(
                update(IdentityTable)
                .where(IdentityTable.name == f"a{number}@example.org")
                .values(next_check_at=100.0 + number)
            )
    directory.close()
    yield nodes
    for node in nodes:
        node.close()


def test_what_is_due_goes_to_one(databases: tuple[Database, Database]) -> None:
    ours, theirs = databases
    revision = ours.revision()
    assert claim(ours, DUE, 99.0, 500.0, 100) == ()
    first = claim(ours, DUE, 105.0, 500.0, 4)
    assert len(first) == 4
    second = claim(theirs, DUE, 105.0, 500.0, 100)
    assert len(second) == 2
    assert set(first).isdisjoint(second)
    assert claim(ours, DUE, 105.0, 500.0, 100) == ()
    assert len(claim(theirs, DUE, 500.0, 900.0, 100)) == 10  # the claims have run out
    assert ours.revision() == revision


def test_two_at_once_do_not_get_the_same(databases: tuple[Database, Database]) -> None:
    with ThreadPoolExecutor(8) as pool:
        claims = [pool.submit(claim, databases[n % 2], DUE, 200.0, 500.0, 3) for n in range(16)]
        claimed = [row for one in claims for row in one.result()]
    assert len(claimed) == len(set(claimed))
    claimed += claim(databases[0], DUE, 200.0, 500.0, 100)  # what was passed over while another had it
    assert len(set(claimed)) == len(claimed) == 10
