"""``relay identity`` and DKIM, as the administrator types it: against a DNS server on loopback."""

from collections.abc import Iterator
from pathlib import Path

import dns.zone
import pytest
import typer

from relay.daemon.commands import dkim as commands
from relay.directory import keys
from relay.directory.dkim_records import service_zone, to_publish
from relay.directory.published import zone_line
from relay.directory.records import KeyState, RecordState
from tests.daemon.commandline import CommandLine
from tests.fakes.dns import FakeDns
from tests.scenarios.receiver import LoopThread

NAME, SERVICE = "example.org", "relay.example"


def app() -> typer.Typer:
    group = typer.Typer()
    for name, command in {
        "rotate": commands.rotate,
        "dkim": commands.switch,
        "import-key": commands.import_key,
        "easy-dkim": commands.easy_dkim,
        "keys": commands.list_keys,
        "zone": commands.zone,
    }.items():
        group.command(name)(command)
    return group


@pytest.fixture
def server() -> Iterator[FakeDns]:
    thread, server = LoopThread(), FakeDns()
    thread.run(server.__aenter__())
    yield server
    thread.run(server.__aexit__())
    thread.end()


@pytest.fixture
def line(tmp_path: Path, server: FakeDns) -> Iterator[CommandLine]:
    line = CommandLine(app(), tmp_path)
    with line.config.open("a") as file:
        file.write(f'[signing]\nservice_domain = "{SERVICE}"\n[delivery]\nresolver = "{server.address}"\n')
    line.directory.accounts.create("shop")
    line.directory.identities.add("shop", NAME, algorithms=[keys.ED25519], is_verified=True)
    yield line
    line.directory.close()


def publish(line: CommandLine, server: FakeDns) -> None:
    records = to_publish(line.directory.dkim.of(NAME).public, SERVICE)
    records += service_zone(line.directory.dkim.published(), SERVICE)
    server.zone = {one.name: {one.type: [zone_line(one).partition(f" IN {one.type} ")[2]]} for one in records}


def states(line: CommandLine) -> list[str]:
    return [row["state"] for row in line.json("keys", NAME)]


def test_a_rotation_waits_for_a_record_and_says_so(line: CommandLine, server: FakeDns) -> None:
    active, next_one, other = (key.selector for key in line.directory.dkim.of(NAME).keys)
    refused = line.error("rotate", NAME)
    assert f"none of the records of its ed25519-sha256 keys in reserve is found: {next_one}._dom" in refused
    assert f"{other}._domainkey.{NAME}" in refused
    publish(line, server)
    said = line("rotate", NAME)
    assert f"{next_one} signs from now on\n{active} is retired; keep its record until 2" in said
    assert states(line) == ["active", "standby", "retired"]
    line("rotate", NAME)
    assert states(line) == ["active", "retired", "retired"]
    assert "it has no ed25519-sha256 key in reserve: one comes" in line.error("rotate", NAME)


def test_a_rotation_against_a_dead_dns_changes_nothing(line: CommandLine, server: FakeDns) -> None:
    publish(line, server)
    server.zone = {name: "SERVFAIL" for name in server.zone}
    assert "keys in reserve is found" in line.error("rotate", NAME)
    assert states(line) == ["active", "standby", "standby"]


def test_what_the_dns_has_of_each_key_is_told(line: CommandLine, server: FakeDns) -> None:
    publish(line, server)
    gone = line.directory.dkim.of(NAME).public[2]
    del server.zone[f"{gone.selector}.dkim.{SERVICE}"]  # the CNAME is there, what it leads to is not
    told = [row["dns"] for row in line.json("keys", NAME, "--check")]
    assert told == ["as it should be", "as it should be", "there is no TXT record"]


def test_dkim_is_switched_off_and_on(line: CommandLine) -> None:
    line.directory.identities.add("shop", f"joe@{NAME}")
    for name in (NAME, f"joe@{NAME}"):
        assert line("dkim", "off", name) == f"DKIM is off for {name}\n"
        assert line("dkim", "on", name) == f"DKIM is on for {name}\n"
    line.directory.identities.add("shop", "new.example", algorithms=[keys.ED25519])
    assert "DKIM of new.example is pending" in line.error("rotate", "new.example")


def test_the_zone_of_the_service_domain_is_a_zone(line: CommandLine) -> None:
    text = line("zone", "--bind")
    zone = dns.zone.from_text(f"$ORIGIN {SERVICE}.\n{text}", origin=SERVICE, check_origin=False)
    public = line.directory.dkim.of(NAME).public
    assert {str(name) for name in zone} == {f"{key.selector}.dkim" for key in public}
    rows = line.json("zone")
    assert {row["value"] for row in rows} == {key.text for key in public}
    assert {row["domain"] for row in rows} == {NAME}
    line.config.write_text(line.config.read_text().replace(f'service_domain = "{SERVICE}"', ""))
    assert "relay identity records" in line.error("zone")


def test_an_owners_key_and_back(line: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "mine.pem"
    assert "No such file" in line.error("import-key", NAME, "--selector", "mine", "--file", str(file))
    file.write_bytes(keys.generate(keys.RSA, 1024))
    said = line("import-key", NAME, "--selector", "mine", "--file", str(file))
    assert f"mine._domainkey.{NAME}. IN TXT" in said
    assert "The keys before sign until these records are found" in said
    assert states(line) == ["leaving", "standby"]
    line("import-key", NAME, "--selector", "other", "--file", str(file), "--verified")
    assert [row["selector"] for row in line.json("keys", NAME) if row["state"] == "active"] == ["other"]
    said = line("easy-dkim", NAME, "--bits", "1024", "--ed25519")
    assert said.count("IN CNAME") == 6
    assert "other" not in said
    assert [key.state for key in line.directory.dkim.of(NAME).keys].count(KeyState.STANDBY) == 6


def test_new_keys_of_a_pending_domain_are_looked_for(line: CommandLine) -> None:
    line.directory.identities.add("shop", "new.example", algorithms=[keys.ED25519])
    assert "Mail is signed when these records are found" in line("easy-dkim", "new.example")
    assert line.directory.dkim.of("new.example").standing.state is RecordState.PENDING
