"""``relay tls-policy``, as the administrator types it, against a DNS and a web server on loopback."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from relay.codec.mta_sts import parse_policy
from relay.codec.tlsa import Tlsa
from relay.daemon.commands import tls_policy
from relay.daemon.commands.app import app
from relay.transport.sts_files import Kept, PolicyFiles
from relay.transport.tls_decision import TlsaFound, TlsaState
from tests.daemon.commandline import CommandLine
from tests.fakes.authority import Authority
from tests.fakes.dns import FakeDns
from tests.fakes.web_server import WebServer
from tests.scenarios.receiver import LoopThread

DOMAIN = "receiver.example"
POLICY = b"version: STSv1\nmode: enforce\nmx: mx.receiver.example\nmax_age: 86400\n"
IF_OFFERED = "TLS if offered, certificate not checked"


class Line(CommandLine):
    def __init__(self, folder: Path, dns: FakeDns, web: WebServer, ca_file: Path) -> None:
        super().__init__(app, folder)
        self.dns, self.web, self.spool = dns, web, folder / "spool"
        self.config.write_text(
            self.config.read_text() + f'[spool]\npath = "spool"\n[delivery]\nresolver = "{dns.address}"\n'
            f'private_addresses = "allow"\nca_file = "{ca_file}"\nmta_sts_port = {web.port}\n'
        )

    def found(self, domain: str = DOMAIN) -> Any:
        return self.json("tls-policy", domain)


async def _enter(dns: FakeDns) -> FakeDns:
    return await dns.__aenter__()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with ExitStack() as stack:
        thread = LoopThread()
        stack.callback(thread.end)
        dns = thread.run(_enter(FakeDns()))
        stack.callback(lambda: thread.run(dns.__aexit__()))
        authority = Authority(tmp_path)
        web = stack.enter_context(WebServer(authority))
        web.serve(DOMAIN, POLICY)
        dns.zone.update(
            {
                DOMAIN: {"MX": ["10 mx.receiver.example.", "20 other.example."]},
                f"_mta-sts.{DOMAIN}": {"TXT": ['"v=STSv1; id=1;"']},
                f"mta-sts.{DOMAIN}": {"A": ["127.0.0.1"]},
                f"_smtp._tls.{DOMAIN}": {"TXT": ['"v=TLSRPTv1; rua=mailto:tls@receiver.example"']},
                "plain.example": {"MX": ["10 mx.plain.example."]},
            }
        )
        made = Line(tmp_path, dns, web, authority.file)
        stack.callback(made.directory.close)
        yield made


def test_a_policy_that_is_enforced(line: Line) -> None:
    assert line.found() == {
        "domain": DOMAIN,
        "site": "mx:mx.receiver.example,other.example",
        "mta_sts_record": ["v=STSv1; id=1;"],
        "mta_sts_published": "enforce, id 1, max_age 86400 s, mx mx.receiver.example",
        "mta_sts_kept": "nothing",
        "mta_sts_in_force": "enforce",
        "effect": [
            "mx.receiver.example: only over TLS with a certificate that verifies (MTA-STS)",
            "other.example: never: the MTA-STS policy of receiver.example does not name other.example",
        ],
        "reports_to": ["mailto:tls@receiver.example"],
    }
    assert not line.spool.exists()  # it writes nothing


@pytest.mark.parametrize(
    ("mode", "effects"),
    [
        (
            b"testing",
            [
                f"mx.receiver.example: {IF_OFFERED}; what does not verify is reported (MTA-STS, testing)",
                f"other.example: {IF_OFFERED}; the MTA-STS policy of receiver.example does not name "
                "other.example, which is only reported",
            ],
        ),
        (
            b"none",
            [
                f"mx.receiver.example: {IF_OFFERED}",
                f"other.example: {IF_OFFERED}",
            ],
        ),
    ],
)
def test_the_other_modes(line: Line, mode: bytes, effects: list[str]) -> None:
    line.web.serve(DOMAIN, POLICY.replace(b"enforce", mode))
    found = line.found()
    assert (found["mta_sts_in_force"], found["effect"]) == (mode.decode(), effects)


def test_a_domain_without(line: Line) -> None:
    found = line.found("PLAIN.example.")
    assert found["mta_sts_record"] == ["_mta-sts.plain.example does not exist"]
    assert (found["mta_sts_published"], found["mta_sts_in_force"]) == ("none", "none")
    assert found["reports_to"] == ["nobody"]


def test_what_is_kept_is_in_force_while_the_server_is_not_there(line: Line) -> None:
    line.web.serve(DOMAIN, b"", status=404)
    PolicyFiles(line.spool / "mta-sts").save(Kept(DOMAIN, parse_policy(POLICY, "1"), 4e9))
    found = line.found()
    assert found["mta_sts_published"].startswith("sts-policy-fetch-error: ")
    assert found["mta_sts_kept"].endswith("fetched 2096-10-02T07:06:40Z, until 2096-10-03T07:06:40Z")
    assert found["mta_sts_in_force"] == "enforce"


def test_what_has_expired_is_not(line: Line) -> None:
    line.web.serve(DOMAIN, b"no policy")
    PolicyFiles(line.spool / "mta-sts").save(Kept(DOMAIN, parse_policy(POLICY, "1"), 1.0))
    found = line.found()
    assert found["mta_sts_published"].startswith("sts-policy-invalid: ")
    assert "expired 1970-01-02" in found["mta_sts_kept"]
    assert found["mta_sts_in_force"] == "none"


def test_for_people(line: Line) -> None:
    printed = line("tls-policy", DOMAIN)
    assert "mta sts published: enforce, id 1" in printed
    assert "other.example: never: " in printed
    assert line._run(("tls-policy", "no domain"), None).exit_code == 2


@pytest.mark.parametrize(
    ("tables", "effect"),
    [
        ('[[tls_policy]]\ndomain = "*"\nmode = "encrypt"', "TLS or not at all, certificate not checked"),
        ('[[tls_policy]]\ndomain = "plain.example"\nmode = "none"', "no TLS"),
    ],
)
def test_the_administrators_word(line: Line, tables: str, effect: str) -> None:
    line.config.write_text(line.config.read_text() + tables)
    assert line.found("plain.example")["effect"] == [f"mx.plain.example: {effect}"]


def test_a_route_of_the_administrators(line: Line) -> None:
    table = f'[[route]]\ndomain = "{DOMAIN}"\nnext_hop = "hop.example:25"\ntls = "required"\n'
    line.config.write_text(line.config.read_text() + table)
    found = line.found()
    assert found["site"] == "hop:hop.example:25"
    assert found["effect"] == ["hop.example: only over TLS with a certificate that verifies"]


def test_tlsa_records_that_dnssec_vouches_for(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    async def vouched_for(*_: Any) -> TlsaFound:
        return TlsaFound(TlsaState.USABLE, (Tlsa(3, 1, 1, bytes(32)),), "mx.plain.example")

    monkeypatch.setattr(tls_policy, "find_tlsa", vouched_for)
    assert line.found("plain.example")["effect"] == [
        "mx.plain.example: only over TLS with a certificate that its TLSA records vouch for (TLSA)"
    ]


def test_a_domain_that_takes_no_mail(line: Line) -> None:
    line.dns.zone["none.example"] = {"MX": ["0 ."]}
    [effect] = line.found("none.example")["effect"]
    assert effect.startswith("none: ")
