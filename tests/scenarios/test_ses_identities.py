"""Identities as users of SES know them: who may send in which names, to whom, and whose settings hold.

Each row is a message over TLS with the exact reply to its dot, with two workers.
"""

import json
from contextlib import closing

import pytest
from sqlalchemy import update

from relay.directory.models import IdentityTable
from relay.directory.records import Access, IdentityState
from tests.fakes.prepared import HOSTNAME
from tests.fakes.running import RunningRelay
from tests.scenarios.dialogue import OK, UNVERIFIED, content, newcomer, sent, speak
from tests.scenarios.receiver import Receiver

Login = tuple[str, str]
HELD = (
    "owned.example",
    "sub.owned.example",
    "Joe@elsewhere.example",
    "andrew+recipient1@elsewhere.example",
    "xn--bcher-kva.example",
)
A, JOE, LABELLED = "a@owned.example", "Joe@elsewhere.example", "andrew+recipient1@elsewhere.example"
EVIL, WORSE = "x@evil.example", "y@worse.example"


@pytest.fixture(scope="module")
def logins(shared_relay: RunningRelay) -> dict[str, Login]:
    """Accounts: ``owner`` holds ``HELD``, ``stranger`` another domain, ``sandbox`` as the owner but there."""
    directory = shared_relay.directory()
    made = {
        "owner": newcomer(directory, "owner", *HELD),
        "stranger": newcomer(directory, "stranger", "strange.example"),
        "sandbox": newcomer(directory, "sandbox", *HELD, access=Access.SANDBOX),
    }
    for state in IdentityState:
        directory.identities.add("owner", f"{state}.example", is_verified=True)
        with directory._database.writing() as session:
            named = IdentityTable.name == f"{state}.example"
            session.execute(update(IdentityTable).where(named).values(state=state))
    for below in ("pending.owned.example", "pending@owned.example"):
        directory.identities.add("owner", below)
    shared_relay.wait_for_directory(directory)
    directory.close()
    return made


def message(sender: str, header_from: str = "", *fields: str) -> tuple[str, str]:
    return sender, content(header_from or sender, *fields)


NAMES: dict[str, tuple[str, tuple[str, str], str]] = {
    # whose names must be verified
    "all of one domain": ("owner", message(A, "b@owned.example", "Sender: c@owned.example"), ""),
    "MAIL FROM": ("owner", message(EVIL, A), EVIL),
    "From": ("owner", message(A, EVIL), EVIL),
    "one of two in From": ("owner", message(A, f"{A}, {EVIL}"), EVIL),
    "Sender": ("owner", message(A, A, f"Sender: {EVIL}"), EVIL),
    "Return-Path": ("owner", message(A, A, f"Return-Path: <{EVIL}>"), EVIL),
    "Return-Path of one's own": ("owner", message(A, A, f"Return-Path: <{JOE}>"), ""),
    "null Return-Path": ("owner", message(A, A, "Return-Path: <>"), ""),
    "Reply-To need not": ("owner", message(A, A, f"Reply-To: {EVIL}"), ""),
    "Cc need not": ("owner", message(A, A, f"Cc: {EVIL}"), ""),
    "null reverse-path": ("owner", message("", A), ""),
    "null reverse-path does not help": ("owner", message("", EVIL), EVIL),
    "all that failed, each once": (
        "owner",
        message(EVIL, f"{WORSE}, {EVIL}", f"Sender: {WORSE}", "Return-Path: <z@third.example>"),
        f"{EVIL}, {WORSE}, z@third.example",
    ),
    "another account's": ("stranger", message(A), A),
    # what a domain covers
    "domain in any case": ("owner", message("a@OWNED.Example"), ""),
    "subdomain": ("owner", message("a@b.c.owned.example"), ""),
    "parent domain": ("owner", message("a@example"), "a@example"),
    "name that ends alike": ("owner", message("a@notowned.example"), "a@notowned.example"),
    "A-labels": ("owner", message("a@xn--bcher-kva.example"), ""),
    # what an address covers
    "address": ("owner", message(JOE), ""),
    "its domain in any case": ("owner", message("Joe@ELSEWHERE.example"), ""),
    "its local part in another case": ("owner", message("joe@elsewhere.example"), "joe@elsewhere.example"),
    "label": ("owner", message("Joe+news@elsewhere.example"), ""),
    "two labels": ("owner", message("Joe+news+today@elsewhere.example"), ""),
    "subdomain of an address": ("owner", message("Joe@sub.elsewhere.example"), "Joe@sub.elsewhere.example"),
    "labelled address": ("owner", message(LABELLED), ""),
    "labelled address, without": ("owner", message("andrew@elsewhere.example"), "andrew@elsewhere.example"),
    "labelled address, another": (
        "owner",
        message("andrew+recipient2@elsewhere.example"),
        "andrew+recipient2@elsewhere.example",
    ),
    "labelled address, one more": (
        "owner",
        message("andrew+recipient1+recipient2@elsewhere.example"),
        "andrew+recipient1+recipient2@elsewhere.example",
    ),
    # in which states
    "pending": ("owner", message("a@pending.example"), "a@pending.example"),
    "verified": ("owner", message("a@verified.example"), ""),
    "warned": ("owner", message("a@warned.example"), ""),
    "failed": ("owner", message("a@failed.example"), "a@failed.example"),
    "revoked": ("owner", message("a@revoked.example"), "a@revoked.example"),
    "pending subdomain, covered by the domain": ("owner", message("a@pending.owned.example"), ""),
    "pending address, covered by the domain": ("owner", message("pending@owned.example"), ""),
}


@pytest.mark.parametrize("row", NAMES)
def test_in_whose_names(shared_relay: RunningRelay, logins: dict[str, Login], row: str) -> None:
    account, (sender, body), failed = NAMES[row]
    with closing(shared_relay.client(*logins[account])) as client:
        speak(client, sent(sender, body, UNVERIFIED + failed if failed else OK))


def test_a_domain_in_another_script(shared_relay: RunningRelay, logins: dict[str, Login]) -> None:
    lines = sent("a@Bücher.example", content("a@bücher.example"), OK)
    lines[0] = (f"{lines[0][0]} SMTPUTF8", lines[0][1])
    with closing(shared_relay.client(*logins["owner"])) as client:
        speak(client, lines)
        evil = sent(
            "a@bücher.evil.example", content("a@bücher.example"), UNVERIFIED + "a@b?cher.evil.example"
        )
        speak(client, [(f"{evil[0][0]} SMTPUTF8", evil[0][1]), *evil[1:]])


SIMULATOR = f"simulator.{HOSTNAME}"
RECIPIENTS: dict[str, tuple[str, list[str], str]] = {
    "anyone, in production": ("owner", [EVIL], ""),
    "one's own domain": ("sandbox", ["b@owned.example", "c@deep.owned.example"], ""),
    "one's own address, with a label": ("sandbox", ["Joe+me@elsewhere.example"], ""),
    "anyone": ("sandbox", [EVIL], EVIL),
    "one of three": ("sandbox", ["b@owned.example", EVIL, WORSE], f"{EVIL}, {WORSE}"),
    "local part in another case": ("sandbox", ["joe@elsewhere.example"], "joe@elsewhere.example"),
    "the simulator": ("sandbox", [f"success@{SIMULATOR}", f"Bounce+label@{SIMULATOR.upper()}"], ""),
    "somebody else's simulator": ("sandbox", ["success@simulator.example"], "success@simulator.example"),
    "the service domain": ("sandbox", [f"a@{HOSTNAME}"], f"a@{HOSTNAME}"),
}


@pytest.mark.parametrize("row", RECIPIENTS)
def test_to_whom(shared_relay: RunningRelay, logins: dict[str, Login], row: str) -> None:
    account, to, failed = RECIPIENTS[row]
    with closing(shared_relay.client(*logins[account])) as client:
        speak(client, sent(A, content(A), UNVERIFIED + failed if failed else OK, to))


def test_senders_come_before_recipients(shared_relay: RunningRelay, logins: dict[str, Login]) -> None:
    with closing(shared_relay.client(*logins["sandbox"])) as client:
        failed = f"{WORSE}, {EVIL}, z@third.example"
        speak(client, sent(WORSE, content(A, f"Sender: {EVIL}"), UNVERIFIED + failed, ["z@third.example"]))


def test_more_than_fit_on_the_line_end_in_three_dots(
    shared_relay: RunningRelay, logins: dict[str, Login]
) -> None:
    many = [f"someone.{number:02}@a.domain.that.is.long.example" for number in range(30)]
    shown = ", ".join(many[:8])
    with closing(shared_relay.client(*logins["sandbox"])) as client:
        speak(client, sent(A, content(A), f"{UNVERIFIED}{shown}, ...", many))


UNREADABLE: dict[str, tuple[tuple[str, ...], str]] = {
    "no From": (("Subject: x",), "Missing required header 'From'."),
    "two From": ((f"From: {A}", f"From: {EVIL}"), "Duplicate header 'From'."),
    "two Sender": ((f"From: {A}", f"Sender: {A}", f"Sender: {EVIL}"), "Duplicate header 'Sender'."),
    "From without an address": (("From: me",), "Invalid header 'From'."),
    "From that may be read in two ways": ((f"From: {A} <{EVIL}",), "Invalid header 'From'."),
    "Return-Path without an address": ((f"From: {A}", "Return-Path: me"), "Invalid header 'Return-Path'."),
}


@pytest.mark.parametrize("row", UNREADABLE)
def test_names_that_cannot_be_read(shared_relay: RunningRelay, logins: dict[str, Login], row: str) -> None:
    fields, why = UNREADABLE[row]
    body = "\n".join([*fields, "", "Hello", "."])
    with closing(shared_relay.client(*logins["owner"])) as client:
        speak(client, sent(A, body, f"554 5.6.0 Transaction failed: {why}"))


# Whose DKIM settings hold: of the most granular identity that is verified.
SETTINGS = {
    "the domain": ("a@layers.example", {"layers.example"}),
    "a subdomain that is no identity": ("a@x.layers.example", {"layers.example"}),
    "a subdomain that is one": ("a@sub.layers.example", {"sub.layers.example"}),
    "below the subdomain": ("a@deep.sub.layers.example", {"sub.layers.example"}),
    "a subdomain with DKIM off": ("a@quiet.layers.example", set[str]()),
    "below it": ("a@deep.quiet.layers.example", set[str]()),
    "an address with DKIM off": ("quiet@layers.example", set[str]()),
    "its label": ("quiet+label@layers.example", set[str]()),
    "another address": ("loud@layers.example", {"layers.example"}),
    "an address with DKIM on, of a domain with DKIM off": (
        "loud@quiet.layers.example",
        {"quiet.layers.example"},
    ),
    "an address in another case is the domain's": ("Quiet@layers.example", {"layers.example"}),
}


@pytest.fixture(scope="module")
def layers(shared_relay: RunningRelay) -> Login:
    directory = shared_relay.directory()
    login = newcomer(
        *(directory, "layers", "layers.example", "sub.layers.example", "quiet.layers.example"),
        *("quiet@layers.example", "loud@layers.example", "loud@quiet.layers.example"),
    )
    for name in ("quiet.layers.example", "quiet@layers.example"):
        directory.identities.set_dkim(name, False, "layers")
    shared_relay.wait_for_directory(directory)
    directory.close()
    return login


@pytest.mark.parametrize("row", SETTINGS)
def test_whose_settings_hold(
    shared_relay: RunningRelay, shared_receiver: Receiver, layers: Login, row: str
) -> None:
    sender, signed_by = SETTINGS[row]
    body = content(sender).replace("a row of the table", row)
    with closing(shared_relay.client(*layers)) as client:
        speak(client, sent(sender, body, OK))
    got = shared_receiver.wait_for(row)
    signatures = [
        dict(tag.strip().partition("=")[::2] for tag in one.split(";")) for one in signatures_of(got)
    ]
    assert {tags["d"] for tags in signatures} == signed_by | {HOSTNAME}


def signatures_of(got: object) -> list[str]:
    found = got.parsed.get_all("DKIM-Signature") or []  # type: ignore[attr-defined]
    return [str(one) for one in found]


ACCESS = {
    "sandbox": (["--access", "sandbox"], (1.0, 200)),
    "production": (["--access", "production"], (5.0, 10_000)),
    "as told": (["--rate", "14", "--quota", "unlimited"], (14.0, -1)),
}


@pytest.mark.parametrize("row", ACCESS)
def test_what_an_account_starts_with(shared_relay: RunningRelay, row: str) -> None:
    words, limits = ACCESS[row]
    name = row.replace(" ", "-")
    done = shared_relay.command("account", "create", f"starts-{name}", *words, "--json")
    made = json.loads(done.stdout)
    assert (made["max_send_rate"], made["max_24_hours"]) == limits
