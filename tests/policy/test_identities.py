"""Who may send as whom, as a table."""

import pytest

from relay.base.errors import Refused
from relay.base.reply import Reply
from relay.codec.headers import Header
from relay.directory.records import Account, AccountState, Identity, IdentityKind
from relay.policy.identities import check, check_header

UNVERIFIED = "Message rejected: Email address is not verified. The following identities failed the check: "


class Shop:
    """An account 1 that holds example.org; account 2 is paused."""

    def account(self, account_id: int) -> Account | None:
        return {
            1: Account(1, "shop"),
            2: Account(2, "blog", state=AccountState.PAUSED, reason="spam"),
        }.get(account_id)

    def identity_for(self, account_id: int, address: str) -> Identity | None:
        if account_id == 1 and address.endswith("@example.org"):
            return Identity(1, 1, "example.org", IdentityKind.DOMAIN, True, True)
        return None


def refusal(
    account_id: int, sender: str, header_from: list[str], header_sender: list[str] | None = None
) -> str:
    """The text of the refusal, empty if there is none."""
    try:
        check(Shop(), account_id, sender, header_from, header_sender or [])
    except Refused as refused:
        return text_of(refused.reply)
    return ""


def text_of(reply: Reply) -> str:
    assert (reply.code, reply.enhanced[:4]) in ((554, "5.7."), (554, "5.6."))
    return reply.text


A, B, EVIL, WORSE = "a@example.org", "b@example.org", "x@evil.example", "y@worse.example"


@pytest.mark.parametrize(
    ("account_id", "sender", "header_from", "header_sender", "text"),
    [
        (1, A, [A], [], ""),
        (1, A, [B], [], ""),
        (1, A, [A, B], [B], ""),
        (1, "", [A], [], ""),
        (1, "", [EVIL], [], UNVERIFIED + EVIL),
        (1, EVIL, [A], [], UNVERIFIED + EVIL),
        (1, A, [EVIL], [], UNVERIFIED + EVIL),
        (1, A, [A], [EVIL], UNVERIFIED + EVIL),
        (1, A, [A, EVIL], [], UNVERIFIED + EVIL),
        (1, EVIL, [EVIL], [EVIL], UNVERIFIED + EVIL),
        (1, EVIL, [WORSE, A], [B], UNVERIFIED + f"{EVIL}, {WORSE}"),
        (1, A, [], [], "Transaction failed: Missing required header 'From'."),
        (1, "", [""], [], UNVERIFIED),
        (
            2,
            A,
            [A],
            [],
            "Message rejected: Sending suspended for this account. Ask the postmaster of this relay.",
        ),
        (3, A, [A], [], "Access denied"),
        (0, "", [], [], ""),
        (0, "mailer-daemon@anywhere.example", [EVIL], [], ""),
    ],
)
def test_who_may_send_as_whom(
    account_id: int, sender: str, header_from: list[str], header_sender: list[str], text: str
) -> None:
    assert refusal(account_id, sender, header_from, header_sender) == text


def test_many_failures_end_in_three_dots_on_one_short_line() -> None:
    many = [f"someone{number}@evil.example" for number in range(100)]
    text = refusal(1, A, many)
    assert text.startswith(UNVERIFIED + many[0])
    assert text.endswith(", ...")
    assert len(Reply(554, text, "5.7.1").line()) <= 512


def test_one_long_address_is_cut() -> None:
    text = refusal(1, "a" * 1000 + "@evil.example", [A])
    assert text.endswith("aaa...")
    assert len(Reply(554, text, "5.7.1").line()) <= 512


def test_an_address_cannot_write_lines_of_its_own() -> None:
    assert refusal(1, "a\r\n250 Ok@evil.example", [A]) == UNVERIFIED + "a??250?Ok@evil.example"
    assert refusal(1, "jürgen@evil.example", [A]) == UNVERIFIED + "j?rgen@evil.example"


def test_the_reason_of_a_pause_is_for_the_log() -> None:
    with pytest.raises(Refused) as caught:
        check(Shop(), 2, A, [A], [])
    assert "spam" not in caught.value.reply.text
    assert caught.value.detail == "account blog is paused: spam"


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (b"From: Shop <a@example.org>\r\n", ""),
        (b"from: a@example.org\r\nSender: b@example.org\r\n", ""),
        (b"From: a@example.org, b@example.org\r\n", ""),
        (b"From: a@example.org, x@evil.example\r\n", UNVERIFIED + EVIL),
        (b"From: a@example.org\r\nSender: x@evil.example\r\n", UNVERIFIED + EVIL),
        (b"From: a@example.org\r\nReply-To: x@evil.example\r\n", ""),
        (b"To: a@example.org\r\n", "Transaction failed: Missing required header 'From'."),
        (
            b"From: a@example.org\r\nFROM : x@evil.example\r\n",
            "Transaction failed: Duplicate header 'From'.",
        ),
        (
            b"From: a@example.org\r\nSender: a@example.org\r\nSender: x@evil.example\r\n",
            "Transaction failed: Duplicate header 'Sender'.",
        ),
        (b"From: nobody\r\n", "Transaction failed: Invalid header 'From'."),
        (b"From:\r\n", "Transaction failed: Invalid header 'From'."),
        (b"From: a@example.org\r\nSender: ?\r\n", "Transaction failed: Invalid header 'Sender'."),
    ],
)
def test_from_and_sender_are_read_from_the_message(header: bytes, text: str) -> None:
    given = ""
    try:
        check_header(Shop(), 1, A, Header.parse(header + b"\r\nbody\r\n"))
    except Refused as refused:
        given = text_of(refused.reply)
    assert given == text


def test_the_relay_itself_needs_no_from() -> None:
    check_header(Shop(), 0, "", Header.parse(b"To: a@example.org\r\n\r\n"))
