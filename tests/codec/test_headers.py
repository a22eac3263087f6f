"""The header split into fields, and addresses as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.headers import MAX_FIELDS, MAX_HEADER_BYTES, Header, HeaderFault, addresses, unfold, value_of

NAMES = st.text("abcXYZ-09", min_size=1, max_size=12).map(str.encode)
VALUES = st.lists(
    st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=30), max_size=3
).map(lambda lines: "\r\n ".join(lines).encode())
BODIES = st.lists(st.sampled_from([b"", b"a", b"a: b", b" ", b"."])).map(b"\r\n".join)


def test_fields_keep_their_bytes():
    content = (
        b"Received: from a\r\n\tby b\r\n"
        b"SUBJECT : folded\r\n  over\r\n \r\n lines\r\n"
        b"Empty:\r\n"
        + "X-Utf8: grün\r\n".encode()
        + b"received:second\r\n"
        + b"\r\nbody: not a field\r\n\r\nend\r\n"
    )
    header = Header.parse(content)
    assert header.fields == [
        (b"received", b"Received: from a\r\n\tby b\r\n"),
        (b"subject", b"SUBJECT : folded\r\n  over\r\n \r\n lines\r\n"),
        (b"empty", b"Empty:\r\n"),
        (b"x-utf8", "X-Utf8: grün\r\n".encode()),
        (b"received", b"received:second\r\n"),
    ]
    assert content[header.body_offset :] == b"body: not a field\r\n\r\nend\r\n"
    assert header.get_all(b"received") == [b"from a\r\n\tby b", b"second"]
    assert header.first(b"received") == b"from a\r\n\tby b"
    assert header.first(b"x-none") is None
    assert header.get_all(b"x-none") == []
    header.remove(b"received")
    assert header.to_bytes().startswith(b"SUBJECT :")
    assert header.get_all(b"received") == []


@pytest.mark.parametrize(
    ("content", "names", "body"),
    [
        (b"", [], b""),
        (b"\r\n", [], b""),
        (b"\r\nbody\r\n", [], b"body\r\n"),
        (b"\r\n\r\nbody\r\n", [], b"\r\nbody\r\n"),
        (b"A: 1\r\n", [b"a"], b""),
        (b"A: 1", [b"a"], b""),
        (b"A: 1\r\n\r\n", [b"a"], b""),
        (b"A: 1\r\n\r\n\r\n", [b"a"], b"\r\n"),
        (b"A: 1\r\n\r\nbody without line end", [b"a"], b"body without line end"),
    ],
)
def test_header_or_body_may_be_missing(content, names, body):
    header = Header.parse(content)
    assert [name for name, _ in header.fields] == names
    assert content[header.body_offset :] == body


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"no field\r\n\r\n", "not a field"),
        (b"A: 1\r\nno field\r\nB: 2\r\n\r\n", "not a field"),
        (b" starts folded\r\nA: 1\r\n\r\n", "not a field"),
        (b"From somebody Mon Jan  1 00:00:00 2026\r\nA: 1\r\n\r\n", "not a field"),
        (b": no name\r\n\r\n", "not a field"),
        ("Gr\u00fcn: 1\r\n\r\n".encode(), "not a field"),
        (b"A: 1\nB: 2\r\n\r\n", "not a field"),
        (b"A: 1\rB: 2\r\n\r\n", "not a field"),
        (b"A: 1\r\n" * (MAX_FIELDS + 1) + b"\r\n", "more than 1000"),
        (b"A: " + b"x" * MAX_HEADER_BYTES + b"\r\n\r\n", "longer than"),
        (b"A: 1\r\n" * 100_000, "longer than"),
        (b"x" * MAX_HEADER_BYTES, "not a field"),
        (b"a:\n" * (MAX_HEADER_BYTES // 4), "not a field"),
    ],
)
def test_what_is_no_header_is_refused(content, text):
    with pytest.raises(HeaderFault, match=text):
        Header.parse(content)


@given(st.lists(st.tuples(NAMES, VALUES)), BODIES)
def test_split_and_joined_gives_the_same_bytes(pairs, body):
    raws = [name + b": " + value + b"\r\n" for name, value in pairs]
    content = b"".join(raws) + b"\r\n" + body
    header = Header.parse(content)
    assert header.fields == [(name.lower(), raw) for (name, _), raw in zip(pairs, raws, strict=True)]
    assert header.to_bytes() + b"\r\n" + content[header.body_offset :] == content


@given(st.binary())
def test_junk_is_split_or_refused(content):
    try:
        header = Header.parse(content)
    except HeaderFault:
        return
    assert 0 <= header.body_offset <= len(content)


def test_values():
    assert value_of(b"Subject: a\r\n b \r\n") == b"a\r\n b"
    assert unfold(b"a\r\n b\r\n\tc") == b"a b\tc"
    assert unfold(b"a b") == b"a b"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("user@example.org", ["user@example.org"]),
        (" user@example.org\t", ["user@example.org"]),
        ("<user@example.org>", ["user@example.org"]),
        ("Name <user@example.org>", ["user@example.org"]),
        ('"Name, the \\"First\\"" <user@example.org>', ["user@example.org"]),
        ('"Name"<user@example.org>', ["user@example.org"]),
        ("=?utf-8?q?J=C3=B6rg?= <User.Name+x@Example.ORG>", ["User.Name+x@Example.ORG"]),
        ("Jörg <user@example.org>", ["user@example.org"]),
        ("A very long name\r\n <user@example.org>", ["user@example.org"]),
        ('"A quoted\r\n name" <user@example.org>', ["user@example.org"]),
        ("John Q. Public <user@example.org>", ["user@example.org"]),
        ("a@example.org, B <b@example.org>", ["a@example.org", "b@example.org"]),
        ("a@example.org,\r\n b@example.org", ["a@example.org", "b@example.org"]),
        ("Team: a@example.org, b@example.org;", ["a@example.org", "b@example.org"]),
        ("undisclosed-recipients:;", []),
        ("(comment) user@example.org (other)", ["user@example.org"]),
        ("User (nested (comment)) <user@example.org>", ["user@example.org"]),
        ('"a b"@example.org', ['"a b"@example.org']),
        ("user@[192.0.2.1]", ["user@[192.0.2.1]"]),
        ("<@route.example:user@example.org>", ["user@example.org"]),
        ("jörg@exämple.org", ["jörg@exämple.org"]),
        ("Jörg <jörg@exämple.org>", ["jörg@exämple.org"]),
        # What could be read in two ways is not read.
        ("verified@example.org <other@example.com>", []),
        ("Doe, John <user@example.org>", []),
        ("<user@example.org> trailing", []),
        ("<user@example.org> <other@example.com>", []),
        ("user@example.org (unclosed", []),
        ("user@example.org <", []),
        ("user@example.org.", []),
        ("us..er@example.org", []),
        ("user", []),
        ("@example.org", []),
        ("user@", []),
        ("", []),
        ("user@example.org\0", []),
        ("=?utf-8?q?user=40example=2Eorg?=", []),
    ],
)
def test_addresses(value, found):
    assert addresses(value.encode()) == found


def test_hostile_addresses_end_soon():
    for junk in (b"(" * 100_000, b"a." * 100_000, b" " * 100_000, b'"\\' * 100_000, b"a@b.c," * 100_000):
        assert addresses(junk) == []
    assert addresses(b" " * 100_000 + b"<user@example.org>") == ["user@example.org"]


@given(st.one_of(st.binary(), st.text('<>@,;:."()[]\\ \r\n\tab=?').map(str.encode)))
def test_junk_never_raises(value):
    for address in addresses(value):
        local, at, domain = address.rpartition("@")
        assert local
        assert at
        assert domain


def test_a_long_list_of_common_addresses_is_read_whole():
    values = [f"a{n}@example.org" if n % 3 else f'"Doe, {n}" <a{n}@example.org>' for n in range(500)]
    assert addresses(",\r\n ".join(values).encode()) == [f"a{n}@example.org" for n in range(500)]


@pytest.mark.parametrize(
    "value", [b"(a)" * 600, b'"' * 2000, b"a," * 1000, b"a@b.c," + b" " * 100_000 + b"("]
)
def test_junk_that_the_slow_parser_would_chew_is_not_given_to_it(value, monkeypatch):
    monkeypatch.setattr("relay.codec.headers._addresses_slowly", lambda _: pytest.fail("was asked"))
    assert addresses(value) == []
