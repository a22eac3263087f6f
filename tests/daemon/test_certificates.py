import os
from pathlib import Path

import pytest
from cryptography import x509

from relay.daemon.settings.config import parse
from relay.daemon.supervisor import certificates as module
from relay.daemon.supervisor.certificates import Certificates, named_by
from tests.fakes.certificate import make_pair


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return make_pair(tmp_path, "relay.example")[0]


def ends_at(file: Path) -> float:
    (own,) = x509.load_pem_x509_certificates(file.read_bytes())
    return own.not_valid_after_utc.timestamp()


def test_an_expiry_is_that_of_the_first_of_the_chain_to_expire(file: Path, tmp_path: Path) -> None:
    later, _ = make_pair(tmp_path, "ca.example", days=3)
    assert ends_at(later) > ends_at(file)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(later.read_bytes() + file.read_bytes())
    found = Certificates().look([file, later, chain])
    assert found == {file: ends_at(file), later: ends_at(later), chain: ends_at(file)}


def test_a_file_is_read_again_only_when_it_has_changed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    load = x509.load_pem_x509_certificates

    def counted(content: bytes) -> list[x509.Certificate]:
        nonlocal reads
        reads += 1
        return load(content)

    monkeypatch.setattr(module.x509, "load_pem_x509_certificates", counted)
    certificates = Certificates()
    first = certificates.look([file])
    assert certificates.look([file]) == first
    assert reads == 1
    os.utime(file, (1, 1))
    assert certificates.look([file]) == first
    assert reads == 2
    certificates.look([])
    assert certificates.look([file]) == first
    assert reads == 3


def test_one_that_was_renewed_is_not_in_force_before_a_reload(file: Path, tmp_path: Path) -> None:
    fresh, _ = make_pair(tmp_path, "fresh.example", days=30)
    certificates = Certificates()
    old, new = ends_at(file), ends_at(fresh)
    assert certificates.look([file], 1.0) == {file: old}
    fresh.rename(file)
    assert certificates.look([file], 1.0) == {file: old}
    assert certificates.look([file], 2.0) == {file: new}
    assert certificates.look([file], 2.0) == {file: new}


def test_what_cannot_be_read_is_said_so_until_it_can(file: Path, tmp_path: Path) -> None:
    good, missing, rubbish = file.read_bytes(), tmp_path / "missing.pem", tmp_path / "rubbish.pem"
    rubbish.write_bytes(b"rubbish")
    certificates = Certificates()
    assert certificates.look([missing, rubbish]) == {missing: None, rubbish: None}
    rubbish.write_bytes(good)
    assert certificates.look([rubbish])[rubbish] is not None
    rubbish.unlink()
    assert certificates.look([rubbish]) == {rubbish: None}


def test_the_files_that_count_are_those_of_the_configuration(tmp_path: Path) -> None:
    text = f"""
[spool]
path = "{tmp_path}"
[tls]
certificate = "own.pem"
private_key = "own.key"
[[route]]
domain = "a.example"
next_hop = "127.0.0.1:25"
tls = "required"
client_certificate = "client.pem"
client_key = "client.key"
[[route]]
domain = "b.example"
next_hop = "127.0.0.1:25"
"""
    config = parse(text, tmp_path / "relay.toml")
    assert [one.name for one in named_by(config)] == ["own.pem", "client.pem"]
