import ipaddress

import pytest

from relay.base.errors import ConfigError
from relay.ingress.settings import ListenerSettings, is_within

NETWORKS = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::/32"))


@pytest.mark.parametrize(
    "settings",
    [
        {"auth": "required", "tls": "none"},
        {"auth": "none"},
        {"proxy_protocol": True},
    ],
)
def test_contradictions_are_refused(settings):
    with pytest.raises(ConfigError, match="listener: "):
        ListenerSettings(hostname="relay.test", **settings)


@pytest.mark.parametrize(
    ("address", "is_in"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("fe80::1%eth0", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_is_within(address, is_in):
    assert is_within(address, NETWORKS) is is_in
