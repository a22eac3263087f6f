"""Host and port in one text."""

import pytest

from relay.base.endpoint import format_endpoint, parse_endpoint
from relay.base.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("mail.Example.net:25", "mail.example.net", 25),
        ("mail.example.net", "mail.example.net", 99),
        ("192.0.2.1:2525", "192.0.2.1", 2525),
        ("[2001:db8::1]:25", "2001:db8::1", 25),
        ("[2001:DB8::1]", "2001:db8::1", 99),
    ],
)
def test_endpoints(text, host, port):
    assert parse_endpoint(text, 99) == (host, port)
    assert parse_endpoint(format_endpoint(host, port), 99) == (host, port)


@pytest.mark.parametrize(
    "text",
    ["", ":25", "a:", "a:0", "a:65536", "a:x", "2001:db8::1", "[a]:25", "[::1]x", "[::1]:", "a b:1", "[::1"],
)
def test_what_is_no_endpoint(text):
    with pytest.raises(ConfigError, match="is not host:port"):
        parse_endpoint(text, 25)


def test_a_port_may_have_to_be_given_and_may_be_any():
    with pytest.raises(ConfigError, match="is not host:port"):
        parse_endpoint("localhost")
    assert parse_endpoint("localhost:0", least_port=0) == ("localhost", 0)
