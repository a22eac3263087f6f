"""DKIM as users of SES know it: who signs what, with which keys, and which records they publish for it.

Each row is a message over TLS, with two workers; every signature that the receiver finds is verified by
dkimpy against the records that the relay says are to be published.
"""

import json
from contextlib import closing
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import update

from relay.daemon.demo import verify
from relay.daemon.translate import load_service_keys
from relay.directory import keys
from relay.directory.models import IdentityTable
from relay.directory.records import RecordState
from tests.fakes.prepared import HOSTNAME
from tests.fakes.running import RunningRelay
from tests.scenarios.dialogue import OK, content, newcomer, sent, speak
from tests.scenarios.receiver import Receiver

RSA, ED25519 = keys.RSA, keys.ED25519
OWN_SELECTOR = "brought"
STATES = [state for state in RecordState if state is not RecordState.NONE]

# domain: algorithms and size of its keys
DOMAINS: dict[str, tuple[tuple[str, ...], int]] = {
    "plain.example": ((RSA,), 2048),
    "small.example": ((RSA,), 1024),
    "both.example": ((RSA, ED25519), 2048),
    "off.example": ((RSA,), 1024),
    **{f"{state}.example": ((RSA,), 1024) for state in STATES},
}
ADDRESS = "alone@nobody.example"

# sender: algorithms and sizes of the signatures of its domain
SIGNED: dict[str, tuple[str, set[tuple[str, int]]]] = {
    "RSA of 2048 bits": ("a@plain.example", {(RSA, 2048)}),
    "RSA of 1024 bits, where asked for": ("a@small.example", {(RSA, 1024)}),
    "Ed25519 as second signature": ("a@both.example", {(RSA, 2048), (ED25519, 256)}),
    "DKIM switched off": ("a@off.example", set()),
    "an address of its own, whose domain is nobody's": (ADDRESS, set()),
    "records not found yet": ("a@pending.example", set()),
    "records found": ("a@verified.example", {(RSA, 1024)}),
    "records gone: sent, unsigned": ("a@warned.example", set()),
    "records gone for five days": ("a@failed.example", set()),
    "a key of one's own": (f"a@{OWN_SELECTOR}.example", {(RSA, 2048)}),
}

Login = tuple[str, str]
_PEM = (Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


@pytest.fixture(scope="module")
def login(shared_relay: RunningRelay, tmp_path_factory: pytest.TempPathFactory) -> Login:
    directory = shared_relay.directory()
    made = newcomer(directory, "signer", ADDRESS)
    for name, (algorithms, bits) in DOMAINS.items():
        directory.identities.add("signer", name, algorithms=algorithms, bits=bits, is_verified=True)
    directory.identities.set_dkim("off.example", False)
    for state in STATES:
        with directory._database.writing() as session:
            named = IdentityTable.name == f"{state}.example"
            session.execute(update(IdentityTable).where(named).values(dkim_state=state))
    directory.identities.add("signer", f"{OWN_SELECTOR}.example", is_verified=True)
    pem = keys.generate(RSA)
    directory.dkim.import_key(f"{OWN_SELECTOR}.example", OWN_SELECTOR, pem, is_verified=True)
    shared_relay.wait_for_directory(directory)
    directory.close()
    return made


def published(relay: RunningRelay, domain: str) -> dict[str, keys.SigningKey]:
    """The keys of a domain and of the service domain, by the names of their records."""
    directory = relay.directory()
    found = [*directory.identities.signing_keys(domain, "signer"), *load_service_keys(relay.settings)]
    directory.close()
    return {key.record_name: key for key in found}


def size_of(key: keys.SigningKey) -> int:
    return getattr(key.private, "key_size", 256)


def is_signed_by(relay: RunningRelay, content: bytes, domain: str) -> dict[str, list[keys.SigningKey]]:
    """The keys that signed, by domain. Each signature must verify."""
    at = published(relay, domain)
    records = {name: keys.public_record(key) for name, key in at.items()}
    found: dict[str, list[keys.SigningKey]] = {}
    for signer, is_good in verify(content, records):
        by, _, selector = signer.partition("/")
        assert is_good, signer
        found.setdefault(by, []).append(at[f"{selector}._domainkey.{by}"])
    return found


@pytest.mark.parametrize("row", SIGNED)
def test_who_signs(shared_relay: RunningRelay, shared_receiver: Receiver, login: Login, row: str) -> None:
    sender, expected = SIGNED[row]
    domain = sender.partition("@")[2]
    body = content(sender).replace("a row of the table", row)
    with closing(shared_relay.client(*login)) as client:
        speak(client, sent(sender, body, OK))
    got = shared_receiver.wait_for(row)
    known = domain if sender != ADDRESS else "plain.example"
    signed = is_signed_by(shared_relay, got.content, known)
    assert len(signed.pop(HOSTNAME)) == 1  # the service domain always signs
    assert sorted((key.algorithm, size_of(key)) for key in signed.pop(domain, [])) == sorted(expected)
    assert signed == {}


def test_what_the_client_signed_keeps_its_signature(
    shared_relay: RunningRelay, shared_receiver: Receiver, login: Login
) -> None:
    """A client that signs leaves Date and Message-ID, which are ours, out of it."""
    sender, subject = "a@plain.example", "signed by the client"
    key = keys.load(keys.generate(RSA), "client.example", "theirs", RSA)
    pem = key.private.private_bytes(*_PEM)
    lines = f"From: {sender}\r\nTo: x@receiver.example\r\nSubject: {subject}\r\n\r\nHello\r\n".encode()
    signature = dkim.sign(
        lines, b"theirs", b"client.example", pem, include_headers=[b"from", b"to", b"subject"]
    )
    with closing(shared_relay.client(*login)) as client:
        body = (signature + lines).decode().replace("\r\n", "\n") + "."
        speak(client, sent(sender, body, OK))
    got = shared_receiver.wait_for(subject)
    at = published(shared_relay, "plain.example") | {key.record_name: key}
    found = verify(got.content, {name: keys.public_record(one) for name, one in at.items()})
    assert {signer.partition("/")[0] for signer, is_good in found if is_good} == {
        "client.example",
        "plain.example",
        HOSTNAME,
    }
    assert len(found) == 3


@pytest.mark.parametrize(("domain", "tokens"), [("plain.example", 3), ("both.example", 6)])
def test_three_names_for_each_algorithm_lead_to_the_service_domain(
    shared_relay: RunningRelay, login: Login, domain: str, tokens: int
) -> None:
    done = shared_relay.command("identity", "records", domain, "--json")
    rows = [row for row in json.loads(done.stdout) if row["type"] == "CNAME"]
    assert len(rows) == tokens
    assert all(row["name"].endswith(f"._domainkey.{domain}") for row in rows)
    assert {row["value"] for row in rows} == {
        f"{row['name'].partition('.')[0]}.dkim.{HOSTNAME}" for row in rows
    }
    zone = json.loads(shared_relay.command("identity", "zone", "--json").stdout)
    assert {row["value"] for row in rows} <= {row["name"] for row in zone}


def test_keys_are_encrypted_at_rest(shared_relay: RunningRelay, login: Login) -> None:
    raw = b"".join(
        file.read_bytes()
        for file in Path(shared_relay.settings.directory.key_file).parent.glob("directory.db*")
    )
    assert b"plain.example" in raw
    assert b"PRIVATE KEY" not in raw
