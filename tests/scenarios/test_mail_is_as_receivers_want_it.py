"""An owner publishes what the relay prints, at a real name server: the relay then uses his MAIL FROM domain,
and the doctor finds nothing to mend; what is taken away again, the doctor misses."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from relay.base import return_path
from relay.daemon.worker.wiring import load_service_keys
from relay.directory.keys import public_record
from relay.directory.records import RecordState
from tests.fakes.prepared import DOMAIN, HOSTNAME, SENDER, Prepared, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.nameserver import NameServer
from tests.scenarios.receiver import Receiver

ADDRESS, BOUNCES = "8.8.8.8", f"bounce.{DOMAIN}"


@pytest.fixture
def name_server() -> Iterator[NameServer]:
    with NameServer(DOMAIN, HOSTNAME, "8.8.8.in-addr.arpa") as started:
        yield started


@pytest.fixture
def relay(
    tmp_path: Path, prepared: Prepared, receiver: Receiver, name_server: NameServer
) -> Iterator[RunningRelay]:
    delivery = f'resolver = "{name_server.address}"\nresolver_timeout = "2s"'
    inbound = '[[listener]]\naddress = "127.0.0.1:0"\nrole = "inbound"\ntls = "none"\n'
    made = RunningRelay(
        tmp_path / "relay", prepared, next_hop=receiver.port, workers=1, delivery=delivery, more=inbound
    )
    text = made.file.read_text()
    assert "[relay]\n" in text
    made.file.write_text(text.replace("[relay]\n", '[relay]\npostmaster = "admin@elsewhere.example"\n', 1))
    with made as started:
        yield started
        started.stop()
        assert "Traceback" not in started.log()


def printed(relay: RunningRelay, *words: str, status: int = 0) -> Any:
    done = relay.command(*words, "--json")
    assert done.stdout, done.stderr
    said = json.loads(done.stdout)
    bad = [one for one in said["findings"] if one["level"] != "ok"] if "findings" in said else said
    assert done.returncode == status, bad
    return said


def publish(name_server: NameServer, records: list[dict[str, str]]) -> None:
    for one in records:
        dot = "" if one["type"] == "TXT" else "."
        name_server.add(one["name"], one["type"], one["value"] + dot)


def test_what_is_printed_is_what_makes_it_well(
    relay: RunningRelay, name_server: NameServer, receiver: Receiver
) -> None:
    receiver.extensions.append("DSN")
    set_it = ("identity", "mail-from", DOMAIN, "set", BOUNCES)
    assert printed(relay, *set_it)["state"] == "pending"
    before = printed(relay, "doctor", DOMAIN, "--ip", ADDRESS, status=1)
    assert before["mail_from"] == DOMAIN  # the sender's own, meanwhile

    # TXT, since a name server does not follow a CNAME into another zone, as a resolver does
    publish(name_server, printed(relay, "identity", "records", DOMAIN, "--txt"))
    for key in load_service_keys(relay.settings):
        name_server.add(key.record_name, "TXT", public_record(key))
    name_server.add(f"_dmarc.{DOMAIN}", "TXT", "v=DMARC1; p=reject; adkim=s; rua=mailto:d@sender.example")
    name_server.add(HOSTNAME, "A", ADDRESS)
    name_server.add(f"{ADDRESS}.in-addr.arpa", "PTR", f"{HOSTNAME}.")
    printed(relay, *set_it)  # looked for anew, at once
    with closing(relay.directory()) as directory:
        show = directory.mail_froms.show
        wait_until(lambda: show(DOMAIN).identity.mail_from_state is RecordState.VERIFIED, "the MX is seen")
        relay.wait_for_directory(directory)

    after = printed(relay, "doctor", DOMAIN, "--ip", ADDRESS)
    assert (after["mail_from"], after["mail_from_kind"]) == (BOUNCES, "own")
    assert {one["level"] for one in after["findings"]} == {"ok"}, after
    assert any("both speak for" in one["seen"] for one in after["findings"])

    message_id = relay.send(message("judged"), options=["RET=HDRS", "ENVID=order-7"])
    received = receiver.wait_for("judged")
    with closing(relay.directory()) as directory:
        proof = directory.vault().derive(return_path.PURPOSE)
    assert received.sender == f"{return_path.make(message_id, proof)}@{BOUNCES}"
    assert received.mail_line.endswith(" RET=HDRS ENVID=order-7")  # the sender's, though MAIL FROM is not
    assert relay.signatures(received.content) == {DOMAIN: True, HOSTNAME: True}
    assert SENDER.encode() in received.content

    name_server.remove(BOUNCES, "TXT")
    name_server.remove(f"{ADDRESS}.in-addr.arpa", "PTR")
    missed = printed(relay, "doctor", DOMAIN, "--ip", ADDRESS, status=1)
    problems = {one["about"]: one["publish"] for one in missed["findings"] if one["level"] == "problem"}
    assert problems["SPF"] == f'{BOUNCES}. IN TXT "v=spf1 a:{HOSTNAME} ~all"'
    assert problems["reverse DNS"].startswith(f"8.8.8.8.in-addr.arpa. IN PTR {HOSTNAME}.")
    assert set(problems) == {"SPF", "reverse DNS"}
