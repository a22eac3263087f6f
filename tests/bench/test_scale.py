"""The harness of ``make bench-scale`` at a size that takes seconds: what it writes, serves and finds."""

import time
from pathlib import Path

import dns.message
import pytest

from bench.scale import many_sites, password, stock, waiting
from bench.scale.receiver import Names, answers
from relay.spool.reader import Reader
from relay.spool.recover import shard_folder


async def test_a_shard_that_was_written_offline_reads_as_the_relays_own(tmp_path: Path) -> None:
    due_at = time.time() + 60
    for first in (0, 5):  # it may grow
        some = stock.messages(3, 5, lambda n: f"user{n}@d{n}.example", due_at, (1024,), first=first)
        stock.fill(tmp_path, 3, some)
    reader = Reader(shard_folder(tmp_path, 3), 3, lambda: 0)
    try:
        assert await reader.due(due_at - 1, 100, set(), 0.0) == []
        found = await reader.due(due_at + 1, 100, set(), 0.0)
        contents = await reader.contents([one.key for one in found])
    finally:
        reader.close()
    assert [one.recipients[0].address for one in found] == [f"user{n}@d{n}.example" for n in range(10)]
    assert all(
        isinstance(contents[one.key], bytes) and len(contents[one.key]) == one.size_bytes for one in found
    )
    assert {one.shard for one in found} == {3}


@pytest.mark.parametrize(
    ("name", "kind", "records"),
    [
        ("d70000.sites.example", "MX", ["10 mx.d70000.sites.example."]),
        ("mx.d70000.sites.example", "A", ["127.17.17.112"]),
        ("mx.d70000.sites.example", "AAAA", []),
    ],
)
def test_each_of_its_domains_is_a_site_with_an_address_of_its_own(
    name: str, kind: str, records: list[str]
) -> None:
    sent: list[bytes] = []
    names = Names()
    names.transport = type("Wire", (), {"sendto": lambda self, wire, to: sent.append(wire)})()
    query = dns.message.make_query(name, kind)
    names.datagram_received(query.to_wire(), ("127.0.0.1", 1))
    answer = dns.message.from_wire(sent[0])
    assert query.is_response(answer)
    assert [row.to_text() for rows in answer.answer for row in rows] == records


def test_no_other_name_is_there() -> None:
    assert answers(["example", "org"], 15) is None
    assert answers(["dx", "sites", "example"], 15) is None


@pytest.mark.slow
async def test_many_sites_are_served_at_once(tmp_path: Path) -> None:
    figures = await many_sites.run(tmp_path, count=60, per_site=5)
    assert figures["received"] == 300
    assert figures["most_connections"] <= 400
    assert figures["tracebacks"] == 0


def test_a_bar_that_is_missed_is_named() -> None:
    figures = {
        "poll_ms": {"1": 0.1, "100": 9.0},
        "peak_rss_mb": 100,
        "start_to_first_delivery_s": 5.1,
        "waiting_at_the_end": 7,
        "waiting": 7,
        "tracebacks": 0,
    }
    bars = waiting.is_good(figures)
    assert [name for name, is_met in bars.items() if not is_met] == [
        "a look costs the same",
        "the first delivery comes soon",
    ]
    took = {
        f"{receiver}, {kind}": {"longest_s": 0.1}
        for receiver in ("fast", "slow")
        for kind in ("same account", "other account")
    }
    assert not all(password.is_good({**took, "fast, left": 1, "slow, left": 0, "tracebacks": 0}).values())
