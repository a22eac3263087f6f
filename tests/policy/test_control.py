"""Control fields as a table: what they ask, and the exact reply to what they must not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.arn import identity_arn
from relay.base.errors import Refused
from relay.base.reply import Reply
from relay.codec.headers import Header
from relay.policy.control import control_of

REGION, ACCOUNT = "eu-west-1", 7
OWN = "arn:aws:ses:eu-west-1:000000000007:identity/example.com"
ADDRESS = "arn:aws:ses:eu-west-1:000000000007:identity/Some.One@example.org"
SET, TAGS = "ses:configuration-set", "tags"


class Identities:
    def has_identity(self, account_id: int, name: str) -> bool:
        return account_id == ACCOUNT and name in ("example.com", "Some.One@example.org")


def asked(*fields: bytes) -> dict[str, Any]:
    raw = b"From: a@example.com\r\n" + b"".join(field + b"\r\n" for field in fields) + b"To: b@c.example\r\n"
    said = control_of(Header.parse(raw + b"\r\nhi\r\n"), Identities(), ACCOUNT, REGION, "AKEY")
    found: dict[str, Any] = json.loads(said or "{}")
    return found


@pytest.mark.parametrize(
    ("fields", "asks"),
    [
        ([], {}),
        ([b"X-SES-Anything: at all"], {}),
        ([b"X-SES-CONFIGURATION-SET: news"], {TAGS: {SET: ["news"]}}),
        ([b"x-ses-Configuration-Set:news"], {TAGS: {SET: ["news"]}}),
        ([b"X-SES-CONFIGURATION-SET : news"], {TAGS: {SET: ["news"]}}),
        ([b"X-SES-CONFIGURATION-SET:\r\n\tnews_2-B "], {TAGS: {SET: ["news_2-B"]}}),
        ([b"X-SES-CONFIGURATION-SET: " + b"n" * 64], {TAGS: {SET: ["n" * 64]}}),
        ([b"X-SES-CONFIGURATION-SET:"], {}),
        ([b"X-SES-CONFIGURATION-SET: one", b"X-SES-CONFIGURATION-SET: t w o"], {TAGS: {SET: ["one"]}}),
        ([b"X-SES-CONFIGURATION-SET: =?utf-8?q?news?="], {TAGS: {SET: ["news"]}}),
        ([b"X-SES-CONFIGURATION-SET: n\xc3\xa9ws"], {"ignored": ["X-SES-CONFIGURATION-SET"]}),
        ([b"X-SES-CONFIGURATION-SET: \xff"], {"ignored": ["X-SES-CONFIGURATION-SET"]}),
        ([b"X-SES-CONFIGURATION-SET: =?utf-8?q?n=C3=A9ws?="], {"ignored": ["X-SES-CONFIGURATION-SET"]}),
        ([b"X-SES-CONFIGURATION-SET: =?none-such?q?news?="], {"ignored": ["X-SES-CONFIGURATION-SET"]}),
        ([b"X-SES-MESSAGE-TAGS: campaign=book"], {TAGS: {"campaign": ["book"]}}),
        ([b"X-SES-MESSAGE-TAGS: a=1, b=2,c=3"], {TAGS: {"a": ["1"], "b": ["2"], "c": ["3"]}}),
        ([b"X-SES-MESSAGE-TAGS: a=1,\r\n b=2,\r\n\tc = 3,"], {TAGS: {"a": ["1"], "b": ["2"], "c": ["3"]}}),
        ([b"X-SES-MESSAGE-TAGS: a=1, a=2"], {TAGS: {"a": ["1", "2"]}}),
        ([b"X-SES-MESSAGE-TAGS: a=1", b"X-SES-MESSAGE-TAGS: b=2"], {TAGS: {"a": ["1"]}}),
        ([b"X-SES-MESSAGE-TAGS: " + b"n" * 256 + b"=" + b"v" * 256], {TAGS: {"n" * 256: ["v" * 256]}}),
        ([b"X-SES-MESSAGE-TAGS: ,, "], {}),
        ([b"X-SES-MESSAGE-TAGS: a=\xc3\xa9"], {"ignored": ["X-SES-MESSAGE-TAGS"]}),
        (
            [b"X-SES-MESSAGE-TAGS: =?utf-8?q?a=3D1=2C_?=\r\n =?utf-8?q?b=3D2?="],
            {TAGS: {"a": ["1"], "b": ["2"]}},
        ),
        (
            [b"X-SES-MESSAGE-TAGS: a=1", b"X-SES-CONFIGURATION-SET: news"],
            {TAGS: {SET: ["news"], "a": ["1"]}},
        ),
        ([b"X-SES-SOURCE-ARN: " + OWN.encode()], {"sourceArn": OWN}),
        ([b"X-SES-FROM-ARN:\r\n " + ADDRESS.encode()], {"fromArn": ADDRESS}),
        ([b"X-SES-RETURN-PATH-ARN: " + OWN.encode()], {"returnPathArn": OWN}),
        ([b"X-SES-SOURCE-ARN:", b"X-SES-LIST-MANAGEMENT-OPTIONS: "], {}),
    ],
)
def test_what_is_asked(fields: list[bytes], asks: dict[str, Any]) -> None:
    assert asked(*fields) == asks


NO_TAG = (
    "554 5.6.0 Transaction failed: Invalid message tag: {}. X-SES-MESSAGE-TAGS is name=value, name=value; "
    "names and values have 1 to 256 letters, digits, hyphens and underscores."
)
NO_SET = (
    "554 5.6.0 Transaction failed: Configuration set does not exist: {}. "
    "A name has 1 to 64 letters, digits, hyphens and underscores."
)
NO_ARN = f"554 5.6.0 Transaction failed: {{}} is not the ARN of an identity, such as {OWN}."
DENIED = (
    "554 5.7.1 Access denied: User `AKEY' is not authorized to perform `ses:SendRawEmail' on resource `{}'"
)


@pytest.mark.parametrize(
    ("field", "reply"),
    [
        (b"X-SES-CONFIGURATION-SET: two words", NO_SET.format("'two words'")),
        (b"X-SES-CONFIGURATION-SET: a.b", NO_SET.format("'a.b'")),
        (b"X-SES-CONFIGURATION-SET: a\tb", NO_SET.format("'a?b'")),
        (b"X-SES-CONFIGURATION-SET: " + b"n" * 65, NO_SET.format("'" + "n" * 64 + "...'")),
        (b"X-SES-MESSAGE-TAGS: campaign", NO_TAG.format("'campaign'")),
        (b"X-SES-MESSAGE-TAGS: a=1 b=2", NO_TAG.format("'a=1 b=2'")),
        (b"X-SES-MESSAGE-TAGS: a=1; b=2", NO_TAG.format("'a=1; b=2'")),
        (b"X-SES-MESSAGE-TAGS: a=1, =2", NO_TAG.format("'=2'")),
        (b"X-SES-MESSAGE-TAGS: a=1, b=", NO_TAG.format("'b='")),
        (b"X-SES-MESSAGE-TAGS: a=b=c", NO_TAG.format("'a=b=c'")),
        (b"X-SES-MESSAGE-TAGS: ses:configuration-set=x", NO_TAG.format("'ses:configuration-set=x'")),
        (b"X-SES-MESSAGE-TAGS: a=" + b"v" * 257, NO_TAG.format("'a=" + "v" * 62 + "...'")),
        (
            b"X-SES-MESSAGE-TAGS: " + b",".join(b"t%d=1" % n for n in range(51)),
            "554 5.6.0 Transaction failed: X-SES-MESSAGE-TAGS has more than 50 tags.",
        ),
        (
            b"X-SES-MESSAGE-TAGS: " + b"a=1," * 10_000,
            "554 5.6.0 Transaction failed: X-SES-MESSAGE-TAGS is longer than 32768 bytes.",
        ),
        (
            b"X-SES-MESSAGE-TAGS: " + b"=?a?b?Y" * 1000,
            "554 5.6.0 Transaction failed: "
            "X-SES-MESSAGE-TAGS has encoded words and is longer than 4096 bytes.",
        ),
        (b"X-SES-SOURCE-ARN: example.com", NO_ARN.format("X-SES-SOURCE-ARN")),
        (b"X-SES-FROM-ARN: arn:aws:ses:eu-west-1:7:identity/example.com", NO_ARN.format("X-SES-FROM-ARN")),
        (b"X-SES-RETURN-PATH-ARN: " + OWN.encode() + b" ,", NO_ARN.format("X-SES-RETURN-PATH-ARN")),
        (b"X-SES-SOURCE-ARN: arn:aws:sns:eu-west-1:000000000007:topic", NO_ARN.format("X-SES-SOURCE-ARN")),
        (b"X-SES-SOURCE-ARN: " + OWN.encode() + b"\xc3\xa9", NO_ARN.format("X-SES-SOURCE-ARN")),
        (
            b"X-SES-SOURCE-ARN: " + OWN.replace("com", "net").encode(),
            DENIED.format(OWN.replace("com", "net")),
        ),
        (b"X-SES-FROM-ARN: " + OWN.replace("007", "008").encode(), DENIED.format(OWN.replace("007", "008"))),
        (
            b"X-SES-FROM-ARN: " + OWN.replace("west", "east").encode(),
            DENIED.format(OWN.replace("west", "east")),
        ),
        (
            b"X-SES-LIST-MANAGEMENT-OPTIONS: customers; topic=news",
            "554 5.6.0 Transaction failed: Contact list does not exist: 'customers'.",
        ),
    ],
)
def test_what_is_refused(field: bytes, reply: str) -> None:
    with pytest.raises(Refused) as refused:
        asked(field)
    assert str(refused.value.reply) == reply
    assert len(refused.value.reply.line()) <= 512  # RFC 5321 4.5.3.1.5


def test_fifty_tags_of_the_longest_kind_are_taken() -> None:
    tags = {f"{n:0256}": ["v" * 256] for n in range(50)}
    assert asked(
        b"X-SES-MESSAGE-TAGS: " + b",\r\n ".join(f"{n}={v[0]}".encode() for n, v in tags.items())
    ) == {TAGS: tags}


def test_a_long_arn_fits_into_a_reply() -> None:
    with pytest.raises(Refused) as refused:
        asked(b"X-SES-SOURCE-ARN: arn:aws:ses:eu-west-1:000000000007:identity/" + b"x" * 300)
    assert refused.value.reply.text.endswith("...'")
    assert len(refused.value.reply.line()) <= 512


def test_who_came_without_a_login_is_named_by_the_account() -> None:
    header = Header.parse(
        b"X-SES-SOURCE-ARN: " + identity_arn(REGION, 8, "example.com").encode() + b"\r\n\r\n"
    )
    with pytest.raises(Refused, match="User `000000000007' is not authorized"):
        control_of(header, Identities(), ACCOUNT, REGION, "")


@given(
    st.sampled_from(
        [
            b"X-SES-CONFIGURATION-SET",
            b"X-SES-MESSAGE-TAGS",
            b"X-SES-SOURCE-ARN",
            b"X-SES-LIST-MANAGEMENT-OPTIONS",
            b"X-SES-Other",
        ]
    ),
    st.binary(max_size=200) | st.text("=?utf-8qQbB_ ,", max_size=60).map(str.encode),
)
def test_junk_is_read_or_refused_and_nothing_else(name: bytes, junk: bytes) -> None:
    value = junk.replace(b"\r", b"").replace(b"\n", b"")
    reply = reply_to(name + b": " + value)
    assert reply is None or (reply.code == 554 and reply.line().isascii() and len(reply.line()) <= 512)


def reply_to(field: bytes) -> Reply | None:
    """The refusal of a field, if there is one."""
    try:
        asked(field)
    except Refused as refused:
        return refused.reply
    return None
