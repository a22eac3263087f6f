"""Certificate files, as they are made at run time: good, unfit, chained, and with a gap."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from relay.daemon.checkup.certificate_files import look
from tests.fakes.certificate import make_pair

SETTING = "[tls] certificate"


def made(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey) -> bytes:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(
        name(issuer), name(subject), key.public_key(), x509.random_serial_number(),
        now - datetime.timedelta(days=1), now + datetime.timedelta(days=9),
    )  # fmt: skip
    return builder.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_a_pair_that_signs_itself(tmp_path: Path) -> None:
    chain, key = make_pair(tmp_path, "relay.example.net", "127.0.0.1")
    seen = look(SETTING, chain, key)
    assert (seen.names, seen.is_self_signed, seen.gap, seen.fault) == (
        ("relay.example.net", "127.0.0.1"), True, "", "",
    )  # fmt: skip
    assert seen.ends_at - seen.begins_at == pytest.approx(2 * 86400, abs=2)


def test_what_cannot_be_used_is_told_with_its_file(tmp_path: Path) -> None:
    chain, key = make_pair(tmp_path, "a.example")
    _, other = make_pair(tmp_path, "b.example")
    assert "is not the key" in look(SETTING, chain, other).fault
    assert str(tmp_path / "gone") in look(SETTING, tmp_path / "gone", key).fault
    chain.write_text("no certificate")
    assert "holds no certificate" in look(SETTING, chain, key).fault


def test_a_key_that_this_user_may_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, key = make_pair(tmp_path, "a.example")
    monkeypatch.setattr("relay.daemon.checkup.machine.may_see", lambda path: path != key)
    seen = look(SETTING, chain, key)
    assert (seen.fault, seen.is_key_seen) == ("", False)
    assert seen.ends_at > seen.begins_at


def test_a_chain_is_followed(tmp_path: Path) -> None:
    own, middle, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    leaf = made("a.example", "Middle", own, middle)
    issuer, stranger = made("Middle", "Unknown Root", middle, other), made("Other", "Other", other, other)
    key = tmp_path / "key.pem"
    secret = serialization.PrivateFormat.PKCS8
    key.write_bytes(own.private_bytes(serialization.Encoding.PEM, secret, serialization.NoEncryption()))
    file = tmp_path / "chain.pem"
    file.write_bytes(leaf + made("Middle", "Middle", middle, middle))
    assert look(SETTING, file, key).gap == ""
    file.write_bytes(leaf + stranger)
    assert "certificate 1 is not signed by the one behind it (CN=Other)" in look(SETTING, file, key).gap
    file.write_bytes(leaf + issuer)
    gap = look(SETTING, file, key).gap
    assert gap == "" or "CN=Unknown Root is neither in it nor" in gap  # as the system knows authorities
