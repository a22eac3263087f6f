"""``relay doctor``, as the administrator types it, against a DNS server on loopback."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from relay.daemon.commands.app import app
from relay.directory.keys import public_record
from relay.directory.records import OnMailFromFailure
from tests.daemon.commandline import CommandLine
from tests.fakes.dns import FakeDns
from tests.fakes.prepared import Port
from tests.scenarios.receiver import LoopThread

HOST, ADDRESS = "relay.example.net", "8.8.8.8"


class Doctor(CommandLine):
    def __init__(self, folder: Path, dns: FakeDns) -> None:
        super().__init__(app, folder)
        self.dns = dns
        text = f'[relay]\nhostname = "{HOST}"\n[delivery]\nresolver = "{dns.address}"\n'
        self.config.write_text(self.config.read_text() + text)
        self.directory.accounts.create("shop")
        self.directory.identities.add("shop", "example.org", is_verified=True)
        (key,) = self.directory.identities.signing_keys("example.org")[:1]
        record = public_record(key)
        dns.zone.update(
            {
                "example.org": {"TXT": [f'"v=spf1 a:{HOST} ~all"'], "MX": ["10 mail.example.org."]},
                key.record_name: {"TXT": [f'"{record[:200]}" "{record[200:]}"']},
                "_dmarc.example.org": {"TXT": ['"v=DMARC1; p=reject; rua=mailto:d@example.org"']},
                HOST: {"A": [ADDRESS]},
                "8.8.8.8.in-addr.arpa": {"PTR": [f"{HOST}."]},
            }
        )

    def status(self, *words: str) -> tuple[int, str]:
        result: Any = self._run(("doctor", *words), None)
        return result.exit_code, result.stdout


async def _enter(dns: FakeDns) -> FakeDns:
    return await dns.__aenter__()


@pytest.fixture
def doctor(tmp_path: Path) -> Iterator[Doctor]:
    with ExitStack() as stack:
        thread = LoopThread()
        stack.callback(thread.end)
        dns = thread.run(_enter(FakeDns()))
        stack.callback(lambda: thread.run(dns.__aexit__()))
        line = Doctor(tmp_path, dns)
        stack.callback(line.directory.close)
        yield line


def test_all_is_well_and_fits_a_screen(doctor: Doctor) -> None:
    status, printed = doctor.status("example.org", "--ip", ADDRESS)
    assert status == 0, printed
    assert printed.startswith(
        f"example.org of shop: from {ADDRESS} as {HOST}, MAIL FROM <...@example.org>\n\n"
    )
    lines = printed.splitlines()[2:]
    assert {line.split()[0] for line in lines} == {"ok"}
    assert len(lines) <= 20


def test_a_problem_comes_with_the_record_and_makes_the_status_1(doctor: Doctor) -> None:
    doctor.dns.zone["example.org"] = {"TXT": ['"v=spf1 mx -all"'], "MX": ["10 mail.example.org."]}
    status, printed = doctor.status("example.org", "--ip", ADDRESS)
    assert status == 1
    assert "problem  SPF" in printed
    assert f'-> example.org. IN TXT "v=spf1 ip4:{ADDRESS} mx -all"' not in printed
    assert f'-> example.org. IN TXT "v=spf1 a:{HOST} mx -all"' in printed
    found = doctor._run(("doctor", "example.org", "--ip", ADDRESS, "--json"), None)
    assert found.exit_code == 1
    assert '"level": "problem"' in found.stdout


def test_json_has_all_of_it(doctor: Doctor) -> None:
    shown = doctor.json("doctor", "example.org", "--ip", ADDRESS)
    assert (shown["domain"], shown["account"], shown["addresses"]) == ("example.org", "shop", [ADDRESS])
    assert (shown["mail_from"], shown["mail_from_kind"]) == ("example.org", "sender")
    assert {one["level"] for one in shown["findings"]} == {"ok"}
    assert {"level", "about", "seen", "publish"} == set(shown["findings"][0])


def test_a_mail_from_domain_that_waits_is_named_and_used_once_seen(doctor: Doctor) -> None:
    own = "bounce.example.org"
    doctor.directory.mail_froms.put("example.org", own, OnMailFromFailure.REJECT)
    shown = doctor._run(("doctor", "example.org", "--ip", ADDRESS), None)
    assert shown.exit_code == 1  # nothing of it is published
    assert f"the MAIL FROM domain {own} is pending; it is not used" in shown.stdout
    doctor.dns.zone[own] = {"MX": [f"10 {HOST}."], "TXT": [f'"v=spf1 a:{HOST} ~all"']}
    assert doctor.json("doctor", "example.org", "--ip", ADDRESS)["mail_from"] == own


def test_without_a_name_the_host_and_a_line_for_each(doctor: Doctor) -> None:
    doctor.directory.identities.add("shop", "other.example")
    status, printed = doctor.status("--ip", ADDRESS)
    assert status == 1
    host, _, table = printed.partition("\n\n")
    head, first, second = table.splitlines()
    assert head.split() == ["NAME", "ACCOUNT", "PROBLEMS", "WARNINGS", "FIRST"]
    assert first.split()[:4] == ["example.org", "shop", "0", "0"]
    assert "identity: nothing may be sent from other.example: it is pending" in second
    assert "problem  relay        no relay answers on " in host
    assert "warning  config       no [[listener]]" in host
    assert f"ok       reverse DNS  {ADDRESS} is {HOST}, and that leads back" in host
    assert "note     identities   pending: other.example" in host


def test_only_the_host_and_as_json(doctor: Doctor) -> None:
    status, printed = doctor.status("--host", "--ip", ADDRESS, "--json")
    shown = json.loads(printed)
    assert (status, shown["identities"]) == (1, [])
    by_about = {one["about"]: one for one in shown["host"]}
    assert set(by_about["relay"]) == {"level", "about", "seen", "fix"}
    assert by_about["relay"]["fix"] == "`relay status` says why"
    assert by_about["resolver"]["level"] == "ok"
    assert by_about["directory"]["level"] == "ok"
    levels = [one["level"] for one in shown["host"]]
    order = ["problem", "warning", "unknown", "note", "ok"]
    assert levels == sorted(levels, key=order.index)  # the worst comes first


def test_a_resolver_that_does_not_answer(doctor: Doctor) -> None:
    doctor.dns.zone[HOST] = "SERVFAIL"
    found = {one["about"]: one for one in json.loads(doctor.status("--host", "--json")[1])["host"]}
    assert found["resolver"]["level"] == "problem"
    assert "[delivery] resolver" in found["resolver"]["fix"]


def test_a_host_that_is_to_be_reached(doctor: Doctor) -> None:
    port = Port()
    _, printed = doctor.status("--host", "--outbound", f"127.0.0.1:{port.number}")
    assert f"127.0.0.1:{port.number} cannot be reached: Connection refused" in printed
    port.free()
    assert doctor._run(("doctor", "--outbound", "a b"), None).exit_code == 2


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["gone.example"], 1, "no identity gone.example"),
        (["example.org", "--ip", "relay.example.net"], 2, "--ip"),
    ],
)
def test_errors(doctor: Doctor, words: list[str], status: int, said: str) -> None:
    result = doctor._run(("doctor", *words), None)
    assert result.exit_code == status
    assert said in result.stderr
    assert result.stdout == ""


def test_a_file_that_is_missing_is_said_first(doctor: Doctor) -> None:
    doctor.config.write_text(doctor.config.read_text() + 'ca_file = "gone.pem"\n')
    assert "ca_file" in doctor.error("doctor", "example.org", "--ip", ADDRESS)
