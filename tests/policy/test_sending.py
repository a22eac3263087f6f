"""Which keys sign, and that a refusal comes before any."""

from collections.abc import Awaitable

import pytest

from relay.base.admission import Admission
from relay.base.errors import Refused
from relay.base.message import Client, Envelope, Recipient, Submission
from relay.base.reply import Reply
from relay.codec.headers import Header
from relay.directory import keys
from relay.directory.records import Access, Account, IdentityKind
from relay.policy.scanner import ScannerSettings
from relay.policy.sending import Policy

KEY = keys.load(keys.generate(keys.ED25519), "example.org", "s1", keys.ED25519)
OWN_KEY = keys.load(keys.generate(keys.ED25519), "example.org", "s2", keys.ED25519)


class Identified:
    """An identity as the snapshot has it."""

    def __init__(self, name: str, *signing: keys.SigningKey, is_dkim_on: bool = True) -> None:
        self.name, self.kind, self.keys, self.is_dkim_on = name, IdentityKind.DOMAIN, signing, is_dkim_on
        self.mail_from = ""
        self.has_headers = name.startswith("own@")


class Live:
    """Account 1 holds example.org, an address of it with its own key, and quiet.example without DKIM."""

    def __init__(self) -> None:
        self.current = self
        self.asked = 0

    def account(self, account_id: int) -> Account | None:
        self.asked += 1
        return Account(1, "shop") if account_id == 1 else None

    def identity_for(self, account_id: int, address: str) -> Identified | None:
        return {
            "a@example.org": Identified("example.org", KEY),
            "own@example.org": Identified("own@example.org", OWN_KEY),
            "a@quiet.example": Identified("quiet.example", KEY, is_dkim_on=False),
        }.get(address)


def submission(account_id: int, author: str, sender: str = "") -> tuple[Submission, Header]:
    content = f"From: {author}\r\n\r\nhi\r\n".encode()
    envelope = Envelope(sender=sender or author)
    return Submission(account_id, envelope, content, Client()), Header.parse(content)


@pytest.mark.parametrize(
    ("author", "signing"),
    [
        ("a@example.org", (KEY,)),
        ("own@example.org", (OWN_KEY,)),
        ("a@quiet.example", ()),
        ("a@example.org, own@example.org", (KEY,)),  # the first author's
    ],
)
def test_the_identity_of_from_signs(author: str, signing: tuple[keys.SigningKey, ...]) -> None:
    policy = Policy(Live())  # type: ignore[arg-type]
    found = policy.check(*submission(1, author, sender="own@example.org"))
    assert tuple(found.keys) == signing


def test_the_identity_of_from_says_whether_its_header_is_kept() -> None:
    policy = Policy(Live())  # type: ignore[arg-type]
    assert policy.check(*submission(1, "own@example.org")).has_headers
    assert not policy.check(*submission(1, "a@example.org", "own@example.org")).has_headers


@pytest.mark.parametrize(
    ("account_id", "author", "sender"),
    [
        (1, "a@elsewhere.example", ""),
        (1, "a@example.org", "a@elsewhere.example"),
        (2, "a@example.org", ""),
        (1, "undisclosed", "a@example.org"),
    ],
)
def test_refused(account_id: int, author: str, sender: str) -> None:
    with pytest.raises(Refused):
        Policy(Live()).check(*submission(account_id, author, sender))  # type: ignore[arg-type]


def test_our_own_mail_passes_unasked() -> None:
    live = Live()
    assert Policy(live).check(*submission(0, "MAILER-DAEMON@relay.example")).keys == ()  # type: ignore[arg-type]
    assert live.asked == 0


def test_the_default_of_the_return_path_can_change_while_it_runs() -> None:
    policy = Policy(Live())  # type: ignore[arg-type]
    assert policy.check(*submission(1, "a@example.org")).return_path_domain == ""
    policy.return_path_domain = "bounces.relay.example"
    assert policy.check(*submission(1, "a@example.org")).return_path_domain == "bounces.relay.example"
    assert policy.check(*submission(0, "a@example.org")).return_path_domain == ""  # the relay's own mail


def test_the_simulator_is_where_the_service_domain_is_now() -> None:
    live = Live()
    live.account = lambda _: Account(1, "new", access=Access.SANDBOX)  # type: ignore[method-assign]
    policy = Policy(live, service_domain="relay.example")  # type: ignore[arg-type]
    asked, header = submission(1, "a@example.org")
    asked.envelope.recipients.append(
        Recipient(0, "success@simulator.relay.example", "simulator.relay.example")
    )
    assert policy.check(asked, header).keys == (KEY,)
    policy.service_domain = "other.example"
    with pytest.raises(Refused, match=r"success@simulator\.relay\.example"):
        policy.check(asked, header)


def test_control_fields_are_read_and_refused() -> None:
    policy = Policy(Live())  # type: ignore[arg-type]
    assert policy.check(*submission(1, "a@example.org")).control == ""
    tagged = submission(1, "a@example.org\r\nX-SES-MESSAGE-TAGS: campaign=book", sender="a@example.org")
    assert policy.check(*tagged).control == '{"tags":{"campaign":["book"]}}'
    wrong = submission(1, "a@example.org\r\nX-SES-MESSAGE-TAGS: campaign", sender="a@example.org")
    with pytest.raises(Refused, match="Invalid message tag"):
        policy.check(*wrong)


class Counting:
    """Limits and a scanner that note who was asked, in order."""

    def __init__(self, refuses: str = "", is_waited_for: bool = True, is_on: bool = True) -> None:
        self.asked: list[str] = []
        self._refuses, self._is_waited_for = refuses, is_waited_for
        self.settings = ScannerSettings(host="localhost", port=1) if is_on else ScannerSettings()

    def take(self, account: Account, recipients: object, admission: object) -> Awaitable[None] | None:
        return self._note("limits") if self._is_waited_for else None

    async def screen(self, submission: Submission, admission: object) -> None:
        await self._note("scanner")

    async def _note(self, who: str) -> None:
        self.asked.append(who)
        if who == self._refuses:
            raise Refused(Reply(454, who))


def completing(asked: Counting, account_id: int = 1) -> Awaitable[None] | None:
    policy = Policy(Live(), limits=asked)  # type: ignore[arg-type]
    policy.scanner = asked  # type: ignore[assignment]
    return policy.complete(*submission(account_id, "a@example.org"), Admission())


async def test_the_limits_are_asked_before_the_scanner() -> None:
    for is_waited_for, asked in [(True, ["limits", "scanner"]), (False, ["scanner"])]:
        counting = Counting(is_waited_for=is_waited_for)
        await completing(counting)
        assert counting.asked == asked


async def test_what_is_over_its_limits_is_not_scanned() -> None:
    counting = Counting(refuses="limits")
    with pytest.raises(Refused, match="limits"):
        await completing(counting)
    assert counting.asked == ["limits"]


def test_nothing_is_waited_for_without_scanner_and_limits_or_for_the_relay_itself() -> None:
    assert completing(Counting(is_waited_for=False, is_on=False)) is None
    assert completing(Counting(), account_id=0) is None


def test_the_rules_on_content_are_asked() -> None:
    policy = Policy(Live())  # type: ignore[arg-type]
    content = b"From: a@example.org\r\nContent-Type: x/y; name=a.exe\r\n\r\nx"
    with pytest.raises(Refused, match=r"Illegal filename 'a\.exe'"):
        policy.check(Submission(1, Envelope("a@example.org"), content, Client()), Header.parse(content))
    own = Submission(0, Envelope(""), content, Client())
    assert policy.check(own, Header.parse(content)).dropped == ""


class Keeping:
    """Suppression that suspects those it is told to, and notes what it is asked."""

    def __init__(self, asked: list[str], *suspects: Recipient, is_unknown: bool = False) -> None:
        self._asked, self._suspects, self._is_unknown = asked, list(suspects), is_unknown

    def suspects(self, account: Account, recipients: object) -> list[Recipient]:
        return self._suspects

    async def confirm(self, account: Account, suspects: list[Recipient]) -> None:
        self._asked.append("lists")
        if self._is_unknown:
            raise Refused(Reply(451, "lists"))


@pytest.mark.parametrize("is_on", [True, False])
async def test_the_lists_are_asked_behind_the_limits_and_only_for_suspects(is_on: bool) -> None:
    suspect = Recipient(0, "a@x.example", "x.example")
    for suspects, asked in [((suspect,), ["limits", "lists"]), ((), ["limits"])]:
        counting = Counting(is_on=is_on)
        policy = Policy(Live(), limits=counting, suppression=Keeping(counting.asked, *suspects))  # type: ignore[arg-type]
        policy.scanner = counting  # type: ignore[assignment]
        waiting = policy.complete(*submission(1, "a@example.org"), Admission())
        assert waiting is not None
        await waiting
        assert counting.asked == asked + ["scanner"] * is_on


async def test_where_the_lists_cannot_be_asked_nothing_is_scanned() -> None:
    counting = Counting()
    lists = Keeping(counting.asked, Recipient(0, "a@x.example", "x.example"), is_unknown=True)
    policy = Policy(Live(), limits=counting, suppression=lists)  # type: ignore[arg-type]
    policy.scanner = counting  # type: ignore[assignment]
    waiting = policy.complete(*submission(1, "a@example.org"), Admission())
    assert waiting is not None
    with pytest.raises(Refused, match="lists"):
        await waiting
    assert counting.asked == ["limits", "lists"]
