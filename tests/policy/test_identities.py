"""Who may send as whom, and to whom, as a table."""

import pytest

from relay.base.errors import Refused
from relay.base.message import Client, Envelope, Recipient, Submission
from relay.base.reply import Reply
from relay.codec.headers import Header
from relay.directory.records import Access, Account, AccountState, Identity, IdentityKind
from relay.policy.identities import check_submission

UNVERIFIED = "Message rejected: Email address is not verified. The following identities failed the check: "
SUSPENDED = "Message rejected: Sending suspended for this account. Ask the postmaster of this relay."
NO_ACCOUNT = "Access denied: this account may not send through this relay."
NO_CREDENTIAL = "Access denied: the credential of this session is no longer active."
SERVICE_DOMAIN = "relay.example"
A, B, EVIL, WORSE = "a@example.org", "b@example.org", "x@evil.example", "y@worse.example"


class Shop:
    """Accounts 1 and 3 hold example.org, 3 in the sandbox; account 2 is paused."""

    def account(self, account_id: int) -> Account | None:
        return {
            1: Account(1, "shop"),
            2: Account(2, "blog", state=AccountState.PAUSED, reason="spam"),
            3: Account(3, "newcomer", access=Access.SANDBOX),
        }.get(account_id)

    def has_credential(self, key_id: str) -> bool:
        return key_id == "RLAYACTIVE"

    def identity_for(self, account_id: int, address: str) -> Identity | None:
        if account_id in (1, 3) and address.endswith("@example.org"):
            return Identity(1, account_id, "example.org", IdentityKind.DOMAIN, True, True)
        return None


def refusal(
    account_id: int, sender: str, header: bytes, to: tuple[str, ...] = (), credential: str = ""
) -> str:
    """The text of the refusal, empty if there is none."""
    recipients = [
        Recipient(number, address, address.rpartition("@")[2].lower()) for number, address in enumerate(to)
    ]
    envelope = Envelope(sender=sender, recipients=recipients)
    content = header + b"\r\nbody\r\n"
    submission = Submission(account_id, envelope, content, Client(credential=credential))
    try:
        check_submission(Shop(), submission, Header.parse(content), SERVICE_DOMAIN)
    except Refused as refused:
        reply = refused.reply
        assert (reply.code, reply.enhanced[:4]) in ((554, "5.7."), (554, "5.6."))
        assert len(reply.line()) <= 512
        return reply.text
    return ""


def fields(**values: str) -> bytes:
    """A header: From, Sender, Return_Path."""
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in values.items()]
    return "".join(lines).encode()


@pytest.mark.parametrize(
    ("account_id", "sender", "header", "text"),
    [
        (1, A, fields(From=A), ""),
        (1, A, fields(From=B), ""),
        (1, A, fields(From=f"{A}, {B}", Sender=B), ""),
        (1, "", fields(From=A), ""),
        (1, "", fields(From=EVIL), UNVERIFIED + EVIL),
        (1, EVIL, fields(From=A), UNVERIFIED + EVIL),
        (1, A, fields(From=EVIL), UNVERIFIED + EVIL),
        (1, A, fields(From=A, Sender=EVIL), UNVERIFIED + EVIL),
        (1, A, fields(From=A, Return_Path=f"<{EVIL}>"), UNVERIFIED + EVIL),
        (1, A, fields(From=A, Return_Path=EVIL), UNVERIFIED + EVIL),
        (1, A, fields(From=A, Return_Path=f"<{B}>"), ""),
        (1, A, fields(From=A, Return_Path="<>"), ""),
        (1, A, fields(From=A, Return_Path=""), ""),
        (1, A, fields(From=A, Reply_To=EVIL), ""),
        (1, A, fields(From=A, To=EVIL, Cc=EVIL), ""),
        (1, A, fields(From=f"{A}, {EVIL}"), UNVERIFIED + EVIL),
        (1, EVIL, fields(From=EVIL, Sender=EVIL, Return_Path=EVIL), UNVERIFIED + EVIL),
        (1, EVIL, fields(From=f"{WORSE}, {A}", Sender=B), UNVERIFIED + f"{EVIL}, {WORSE}"),
        (1, A, fields(Return_Path=WORSE, Sender=EVIL, From=A), UNVERIFIED + f"{WORSE}, {EVIL}"),
        (2, A, fields(From=A), SUSPENDED),
        (2, EVIL, fields(To=A), SUSPENDED),
        (4, A, fields(From=A), NO_ACCOUNT),
    ],
)
def test_who_may_send_as_whom(account_id: int, sender: str, header: bytes, text: str) -> None:
    assert refusal(account_id, sender, header) == text
    assert refusal(account_id, sender, header, to=(EVIL,)) == text  # in production, to anyone


@pytest.mark.parametrize(
    ("sender", "to", "text"),
    [
        (A, (B,), ""),
        (A, (EVIL,), UNVERIFIED + EVIL),
        (A, (B, EVIL, WORSE), UNVERIFIED + f"{EVIL}, {WORSE}"),
        (EVIL, (B, WORSE), UNVERIFIED + f"{EVIL}, {WORSE}"),
        (EVIL, (EVIL,), UNVERIFIED + EVIL),
        ("", (EVIL,), UNVERIFIED + EVIL),
        (A, ("bounce@simulator.relay.example", "Success+7@Simulator.Relay.Example"), ""),
        (A, ("bounce@simulator.example",), UNVERIFIED + "bounce@simulator.example"),
        (A, ("a@relay.example",), UNVERIFIED + "a@relay.example"),
    ],
)
def test_in_the_sandbox_recipients_are_verified_too(sender: str, to: tuple[str, ...], text: str) -> None:
    assert refusal(3, sender, fields(From=A), to) == text


def test_without_a_service_domain_there_is_no_simulator() -> None:
    to = Recipient(0, "success@simulator.", "simulator.")
    content = fields(From=A)
    submission = Submission(3, Envelope(sender=A, recipients=[to]), content, Client())
    with pytest.raises(Refused):
        check_submission(Shop(), submission, Header.parse(content), "")


@pytest.mark.parametrize(("credential", "text"), [("", ""), ("RLAYACTIVE", ""), ("RLAYGONE", NO_CREDENTIAL)])
def test_a_session_outlives_its_credential_by_no_message(credential: str, text: str) -> None:
    assert refusal(1, A, fields(From=A), credential=credential) == text


def test_many_failures_end_in_three_dots_on_one_short_line() -> None:
    many = [f"someone{number}@evil.example" for number in range(100)]
    text = refusal(1, A, fields(From=", ".join(many)))
    assert text.startswith(UNVERIFIED + many[0])
    assert text.endswith(", ...")
    assert refusal(3, A, fields(From=A), tuple(many)) == text


def test_one_long_address_is_cut() -> None:
    assert refusal(1, "a" * 1000 + "@evil.example", fields(From=A)).endswith("aaa...")


def test_an_address_cannot_write_lines_of_its_own() -> None:
    assert refusal(1, "a\r\n250 Ok@evil.example", fields(From=A)) == UNVERIFIED + "a??250?Ok@evil.example"
    assert refusal(1, "jürgen@evil.example", fields(From=A)) == UNVERIFIED + "j?rgen@evil.example"


@pytest.mark.parametrize(
    ("account_id", "credential", "detail"),
    [(2, "", "account blog is paused: spam"), (1, "RLAYGONE", "credential RLAYGONE was disabled or deleted")],
)
def test_the_reason_is_for_the_log(account_id: int, credential: str, detail: str) -> None:
    submission = Submission(account_id, Envelope(sender=A), b"", Client(credential=credential))
    with pytest.raises(Refused) as caught:
        check_submission(Shop(), submission, Header.parse(fields(From=A)))
    assert caught.value.detail == detail
    assert "spam" not in caught.value.reply.text
    assert caught.value.reply == Reply(554, SUSPENDED if account_id == 2 else NO_CREDENTIAL, "5.7.1")


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (b"From: Shop <a@example.org>\r\n", ""),
        (b"from: a@example.org\r\nSENDER: b@example.org\r\n", ""),
        (b"To: a@example.org\r\n", "Missing required header 'From'."),
        (b"From: a@example.org\r\nFROM : x@evil.example\r\n", "Duplicate header 'From'."),
        (
            b"From: a@example.org\r\nSender: a@example.org\r\nSender: x@evil.example\r\n",
            "Duplicate header 'Sender'.",
        ),
        (
            b"Return-Path: <>\r\nFrom: a@example.org\r\nReturn-path: <a@example.org>\r\n",
            "Duplicate header 'Return-Path'.",
        ),
        (b"From: nobody\r\n", "Invalid header 'From'."),
        (b"From:\r\n", "Invalid header 'From'."),
        (b"From: <>\r\n", "Invalid header 'From'."),
        (b"From: a@example.org\r\nSender: ?\r\n", "Invalid header 'Sender'."),
        (b"From: a@example.org\r\nReturn-Path: <nobody>\r\n", "Invalid header 'Return-Path'."),
    ],
)
def test_what_names_no_one_for_certain_is_refused(header: bytes, text: str) -> None:
    assert refusal(1, A, header) == (text and f"Transaction failed: {text}")
