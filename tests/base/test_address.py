"""Paths as clients write them, and the isemail corpus."""

import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.address import as_ascii, check_address, domain_of, parse_path

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpora" / "addresses" / "isemail-tests.xml"
L60 = "a" * 60


@pytest.mark.parametrize(
    ("argument", "address", "rest"),
    [
        ("<user@example.org>", "user@example.org", ""),
        (" <user@example.org>", "user@example.org", ""),
        ("<user@example.org> SIZE=100 BODY=8BITMIME", "user@example.org", "SIZE=100 BODY=8BITMIME"),
        ("<user@example.org>  SIZE=1 ", "user@example.org", "SIZE=1"),
        ("<>", "", ""),
        ("<> RET=HDRS", "", "RET=HDRS"),
        (" <>", "", ""),
        ("<U.s-er+tag@Example.ORG>", "U.s-er+tag@Example.ORG", ""),
        ("<@a.example,@b.example:user@c.example> X=1", "user@c.example", "X=1"),
        ('<"a b"@example.org>', '"a b"@example.org', ""),
        ('<"a>b"@example.org> X', '"a>b"@example.org', "X"),
        (r'<"a\"@b"@example.org>', r'"a\"@b"@example.org', ""),
        ("<user@[192.0.2.1]>", "user@[192.0.2.1]", ""),
        ("<user@[IPv6:2001:db8::1]>", "user@[IPv6:2001:db8::1]", ""),
        ("<jörg@exämple.org> SMTPUTF8", "jörg@exämple.org", "SMTPUTF8"),
        ("<user@under_score.example>", "user@under_score.example", ""),
        ("<user@_dmarc.example>", "user@_dmarc.example", ""),
        ("user@example.org", "user@example.org", ""),
        ("user@example.org SIZE=1", "user@example.org", "SIZE=1"),
        (f"<{'v' * 100}@example.org>", f"{'v' * 100}@example.org", ""),
        ("<user@localhost>", "user@localhost", ""),
    ],
)
def test_paths(argument, address, rest):
    got_address, got_rest = parse_path(argument)
    assert (got_address, got_rest.strip()) == (address, rest)


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("", "no address"),
        ("<", "missing >"),
        ("<user@example.org", "missing >"),
        ("<user>", "no @"),
        ("<@example.org>", "bad local part"),
        ("<user@>", "bad domain"),
        ("<user@example.org>x", "text directly behind >"),
        ("<>x", "text directly behind >"),
        ("<user @example.org>", "bad local part"),
        ("<user@example.org >", "bad domain"),
        ("<us..er@example.org>", "bad local part"),
        ("<.user@example.org>", "bad local part"),
        ("<user@-example.org>", "bad domain"),
        ("<user@example..org>", "bad domain"),
        ("<user@example.org.>", "bad domain"),
        (f"<user@{'a' * 64}.org>", "label too long in domain"),
        (f"<u@{L60}.{L60}.{L60}.{L60}.a.example.org>", "longer than 254 octets"),
        (f"<{'u' * 243}@example.org>", "longer than 254 octets"),
        ("<user@[192.0.2.256]>", "bad address literal"),
        ("<user@[2001:db8::1]>", "bad address literal"),
        ("<user@[IPv6:1:2:3:4:5:6::8]>", "bad address literal"),
        ("<user@[x]y]>", "bad address literal"),
        ("<us\x01er@example.org>", "control character"),
        ('<"a\x7f"@example.org>', "control character"),
        ("<us\udce4er@example.org>", "not UTF-8"),
        ("<a@b@example.org>", "bad local part"),
        ("<user@ex\u2044ample.org>", "bad internationalised domain"),
        ("<@a.example:>", "no address"),
        ("<user@example.org>\r\nRCPT TO:<x@example.org>", None),
    ],
)
def test_refused(argument, text):
    if text is None:  # the line ends where the session says; here it is only text behind the path
        assert parse_path(argument)[0] == "user@example.org"
        return
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        parse_path(argument)


@given(st.text())
def test_junk_raises_nothing_else(text):
    for argument in (text, f"<{text}>", f"<{text}@example.org>", f"<user@{text}>"):
        try:
            address, _ = parse_path(argument)
            domain_of(address)
        except ValueError:
            pass


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("user@Example.ORG", "example.org"),
        ('"a@b"@example.org', "example.org"),
        ("user@[192.0.2.1]", "[192.0.2.1]"),
        ("jörg@Exämple.org", "xn--exmple-cua.org"),
        ("", ""),
        ("postmaster", ""),
    ],
)
def test_domain(address, domain):
    assert domain_of(address) == domain


# What the corpus calls a valid RFC 5321 address, and what it calls none. Its other categories are syntax of
# header fields (comments, folding, obsolete forms), which a path may not have, or warnings about length.
ACCEPTED = {"ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321"}
REFUSED = {"ISEMAIL_ERR", "ISEMAIL_CFWS", "ISEMAIL_DEPREC", "ISEMAIL_RFC5322"}

# Cases where we differ on purpose, and why.
DIFFERENT = {
    "ISEMAIL_RFC5322_LOCAL_TOOLONG": "accepted: no limit of 64 on the local part",
}


def _corpus():
    if not CORPUS.exists():
        assert not os.environ.get("CI"), f"{CORPUS} is missing"
        return []
    return [
        (
            case.get("id"),
            case.findtext("address").translate({0x2400 + code: code for code in range(32)}),
            case.findtext("category"),
            case.findtext("diagnosis"),
        )
        for case in ElementTree.parse(CORPUS).getroot().iter("test")
    ]


@pytest.mark.skipif(not CORPUS.exists() and not os.environ.get("CI"), reason="the corpus is not here")
def test_corpus():
    cases = _corpus()
    assert len(cases) > 150
    wrong = []
    for number, address, category, diagnosis in cases:
        try:
            # The null path and the route are syntax of the path; the corpus has addresses only.
            parsed, rest = parse_path(f"<{address}>")
            accepted = (parsed, rest) == (address, "") and address != ""
        except ValueError:
            accepted = False
        expected = category in ACCEPTED or diagnosis in DIFFERENT
        assert category in ACCEPTED | REFUSED, category
        if accepted != expected:
            wrong.append((number, address, category, diagnosis, accepted))
    assert wrong == []


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("a@example.org", "a@example.org"),
        ("a@Bücher.Example", "a@xn--bcher-kva.example"),
        ("rené@bücher.example", "rené@bücher.example"),  # no form in ASCII: nothing is changed
        ("rené@example.org", "rené@example.org"),
        ('"a b@c"@bücher.example', '"a b@c"@xn--bcher-kva.example'),
        ("a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"),
        ("", ""),
    ],
)
def test_as_ascii_where_that_is_possible(address, written):
    assert as_ascii(address) == written


@pytest.mark.skipif(not CORPUS.exists() and not os.environ.get("CI"), reason="the corpus is not here")
def test_addresses_of_the_corpus_stay_addresses_and_lead_to_the_same_domain():
    checked = 0
    for _, address, _, _ in _corpus():
        for beyond in (address, address.replace("iana", "bücher"), address.replace("test@", "tést@")):
            try:
                check_address(beyond)
            except ValueError:
                continue
            written = as_ascii(beyond)
            check_address(written)
            assert domain_of(written) == domain_of(beyond)
            assert written.isascii() == beyond.rpartition("@")[0].isascii()
            checked += 1
    assert checked > 100
