"""One context per mode, and what each asks of the peer."""

import ssl

import pytest

from relay.base.errors import ConfigError
from relay.base.route import TlsMode
from relay.transport.tls_policy import TlsContexts


def test_opportunistic_verifies_nothing():
    context = TlsContexts().context(TlsMode.OPPORTUNISTIC)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("mode", [TlsMode.REQUIRED, TlsMode.WRAPPER])
def test_the_others_verify_certificate_and_name(mode):
    context = TlsContexts().context(mode)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_context_is_made_once_until_forgotten():
    contexts = TlsContexts()
    first = contexts.context(TlsMode.OPPORTUNISTIC)
    assert contexts.context(TlsMode.OPPORTUNISTIC) is first
    contexts.forget()
    assert contexts.context(TlsMode.OPPORTUNISTIC) is not first


def test_a_ca_file_that_cannot_be_used(tmp_path):
    (tmp_path / "empty.pem").write_text("")
    for path in (tmp_path / "gone.pem", tmp_path / "empty.pem"):
        with pytest.raises(ConfigError, match=path.name):
            TlsContexts(str(path)).context(TlsMode.REQUIRED)


def test_no_context_without_tls():
    with pytest.raises(ValueError, match="no TLS"):
        TlsContexts().context(TlsMode.NONE)
