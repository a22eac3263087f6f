"""Credentials of systemd's, as the configuration names them."""

from pathlib import Path

import pytest

from relay.base import credential
from relay.base.errors import ConfigError


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a service that got ``tls.key``."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "tls.key").write_text("key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return folder


def test_a_credential_is_in_the_folder_of_the_service(given: Path) -> None:
    assert credential.located(Path("credential:tls.key")) == given / "tls.key"
    assert credential.located(Path("tls.key")) is None
    assert credential.located(Path("/etc/credential:x")) is None
    assert credential.is_credential(given / "tls.key")
    assert not credential.is_credential(Path("/etc/relay/tls.key"))


def test_elsewhere_it_is_where_the_running_service_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    path = credential.located(Path("credential:tls.key"))
    assert path == Path("/run/credentials/relay.service/tls.key")
    assert "credentials are there while relay.service runs" in credential.missing(path)
    assert "LoadCredential=tls.key:PATH" in credential.missing(path)


def test_a_service_that_was_not_given_it_says_so(given: Path) -> None:
    assert credential.missing(given / "tls.key") == ""
    why = credential.missing(given / "other.key")
    assert why == (
        '"credential:other.key": the service was not given it; add LoadCredential=other.key:PATH '
        "(systemctl edit relay), then restart it"
    )


@pytest.mark.parametrize("name", ["", "..", "a/b", "../etc/shadow"])
def test_a_name_is_one_word(name: str) -> None:
    with pytest.raises(ConfigError, match=r'names no credential; write "credential:tls.key"'):
        credential.located(Path(f"credential:{name}"))


def test_the_access_list_of_a_credential_does_not_open_it(given: Path) -> None:
    """Where systemd has access lists, the user's right to read shows as the group's."""
    assert not credential.is_open_to_others(0o440, given / "tls.key")
    assert credential.is_open_to_others(0o444, given / "tls.key")
    assert credential.is_open_to_others(0o460, given / "tls.key")
    assert credential.is_open_to_others(0o440, "/etc/relay/tls.key")
    assert not credential.is_open_to_others(0o600, "/etc/relay/tls.key")
