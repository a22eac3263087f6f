"""DNS messages: what dnspython writes is read as it reads it, and nothing that is sent can do harm."""

import contextlib

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.dns_message import KINDS, NXDOMAIN, DnsReply, name_of, question_of, read

LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=63)
NAME = st.lists(LABEL, min_size=1, max_size=5).map(".".join).filter(lambda name: len(name) < 240)
TTL = st.integers(0, 2**31 - 1)
QUERY = question_of(7, name_of("example.net"), KINDS["MX"], 1232)


def asked(name: str, kind: str, id_: int = 7, is_trusted: bool = False) -> bytes:
    return question_of(id_, name_of(name), KINDS[kind], 1232, is_trusted=is_trusted)


def answer(query: bytes, *sets: tuple[str, int, str, list[str]], flags: int = 0, rcode: int = 0) -> bytes:
    """What dnspython says to a query; its names are compressed."""
    response = dns.message.make_response(dns.message.from_wire(query))
    response.flags |= flags
    response.set_rcode(dns.rcode.Rcode(rcode))
    for owner, ttl, kind, records in sets:
        section = response.authority if kind == "SOA" else response.answer
        section.append(dns.rrset.from_text(dns.name.from_text(owner), ttl, "IN", kind, *records))
    return response.to_wire(max_size=65535)


@given(NAME, st.sampled_from(sorted(KINDS)), st.integers(0, 65535), st.booleans())
def test_a_question_is_read_as_it_was_meant(name: str, kind: str, id_: int, is_trusted: bool) -> None:
    query = dns.message.from_wire(asked(name, kind, id_, is_trusted))
    [question] = query.question
    assert (query.id, question.name.to_text(), question.rdtype) == (id_, f"{name}.", KINDS[kind])
    assert (query.edns, query.payload) == (0, 1232)
    assert query.flags == dns.flags.RD | (dns.flags.AD if is_trusted else 0)


@given(NAME, st.lists(st.tuples(st.integers(0, 65535), NAME), min_size=1, max_size=5, unique=True), TTL)
def test_mx_records(name: str, records: list[tuple[int, str]], ttl: int) -> None:
    query = asked(name, "MX")
    found = read(answer(query, (name, ttl, "MX", [f"{n} {host.upper()}." for n, host in records])), query)
    assert sorted(found.records) == sorted(records)  # type: ignore[type-var]
    assert (found.ttl_s, found.canonical, found.rcode) == (ttl, name, 0)


@pytest.mark.parametrize(
    ("kind", "text", "records"),
    [
        ("A", ["192.0.2.1", "192.0.2.2"], {"192.0.2.1", "192.0.2.2"}),
        ("AAAA", ["2001:DB8:0::1"], {"2001:db8::1"}),
        ("MX", ["0 ."], {(0, "")}),
        ("CNAME", ["Other.Example."], {"other.example"}),
        ("PTR", [r"a\.b\032c\$.example."], {r"a\.b\032c\$.example"}),
        ("TXT", ['"v=STSv1; " "id=1;"', '""'], {b"v=STSv1; id=1;", b""}),
        ("TLSA", ["3 1 1 " + 32 * "ab"], {(3, 1, 1, 32 * b"\xab")}),
    ],
)
def test_kinds_of_records(kind: str, text: list[str], records: set[object]) -> None:
    query = asked("x.example", kind)
    found = read(answer(query, ("X.example.", 300, kind, text)), query)
    assert set(found.records) == records
    assert len(found.records) == len(records)


def test_aliases_are_followed_and_the_shortest_life_counts() -> None:
    query = asked("a.example", "A")
    wire = answer(
        query,
        ("c.example.", 300, "A", ["192.0.2.1"]),
        ("b.example.", 20, "CNAME", ["c.example."]),
        ("a.example.", 100, "CNAME", ["B.example."]),
        ("other.example.", 5, "A", ["192.0.2.9"]),
        flags=dns.flags.AD,
    )
    assert read(wire, query) == DnsReply(0, ("192.0.2.1",), 20, "c.example", is_authentic=True)


def test_an_alias_that_leads_to_itself_is_damage() -> None:
    query = asked("a.example", "A")
    wire = answer(
        query, ("a.example.", 9, "CNAME", ["b.example."]), ("b.example.", 9, "CNAME", ["a.example."])
    )
    with pytest.raises(ValueError, match="aliases"):
        read(wire, query)


@pytest.mark.parametrize("rcode", [0, NXDOMAIN])
def test_nothing_holds_as_long_as_the_soa_says(rcode: int) -> None:
    query = asked("a.example", "A")
    for ttl, minimum, holds in ((300, 60, 60), (30, 3600, 30)):
        soa = f"ns.example. root.example. 1 3600 600 86400 {minimum}"
        wire = answer(query, ("example.", ttl, "SOA", [soa]), rcode=rcode)
        assert read(wire, query) == DnsReply(rcode, (), holds, "a.example")
    assert read(answer(query, rcode=rcode), query).ttl_s == 0


@pytest.mark.parametrize("rcode", [1, 2, 4, 5])
def test_refusals_and_truncation_are_told(rcode: int) -> None:
    assert read(answer(QUERY, rcode=rcode), QUERY) == DnsReply(rcode)
    assert read(answer(QUERY, flags=dns.flags.TC), QUERY) == DnsReply(0, is_truncated=True)
    without_question = QUERY[:2] + bytes((0x80, rcode)) + bytes(8)
    assert read(without_question, QUERY) == DnsReply(rcode)


@pytest.mark.parametrize(
    "forged",
    [
        answer(asked("example.net", "MX", 8), ("example.net.", 9, "MX", ["10 evil.example."])),
        answer(asked("example.org", "MX"), ("example.net.", 9, "MX", ["10 evil.example."])),
        answer(asked("example.net", "A"), ("example.net.", 9, "A", ["192.0.2.1"])),
        QUERY,
        QUERY[:2] + b"\x81\x80" + bytes(8),
        b"",
    ],
)
def test_what_answers_something_else_is_no_answer(forged: bytes) -> None:
    with pytest.raises(ValueError, match=r"answer|damaged"):
        read(forged, QUERY)


GOOD = answer(
    QUERY,
    ("example.net.", 9, "MX", ["10 mx1.example.net.", "20 mx2.example.net."]),
    ("example.", 30, "SOA", ["ns. root. 1 3600 600 86400 60"]),
)


def test_an_answer_cut_off_anywhere_is_damage() -> None:
    plain = QUERY[:10] + bytes(2) + QUERY[12:-11]  # without EDNS: the answer ends with its last record
    whole = answer(plain, ("example.net.", 9, "MX", ["10 mx1.example.net.", "20 mx2.example.net."]))
    assert len(read(whole, QUERY).records) == 2
    for end in range(len(whole)):
        with pytest.raises(ValueError, match=r".+"):
            read(whole[:end], QUERY)


@given(st.data())
def test_nothing_but_a_value_error_comes_of_any_bytes(data: st.DataObject) -> None:
    wire = bytearray(GOOD)
    for at in data.draw(st.lists(st.integers(12, len(wire) - 1), min_size=1, max_size=8)):
        wire[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        read(bytes(wire), QUERY)
    with contextlib.suppress(ValueError):
        read(QUERY[:2] + b"\x81\x80" + data.draw(st.binary(max_size=200)), QUERY)


def test_a_name_points_backwards_only() -> None:
    head = QUERY[:2] + b"\x81\x80\0\x01\0\x01\0\0\0\0" + QUERY[12:-11]
    for pointer in (len(head), len(head) + 2, 0x3FFF):
        with pytest.raises(ValueError, match="forwards"):
            read(head + (0xC000 | pointer).to_bytes(2) + bytes(12), QUERY)


@pytest.mark.parametrize("name", ["a..b", ".a", "a" * 64, ".".join(["a" * 60] * 5), "é.example"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        name_of(name)


@given(NAME)
def test_names_are_written_as_dnspython_does(name: str) -> None:
    assert name_of(name) == dns.name.from_text(name).to_wire()
    assert name_of("") == b"\0"
