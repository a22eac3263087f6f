import shutil
import ssl

import pytest
from cryptography.hazmat.primitives import serialization

from relay.base.errors import ConfigError
from relay.ingress.tls import Certificate, describe
from tests.fakes.certificate import make_pair


def test_a_pair_is_loaded(pair_files):
    context = Certificate(*pair_files).context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert describe(None) == ""


def test_files_that_cannot_be_used(tmp_path, pair_files):
    chain, key = pair_files
    _, other_key = make_pair(tmp_path, "other.test")
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    sealed = tmp_path / "sealed.key"
    sealed.write_bytes(
        serialization.load_pem_private_key(key.read_bytes(), None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"word"),
        )
    )
    for files, says in [
        ((chain, other_key), "is not the key of the certificate"),
        ((tmp_path / "none.pem", key), "certificate: .*none.pem: No such file"),
        ((chain, tmp_path / "none.key"), "private_key: .*none.key: No such file"),
        ((junk, key), "cannot be loaded as PEM"),
        ((chain, sealed), "is encrypted"),
        ((chain, tmp_path), "Is a directory"),
    ]:
        with pytest.raises(ConfigError, match=says):
            Certificate(*files)


def test_reload_keeps_the_old_pair_if_the_new_one_is_unfit(tmp_path, pair_files):
    chain, key = (shutil.copy(file, tmp_path) for file in pair_files)
    certificate = Certificate(tmp_path / pair_files[0].name, tmp_path / pair_files[1].name)
    context = certificate.context
    _, other_key = make_pair(tmp_path, "other.test")
    shutil.copy(other_key, key)
    with pytest.raises(ConfigError):
        certificate.reload()
    assert certificate.context is context
    shutil.copy(pair_files[1], key)
    certificate.reload()
    assert certificate.context is context
    assert chain
