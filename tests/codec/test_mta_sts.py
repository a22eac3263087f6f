"""MTA-STS texts: tables of good and bad ones, and what the grammar promises of any text at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.mta_sts import (
    MAX_AGE_S,
    MAX_POLICY_BYTES,
    StsMode,
    StsPolicy,
    matches,
    parse_policy,
    parse_record,
)

GOOD = b"version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmax_age: 604800\n"


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        (["v=STSv1;id=1"], "1"),
        (["v=STSv1 ;\tid=1 ; later=x.y"], "1"),
        (["v=STSv1; later=x; id=1"], "1"),
        (["v=STSv1; id=1; id=2"], "1"),
        (["v=spf1 -all", "v=STSv1; id=1"], "1"),
        (["v=STSv1; id=" + "a" * 32], "a" * 32),
        ([], None),
        (["v=STSv1"], None),
        (["v=STSv1;"], None),
        (["v=STSv2; id=1"], None),
        (["V=STSv1; id=1"], None),  # the version is case-sensitive
        ([" v=STSv1; id=1"], None),
        (["v=STSv1; ID=1"], None),
        (["v=STSv1; id="], None),
        (["v=STSv1; id=" + "a" * 33], None),
        (["v=STSv1; id=2016-08-31"], None),
        (["v=STSv1; id=1; broken"], None),
        (["v=STSv1;; id=1"], None),
        (["v=STSv1; id=1", "v=STSv1; id=2"], None),
        (["v=STSv1; id=1", "v=STSv1; id=1"], None),
    ],
)
def test_the_record_that_announces_a_policy(texts: list[str], found: str | None) -> None:
    assert parse_record(texts) == found


def test_a_policy() -> None:
    assert parse_policy(GOOD, "7") == StsPolicy(
        StsMode.ENFORCE,
        ("mail.example.com", "*.example.net"),
        604800,
        "7",
        ("version: STSv1", "mode: enforce", "mx: mail.example.com", "mx: *.example.net", "max_age: 604800"),
    )


@pytest.mark.parametrize(
    ("body", "mode", "mx", "max_age_s"),
    [
        (GOOD.replace(b"\n", b"\r\n"), "enforce", 2, 604800),
        (GOOD.rstrip(b"\n"), "enforce", 2, 604800),
        (GOOD + b"\n\n", "enforce", 2, 604800),
        (GOOD.replace(b": ", b":"), "enforce", 2, 604800),
        (GOOD.replace(b"\n", b" \t\n"), "enforce", 2, 604800),
        (GOOD + b"later-field: what \xc3\xbc may be\n", "enforce", 2, 604800),
        (GOOD + b"mode: none\nmax_age: 1\n", "enforce", 2, 604800),  # what stands first counts
        (b"max_age: 0\nmx: A.Example\nmode: testing\nversion: STSv1", "testing", 1, 0),
        (b"version: STSv1\nmode: none\nmax_age: 86400\n", "none", 0, 86400),
        (b"version: STSv1\nmode: none\nmax_age: 9999999999\n", "none", 0, MAX_AGE_S),
    ],
)
def test_policies_that_hold(body: bytes, mode: str, mx: int, max_age_s: int) -> None:
    policy = parse_policy(body)
    assert (policy.mode, len(policy.mx), policy.max_age_s) == (mode, mx, max_age_s)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "version: STSv1"),
        (b"<!DOCTYPE html>\n<html></html>", "not a field"),
        (GOOD.replace(b"STSv1", b"STSv2"), "'STSv2'"),
        (GOOD.replace(b"version", b"Version"), "version: STSv1"),
        (GOOD.replace(b"enforce", b"Enforce"), "'Enforce'"),
        (GOOD.replace(b"mode: enforce\n", b""), "needs a mode"),
        (GOOD.replace(b"604800", b"a week"), "'a week'"),
        (GOOD.replace(b"604800", b"-1"), "'-1'"),
        (GOOD.replace(b"604800", b"12345678901"), "max_age"),
        (GOOD.replace(b"604800", "٦٠٤".encode()), "max_age"),  # digits, but not those of ASCII
        (b"version: STSv1\nmode: enforce\nmax_age: 1\n", "needs an mx"),
        (b"version: STSv1\nmode: testing\nmax_age: 1\n", "needs an mx"),
        (GOOD.replace(b"*.example.net", b"*"), "'*'"),
        (GOOD.replace(b"*.example.net", b"*.*.net"), "'*.*.net'"),
        (GOOD.replace(b"*.example.net", b"mail.*.net"), "'mail.*.net'"),
        (GOOD.replace(b"*.example.net", b"mail*.net"), "'mail*.net'"),
        (GOOD.replace(b"*.example.net", b".example.net"), "'.example.net'"),
        (GOOD.replace(b"*.example.net", b"mail.example.net."), "'mail.example.net.'"),
        (GOOD.replace(b"*.example.net", b""), "''"),
        (GOOD.replace(b"*.example.net", b"a b"), "'a b'"),
        (GOOD.replace(b"\nmode: ", b"\nmode : "), "not a field"),
        (GOOD.replace(b"\n", b"\r"), "not a field|version"),  # CR alone ends no line
        (GOOD + b"\xff: x\n", "UTF-8"),
        (GOOD + b"x: " + b"y" * MAX_POLICY_BYTES, "longer"),
    ],
)
def test_policies_that_do_not(body: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("*", r"\*")):
        parse_policy(body)


@pytest.mark.parametrize(
    ("pattern", "host", "is_covered"),
    [
        ("mail.example.com", "mail.example.com", True),
        ("mail.example.com", "Mail.Example.COM.", True),
        ("mail.example.com", "mail.example.org", False),
        ("mail.example.com", "a.mail.example.com", False),
        ("*.example.com", "mail.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", ".example.com", False),
        ("*.example.com", "a.b.example.com", False),
        ("*.example.com", "mailexample.com", False),
        ("*.example.com", "mail.example.com.attacker.example", False),
    ],
)
def test_what_a_pattern_covers(pattern: str, host: str, is_covered: bool) -> None:
    assert matches(pattern, host) is is_covered
    assert StsPolicy(StsMode.ENFORCE, ("other.example", pattern), 1).matches(host) is is_covered
    assert not StsPolicy(StsMode.ENFORCE, ("other.example",), 1).matches(host)


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: GOOD + tail))
def test_any_bytes_are_a_policy_or_a_value_error(body: bytes) -> None:
    try:
        policy = parse_policy(body)
    except ValueError:
        return
    assert 0 <= policy.max_age_s <= MAX_AGE_S
    assert policy.mx or policy.mode is StsMode.NONE


@given(st.lists(st.text(max_size=40) | st.text(max_size=20).map(lambda tail: f"v=STSv1; id={tail}")))
def test_any_records_give_an_id_or_none(texts: list[str]) -> None:
    found = parse_record(texts)
    assert found is None or (found.isascii() and found.isalnum() and len(found) <= 32)


LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


@given(
    st.sampled_from(list(StsMode)),
    st.lists(st.tuples(st.booleans(), st.lists(LABELS, min_size=1, max_size=4)), min_size=1, max_size=5),
    st.integers(0, MAX_AGE_S),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_is_written_is_read(
    mode: StsMode, hosts: list[tuple[bool, list[str]]], max_age_s: int, end: str
) -> None:
    patterns = tuple(("*." if is_wild else "") + ".".join(labels) for is_wild, labels in hosts)
    lines = ["version: STSv1", f"mode: {mode}", *[f"mx: {one}" for one in patterns], f"max_age: {max_age_s}"]
    policy = parse_policy(end.join(lines).encode() + end.encode())
    assert (policy.mode, policy.mx, policy.max_age_s) == (mode, patterns, max_age_s)
    for is_wild, labels in hosts:
        name = ".".join(labels)
        assert policy.matches(f"x.{name}" if is_wild else name)
