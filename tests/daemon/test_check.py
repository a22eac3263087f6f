"""``relay identity check`` against a DNS on loopback."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relay.daemon.commands import identity as commands
from relay.directory.verification import Step
from tests.daemon.commandline import CommandLine
from tests.fakes.dns import FakeDns
from tests.scenarios.receiver import LoopThread


@pytest.fixture
def dns() -> Iterator[FakeDns]:
    thread = LoopThread()
    server = FakeDns({"example.org": {"TXT": ['"v=spf1 -all"']}})
    thread.run(_enter(server))
    yield server
    thread.run(server.__aexit__())
    thread.end()


async def _enter(server: FakeDns) -> FakeDns:
    return await server.__aenter__()


@pytest.fixture
def identity(tmp_path: Path, dns: FakeDns) -> Iterator[CommandLine]:
    line = CommandLine(commands.app, tmp_path)
    line.config.write_text(line.config.read_text() + f'[delivery]\nresolver = "{dns.address}"\n')
    line.directory.accounts.create("shop")
    yield line
    line.directory.close()


def run(identity: CommandLine, *words: str) -> tuple[int, str]:
    result = CliRunner(env={"RELAY_CONFIG": str(identity.config)}).invoke(commands.app, ["check", *words])
    return result.exit_code, result.stdout


def quoted(value: str) -> str:
    return " ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255))


def publish(identity: CommandLine, dns: FakeDns) -> None:
    for record in identity.json("records", "example.org"):
        value = quoted(record["value"]) if record["type"] == "TXT" else f"{record['value']}."
        dns.zone[record["name"]] = {record["type"]: [value]}


def test_each_record_is_found_missing_or_wrong(identity: CommandLine, dns: FakeDns) -> None:
    identity("add", "shop", "example.org")
    status, printed = run(identity, "example.org", "--json")
    report = json.loads(printed)
    assert (status, report["name"], report["state"]) == (1, "example.org", "pending")
    assert {one["state"] for one in report["records"]} == {"missing"}
    publish(identity, dns)
    status, printed = run(identity, "example.org")
    assert (status, "missing" in printed, "wrong" in printed) == (0, False, False)
    proof = identity.json("records", "example.org")[0]
    dns.zone[f"{proof['name']}.example.org"] = dns.zone.pop(proof["name"])
    status, printed = run(identity, "example.org")
    assert status == 1
    assert "wrong" in printed
    assert "Enter the name as _relay, or as _relay.example.org. with a dot at the end" in printed
    dns.zone[proof["name"]] = "SERVFAIL"
    assert json.loads(run(identity, "example.org", "--json")[1])["records"][0]["state"] == "unknown"


def test_whoever_waits_is_looked_at_again(identity: CommandLine, dns: FakeDns) -> None:
    identity("add", "shop", "example.org")
    life = identity.directory.life
    (due,) = life.due(10)
    life.settle([(due, Step(due.state, pending_since=due.pending_since, next_check_at=9e9))])
    assert life.due(10) == ()
    assert "looks at the proof again now" in run(identity, "example.org")[1]
    assert [one.name for one in life.due(10)] == ["example.org"]
    identity("verify", "example.org")
    assert "again now" not in run(identity, "example.org")[1]


def test_an_address_has_no_records(identity: CommandLine) -> None:
    identity("add", "shop", "joe@example.org")
    assert "signed for by example.org" in identity.error("check", "joe@example.org")
