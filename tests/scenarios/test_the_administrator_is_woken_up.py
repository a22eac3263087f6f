"""Something is really broken: `relay status` and `relay doctor` name it, and what mends it does."""

import datetime
import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from tests.fakes.prepared import HOSTNAME, Prepared, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.conftest import StartRelay
from tests.scenarios.receiver import Receiver


def asked(relay: RunningRelay, *words: str) -> tuple[int, Any]:
    """Exit status and what a command prints as JSON."""
    done = relay.command(*words, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def the(findings: list[dict[str, str]], about: str, *levels: str) -> dict[str, str]:
    """The finding about something at one of these levels."""
    return next(one for one in findings if one["about"] == about and one["level"] in levels)


def remake(folder: Path, days: float) -> None:
    """A certificate for the relay's key that ends in so many days, or ended so many days ago."""
    key = serialization.load_pem_private_key((folder / "tls.key").read_bytes(), None)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOSTNAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())  # type: ignore[arg-type]
        .not_valid_before(now - datetime.timedelta(days=90))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOSTNAME)]), critical=False)
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
    )
    (folder / "tls.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))


def test_all_is_well_then_a_reload_is_refused_a_port_is_closed_and_nothing_runs(
    start_relay: StartRelay, receiver: Receiver
) -> None:
    relay = start_relay(next_hop=receiver.port)
    text = relay.file.read_text()
    is_well(relay)
    relay.file.write_text(text + "[delivery.nonsense]\n")
    relay.signal(signal.SIGHUP)
    wait_until(lambda: relay.ask("status")["last_reload"], "the reload was refused")
    status, shown = asked(relay, "status")  # though the file cannot be read now
    assert (status, shown["condition"]) == (1, "degraded")
    refused, restart = shown["findings"]
    assert "was refused, the old configuration is in force" in refused["seen"]
    assert "a restart would fail" in restart["seen"]
    closed = relay.far_proxied  # as if another listener had it: nobody has bound it at this address
    relay.file.write_text(text + f'[[listener]]\naddress = "127.0.0.2:{closed}"\n')
    status, shown = asked(relay, "doctor", "--host")
    assert status == 1
    assert "[[listener]]" in the(shown["host"], "config", "note")["seen"]
    found = the(shown["host"], f"port {closed}", "problem")
    assert f"127.0.0.2:{closed}: Connection refused" in found["seen"]
    assert "`ss -ltnp`" in found["fix"]
    relay.file.write_text(text)
    assert relay.command("reload").returncode == 0
    assert asked(relay, "status")[0] == 0
    relay.stop()
    status, shown = asked(relay, "status")
    assert (status, shown["condition"]) == (2, "down")
    assert "it was told to end" in shown["findings"][0]["seen"]
    status, shown = asked(relay, "doctor", "--host")
    assert (status, the(shown["host"], "relay", "problem")["fix"]) == (1, "`relay status` says why")


def is_well(relay: RunningRelay) -> None:
    relay.wait_for_event(relay.send(message("well")), "delivered")
    status, shown = asked(relay, "status")
    assert (status, shown["condition"], shown["findings"]) == (0, "healthy", [])
    assert shown["lately"]["hour"]["delivered"] == 1
    _, shown = asked(relay, "doctor", "--host")
    assert "problem" not in {one["level"] for one in shown["host"] if one["about"] != "disk speed"}
    assert the(shown["host"], "relay", "ok")
    ports = {one["about"]: one for one in shown["host"] if one["about"].startswith("port ")}
    assert len(ports) == 5
    for port in (relay.starttls, relay.wrapper):
        assert ports[f"port {port}"]["seen"].endswith("TLSv1.3, AUTH")
    assert ports[f"port {relay.trusted}"]["seen"].endswith("no TLS")
    assert ports[f"port {relay.proxied}"]["level"] == "unknown"


def test_an_expired_certificate_and_one_that_was_renewed_but_not_taken_up(
    start_relay: StartRelay, receiver: Receiver
) -> None:
    relay = start_relay(next_hop=receiver.port)
    remake(relay.folder, -2)
    assert relay.command("reload").returncode == 0
    status, shown = asked(relay, "status")
    assert (status, shown["condition"]) == (1, "degraded")
    (found,) = shown["findings"]
    assert "tls.crt expired 2 d ago" in found["seen"]
    assert "`relay reload`" in found["fix"]
    status, shown = asked(relay, "doctor", "--host")
    assert status == 1
    assert "expired 2 d ago" in the(shown["host"], "TLS", "problem")["seen"]
    remake(relay.folder, 80)  # as that finding says; but not yet taken up
    about = f"port {relay.starttls}"
    _, shown = asked(relay, "doctor", "--host")
    assert the(shown["host"], about, "warning")["fix"] == "relay reload"
    assert relay.command("reload").returncode == 0
    _, shown = asked(relay, "doctor", "--host")
    assert the(shown["host"], about, "ok")
    assert asked(relay, "status")[0] == 0


@pytest.fixture
def full(tmp_path: Path, prepared: Prepared, receiver: Receiver) -> Iterator[RunningRelay]:
    """A relay whose reserve is more than the disk has."""
    relay = RunningRelay(tmp_path / "relay", prepared, next_hop=receiver.port)
    reserve = 10 * shutil.disk_usage(tmp_path).total
    relay.file.write_text(relay.file.read_text().replace("[spool]\n", f"[spool]\ndisk_reserve = {reserve}\n"))
    with relay:
        yield relay
        relay.stop()


def test_the_disk_reserve_is_reached(full: RunningRelay) -> None:
    relay = full

    def is_full() -> bool:
        return any(one["spool_full"] for one in relay.ask("status")["readings"].values())

    with pytest.raises(AssertionError, match="Insufficient system storage"):
        relay.send(message("refused"))
    wait_until(is_full, "a worker has seen it")
    status, shown = asked(relay, "status")
    assert status in (1, 2)  # 2 once every worker has seen it
    assert "[spool] disk_reserve" in shown["findings"][0]["fix"]
    status, shown = asked(relay, "doctor", "--host")
    assert status == 1
    assert "disk reserve is reached" in the(shown["host"], "disk", "problem")["seen"]
