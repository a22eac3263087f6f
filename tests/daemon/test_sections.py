"""What the tables refuse beyond kinds and ranges; ``test_config`` has how it is said."""

from pathlib import Path

import pytest

from relay.base.errors import ConfigError
from relay.daemon.settings.config import parse

TRUSTED = "tls='none'\nauth='none'\ntrusted_networks=['10.0.0.0/8']\naccount='a'\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[relay]\nhostname = 'two words'", "'two words' is not a host name"),
        ("[relay]\nhostname = 'a\\nb'", "is not a host name"),
        ('[relay]\nhostname = "a\\r\\nQUIT"', "is not a host name"),
        ("[relay]\ngroup = 'mail'", "group needs user"),
        ("[signing]\nreturn_path = 'relay'", "needs return_path_domain, or a service_domain"),
        ("[signing]\nreturn_path_domain = 'two words'", "'two words' is not a domain"),
        (
            "[signing]\nreturn_path_domain = '" + "longer." * 28 + "example'",
            "is not a domain (longer than 254 octets",
        ),
        ("[signing]\nreturn_path = 'relay'\nreturn_path_domain = 'bücher.example'", "in A-labels"),
        ("[verification]\nurl = 'relay.example.com'", "verification.url: 'relay.example.com' is no URL"),
        ("[verification]\nurl = 'https://x.example/?a=b'", "is no URL of a page"),
        ("[verification]\nsender = 'postmaster'", "verification.sender: 'postmaster' is not an address"),
        ("[verification]\nrecord_prefix = '_a.b'", "is not one label"),
        ("[delivery]\nsource_address = 'mail.example.com'", "delivery.source_address: "),
        ("[workers]\nheartbeat = '1s'", "workers.heartbeat: "),
        ("[content]\nscanner = 'unix:clamd.ctl'", "the socket of clamd is an absolute path"),
        ("[content]\nscanner = 'clamd'", 'content.scanner: "clamd" is not host:port'),
        ("[content]\nscanner_failure = 'ignore'", "content.scanner_failure: "),
        (
            f"[[listener]]\naddress = '127.0.0.1:25'\n{TRUSTED}" * 2,
            "127.0.0.1:25 is listened on twice",
        ),
        (f"[[listener]]\naddress = '127.0.0.1:9125'\n{TRUSTED}", "127.0.0.1:9125 is listened on twice"),
        (
            "[tls]\ncertificate='c'\nprivate_key='k'\n"
            "[[listener]]\naddress='127.0.0.1:25'\ntrusted_networks=['10.0.0.0/8']",
            'trusted_networks and account are for auth = "none"',
        ),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, Path("/etc/relay/relay.toml"))
    assert said in str(caught.value)


def test_any_free_port_may_be_asked_for_twice() -> None:
    text = f"[[listener]]\naddress = ['127.0.0.1:0', '127.0.0.1:0']\n{TRUSTED}"
    assert len(parse(text, Path("/x")).listener[0].address) == 2


def test_our_name_does_not_change_while_we_run(monkeypatch: pytest.MonkeyPatch) -> None:
    first = parse("", Path("/x")).relay.hostname
    monkeypatch.setattr("socket.getfqdn", lambda: "other.example")
    assert parse("", Path("/x")).relay.hostname == first
