"""Secrets: the passwords are those of SES, the vault opens only what it sealed, under the same name."""

import base64
import re
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.errors import DirectoryError
from relay.directory import secrets
from relay.directory.secrets import KeyFile, Vault, create_key_file

EXAMPLE = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # the secret that the SES guide derives from


def openssl_hmac(key: bytes, message: str) -> bytes:
    """HMAC-SHA256 as another program computes it."""
    options = ["-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key.hex()}", "-binary"]
    return subprocess.run(
        ["openssl", "dgst", *options], input=message.encode(), capture_output=True, check=True
    ).stdout


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_the_password_is_the_one_openssl_computes(region: str) -> None:
    digest = f"AWS4{EXAMPLE}".encode()
    for part in ("11111111", region, "ses", "aws4_request", "SendRawEmail"):
        digest = openssl_hmac(digest, part)
    assert secrets.smtp_password(EXAMPLE, region) == base64.b64encode(b"\x04" + digest).decode()


def test_the_old_password_is_the_one_openssl_computes() -> None:
    digest = openssl_hmac(EXAMPLE.encode(), "SendRawEmail")
    assert secrets.old_smtp_password(EXAMPLE) == base64.b64encode(b"\x02" + digest).decode()


def test_the_passwords_are_those_that_ses_is_known_to_take() -> None:
    # Known answers for this made-up secret, published with the AWS provider of Terraform.
    secret = "some+secret+key"
    assert secrets.smtp_password(secret, "eu-central-1") == "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"
    assert secrets.old_smtp_password(secret) == "AnkqhOiWEcszZZzTMCQbOY1sPGoLFgMH9zhp4eNgSjo4"


def test_key_ids_and_secrets_have_the_form_of_ses_with_our_prefix() -> None:
    assert re.fullmatch(r"RLAY[A-Z2-7]{16}", secrets.new_key_id())
    assert re.fullmatch(r"[A-Za-z0-9+/]{40}", secrets.new_secret())
    assert secrets.new_key_id() != secrets.new_key_id()
    assert secrets.new_secret() != secrets.new_secret()


@given(st.binary(max_size=3000), st.text(max_size=30))
def test_what_is_sealed_opens_under_the_same_name(secret: bytes, name: str) -> None:
    vault = Vault(bytes(32))
    sealed = vault.seal(name, secret)
    assert vault.unseal(name, sealed) == secret
    assert secret not in sealed or len(secret) < 4
    assert vault.seal(name, secret) != sealed  # a fresh nonce each time


@given(st.data())
def test_one_changed_bit_does_not_open(data: st.DataObject) -> None:
    vault = Vault(bytes(32))
    sealed = bytearray(vault.seal("name", b"a secret"))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DirectoryError, match="secret of name does not open"):
        vault.unseal("name", bytes(sealed))


def test_another_name_another_key_and_a_stump_do_not_open() -> None:
    sealed = Vault(bytes(32)).seal("mine", b"a secret")
    for vault, name, what in [
        (Vault(bytes(32)), "yours", sealed),
        (Vault(b"k" * 32), "mine", sealed),
        (Vault(bytes(32)), "mine", sealed[:10]),
        (Vault(bytes(32)), "mine", sealed[:13]),
        (Vault(bytes(32)), "mine", b""),
    ]:
        with pytest.raises(DirectoryError, match="does not open") as caught:
            vault.unseal(name, what)
        assert "a secret" not in str(caught.value)


def test_a_key_file_is_made_once_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "relay.key"
    create_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(DirectoryError, match="never overwritten"):
        create_key_file(path)
    assert path.read_bytes() == before
    with pytest.raises(DirectoryError, match="No such file"):
        create_key_file(tmp_path / "no" / "relay.key")


def test_two_openings_of_a_key_file_are_one_vault(tmp_path: Path) -> None:
    path = tmp_path / "relay.key"
    create_key_file(path)
    assert Vault.open(path).unseal("n", Vault.open(path).seal("n", b"s")) == b"s"
    file = KeyFile(path)
    vault = file.vault()
    path.unlink()
    assert file.vault() is vault


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "relay.key"
    create_key_file(path)
    path.chmod(mode)
    with pytest.raises(DirectoryError, match=f"mode {mode:04o}.*chmod 600"):
        Vault.open(path)


def test_what_is_no_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match="no key file; make it with `relay init`"):
        Vault.open(tmp_path / "none")
    with pytest.raises(DirectoryError, match="cannot be read: Is a directory"):
        Vault.open(tmp_path)
    with pytest.raises(DirectoryError, match="not a regular file"):
        Vault.open(Path("/dev/null"))
    for text in (b"", b"too short", base64.b64encode(bytes(16)), b"*" * 44):
        path = tmp_path / "bad"
        path.write_bytes(text)
        path.chmod(0o600)
        with pytest.raises(DirectoryError, match="not a key file of this relay"):
            Vault.open(path)
