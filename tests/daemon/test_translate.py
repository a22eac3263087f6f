"""What the stages are told, compared with what the file says."""

from pathlib import Path

import pytest

from relay.base.errors import ConfigError
from relay.base.route import TlsMode
from relay.codec.mime import Limits
from relay.codec.tls_report import Reporter
from relay.daemon import translate
from relay.daemon.duties.tls_report_duty import From
from relay.daemon.settings.config import Config, parse
from relay.directory import keys
from relay.directory.records import Account
from relay.policy.content_rules import MessageRules
from relay.policy.scanner import ScannerSettings
from relay.transport.rules import RoutingRule
from relay.verdict.delay import DelayNotices

LISTENER = """
[relay]
hostname = "mail.example.com"
[[listener]]
address = "127.0.0.1:25"
tls = "none"
auth = "none"
trusted_networks = ["10.0.0.0/8"]
account = "printers"
proxy_protocol = true
proxy_networks = ["10.0.0.1/32"]
[limits]
message_size = "1 MB"
recipients = 7
command_timeout = "1m"
data_timeout = "2m"
"""


class Known:
    def account_named(self, name: str) -> Account | None:
        return Account(7, "printers") if name == "printers" else None


def test_a_listener_is_told_everything() -> None:
    config = parse(LISTENER, Path("/x"))
    told = translate.listener_settings(config, config.listener[0], Known())
    assert (told.hostname, told.tls, told.auth, told.account_id) == ("mail.example.com", "none", "none", 7)
    assert [str(one) for one in (*told.trusted_networks, *told.proxy_networks)] == [
        "10.0.0.0/8",
        "10.0.0.1/32",
    ]
    assert (told.proxy_protocol, told.max_message_bytes, told.max_recipients) == (True, 1_000_000, 7)
    assert (told.command_timeout_s, told.data_timeout_s) == (60.0, 120.0)
    assert told.postmaster == "postmaster@mail.example.com"


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("[relay]\nhostname = 'mail.example.com'\n", "postmaster@mail.example.com"),
        (
            "[relay]\nhostname = 'mail.example.com'\n[signing]\nservice_domain = 'x.example'\n",
            "postmaster@x.example",
        ),
        ("[relay]\npostmaster = 'me@y.example'\n", "me@y.example"),
    ],
)
def test_who_looks_after_the_relay(text: str, who: str) -> None:
    assert translate.postmaster(parse(text, Path("/x"))) == who


@pytest.mark.parametrize(
    ("text", "after_s", "is_unasked"),
    [
        ("", 14400.0, True),
        ("delay_notice = 'asked'\ndelay_notice_after = '1h'", 3600.0, False),
        ("delay_notice = 'never'", 0.0, False),
    ],
)
def test_who_hears_of_delays(text: str, after_s: float, is_unasked: bool) -> None:
    config = parse(f"[delivery]\n{text}\n", Path("/x"))
    assert translate.delay_notices(config.delivery) == DelayNotices(after_s, is_unasked)


def test_an_account_that_is_not_there_names_the_fix() -> None:
    config = parse(LISTENER.replace("printers", "scanners"), Path("/x"))
    with pytest.raises(ConfigError, match=r"no such account; make it with `relay account create scanners`"):
        translate.listener_settings(config, config.listener[0], Known())


def test_routes() -> None:
    text = "[[route]]\ndomain='*.example.org'\nnext_hop='[::1]:26'\n"
    text += "tls='required'\nusername='u'\npassword_file='p'\n"
    config = parse(text + "[[route]]\ndomain='*'\nnext_hop='h:25'\n", Path("/etc/relay/relay.toml"))
    assert translate.routing_rules(config) == [
        RoutingRule("*.example.org", "[::1]:26", TlsMode.REQUIRED, "u", "/etc/relay/p"),
        RoutingRule("*", "h:25"),
    ]


@pytest.mark.parametrize(
    ("timeout", "mail_s", "data_s", "dot_s"), [("5m", 300.0, 120.0, 600.0), ("1m", 60.0, 60.0, 120.0)]
)
def test_one_timeout_bounds_every_reply_but_that_to_the_dot(
    timeout: str, mail_s: float, data_s: float, dot_s: float
) -> None:
    told = translate.session_settings(parse(f"[delivery]\nreply_timeout = '{timeout}'", Path("/x")))
    assert (told.mail_s, told.data_s, told.dot_s) == (mail_s, data_s, dot_s)


@pytest.mark.parametrize("kind", [keys.RSA, keys.ED25519])
def test_service_keys_are_of_either_kind(kind: str, tmp_path: Path) -> None:
    (tmp_path / "k.pem").write_bytes(keys.generate(kind))
    text = "[signing]\nservice_domain='d.example'\n[[signing.service_key]]\nselector='s'\nfile='k.pem'\n"
    (key,) = translate.load_service_keys(parse(text, tmp_path / "relay.toml"))
    assert key.record_name == "s._domainkey.d.example"


def test_a_service_key_that_is_missing_is_named(tmp_path: Path) -> None:
    text = "[signing]\nservice_domain='d.example'\n[[signing.service_key]]\nselector='s'\nfile='k.pem'\n"
    with pytest.raises(ConfigError, match=r"\[\[signing.service_key\]\] file: .*k.pem: No such file"):
        translate.load_service_keys(parse(text, tmp_path / "relay.toml"))


@pytest.mark.parametrize(
    ("address", "text"), [(None, ""), (("h", 25), "h:25"), (("2001:db8::1", 25), "[2001:db8::1]:25")]
)
def test_endpoints_as_text(address: tuple[str, int] | None, text: str) -> None:
    assert translate.endpoint_text(address) == text


def test_the_rules_on_content_are_those_of_ses_until_told_else() -> None:
    rules, scanner = translate.content_rules(parse("", Path("/x")))
    assert rules == MessageRules()
    assert not scanner.is_on
    rules, scanner = translate.content_rules(
        parse(
            '[content]\nheader_rules = false\nmime_parts = 7\nmime_depth = 3\nrefused_extensions = [".PDF"]\n'
            'data_uris = "accept"\n'
            'scanner = "[::1]:3310"\nscanner_timeout = "2s"\nscanner_failure = "pass"\n',
            Path("/x"),
        )
    )
    assert rules == MessageRules(False, Limits(parts=7, depth=3), frozenset({"pdf"}), True)
    assert scanner == ScannerSettings("", "::1", 3310, 2.0, "pass")
    _, scanner = translate.content_rules(parse('[content]\nscanner = "unix:/run/c.ctl"\n', Path("/x")))
    assert scanner == ScannerSettings("/run/c.ctl")


def test_private_addresses_are_refused_unless_they_are_allowed() -> None:
    assert not translate.session_settings(parse("", Path("/x"))).is_private_allowed
    text = '[delivery]\nprivate_addresses = "allow"\n'
    assert translate.session_settings(parse(text, Path("/x"))).is_private_allowed


def test_whose_return_paths_and_where_they_lead() -> None:
    text = '[relay]\nhostname = "Mail.example.com"\n[signing]\nservice_domain = "Service.example"\n'
    plain = parse(text, Path("/x"))
    assert (translate.return_path_domain(plain), translate.return_path_host(plain)) == (
        "",
        "mail.example.com",
    )
    ours = parse(text + 'return_path = "relay"\n', Path("/x"))
    assert translate.return_path_domain(ours) == "service.example"
    named = 'return_path_domain = "Bounces.example"\nreturn_path_host = "In.example"\n'
    ours = parse(text + 'return_path = "relay"\n' + named, Path("/x"))
    assert translate.return_path_domain(ours) == "bounces.example"
    assert translate.return_path_host(ours) == "in.example"


def parsed(text: str) -> Config:
    return parse(text, Path("/x"))


def test_who_reports_on_tls() -> None:
    found = translate.tls_reporter(parsed('[relay]\nhostname = "Mail.Example"'))
    assert found == From(
        Reporter("mail.example", "postmaster@mail.example", "mail.example"), "postmaster@Mail.Example", False
    )
    found = translate.tls_reporter(
        parsed(
            '[relay]\nhostname = "mail.example"\n[signing]\nservice_domain = "relay.example"\n'
            '[[signing.service_key]]\nselector = "s"\nfile = "service.pem"\n'
            '[tls_reports]\norganization = "Sender Inc."\ncontact = "tls@sender.example"\n'
        )
    )
    assert found.reporter == Reporter("Sender Inc.", "tls@sender.example", "relay.example")
    assert (found.sender, found.is_signed) == ("postmaster@relay.example", True)


def test_what_a_listener_for_mail_that_comes_back_is_told() -> None:
    text = """
[relay]
hostname = "mx.example.com"
[[listener]]
address = "127.0.0.1:25"
role = "inbound"
[limits]
message_size = "20 MB"
recipients = 70
command_timeout = "1m"
[feedback]
message_size = "1 MB"
recipients = 2
"""
    config = parse(text, Path("/x"))
    settings = translate.listener_settings(config, config.listener[0], Known())
    assert (settings.role, settings.auth, settings.account_id) == ("inbound", "none", 0)
    assert (settings.max_message_bytes, settings.max_recipients) == (1_000_000, 2)
    assert (settings.command_timeout_s, settings.postmaster) == (60.0, "postmaster@mx.example.com")
    assert settings.tls == "none"  # there is no certificate
    with_tls = parse(text + '[tls]\ncertificate = "a.crt"\nprivate_key = "a.key"\n', Path("/x"))
    assert translate.listener_settings(with_tls, with_tls.listener[0], Known()).tls == "starttls"
    assert translate.mailer(config) == "MAILER-DAEMON@mx.example.com"
