import dkim
import pytest

from bench.content import DOMAIN, make_template
from bench.proof import check, key_record, write_key


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "key.pem"
    return path, key_record(write_key(path))


def signed(path):
    content = make_template(2048).fill(1, 1, 1)[:-3]
    return dkim.sign(content, b"bench", DOMAIN.encode(), path.read_bytes()) + content


def test_a_signed_message_passes(key_file):
    path, record = key_file
    assert check(signed(path), record) == ""
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_not_signed_as_it_should_be_is_named(key_file):
    path, record = key_file
    content = signed(path)
    assert check(content.replace(b"Your order", b"My order"), record) == "the signature does not verify"
    assert check(make_template(2048).fill(1, 1, 1), record) == "0 signatures where there should be one"
    assert check(content, b"v=DKIM1; k=ed25519; p=short") == "the key is not RSA-2048"
