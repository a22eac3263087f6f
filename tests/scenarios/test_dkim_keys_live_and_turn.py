"""DKIM from the first record to the owner's key: a relay that runs, a real name server, commands as typed."""

import json
import smtplib
from collections.abc import Callable, Iterator

import dkim
import dns.resolver
import pytest

from relay.directory import keys
from tests.fakes.prepared import ACCOUNT, HOSTNAME, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.nameserver import NameServer
from tests.scenarios.receiver import Receiver

DOMAIN = "owner.example"
SENDER = f"app@{DOMAIN}"

StartRelay = Callable[..., RunningRelay]


@pytest.fixture
def name_server() -> Iterator[NameServer]:
    with NameServer("example") as started:  # one zone above the owner's and the service's
        yield started


def say(relay: RunningRelay, *words: str) -> str:
    done = relay.command("identity", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def publish(relay: RunningRelay, dns: NameServer, *words: str, besides: str = "") -> None:
    """What a command prints of DKIM; ``besides``: only that name, the others are there."""
    for row in json.loads(say(relay, *words, "--json")):
        is_dkim = "_domainkey" in row["name"] or row["name"].endswith(f".dkim.{HOSTNAME}")
        if is_dkim and besides in row["name"]:
            value = f"{row['value']}." if row["type"] == "CNAME" else row["value"]
            dns.add(row["name"], row["type"], value)


def selectors(content: bytes, dns: NameServer) -> set[str]:
    """The selectors of the domain's signatures, each verified by dkimpy against what the server serves."""
    resolver = dns_resolver(dns)

    def look_up(name: bytes, timeout: float = 5) -> bytes:
        return b"".join(resolver.resolve(name.decode(), "TXT")[0].strings)

    found = set()
    for number in range(content.lower().count(b"dkim-signature:")):
        judge = dkim.DKIM(content, minkey=1024)
        if b"d=owner.example" in content.split(b"DKIM-Signature:")[number + 1].partition(b"b=")[0]:
            assert judge.verify(idx=number, dnsfunc=look_up)
            found.add(judge.selector.decode())
    return found


def dns_resolver(server: NameServer) -> dns.resolver.Resolver:
    resolver = dns.resolver.Resolver(configure=False)
    host, _, port = server.address.rpartition(":")
    resolver.nameservers, resolver.port = [host], int(port)
    return resolver


def test_keys_are_published_found_turned_and_brought(
    start_relay: StartRelay, receiver: Receiver, name_server: NameServer
) -> None:
    relay = start_relay(next_hop=receiver.port, delivery=f'resolver = "{name_server.address}"')
    say(relay, "add", ACCOUNT, DOMAIN, "--ed25519")
    publish(relay, name_server, "records", DOMAIN)
    publish(relay, name_server, "zone")
    say(relay, "dkim", "on", DOMAIN)  # look now, not in a minute

    def arrived(subject: str) -> bytes:
        """A message from the domain, once it is accepted."""

        def is_sent() -> bool:
            with smtplib.SMTP("127.0.0.1", relay.trusted, timeout=30) as client:
                client.ehlo()
                client.mail(SENDER)
                client.rcpt("someone@receiver.example")
                return client.data(message(subject, SENDER))[0] == 250

        wait_until(is_sent, "mail from the domain is accepted: its DKIM records prove it")
        return receiver.wait_for(subject).content

    first = selectors(arrived("first"), name_server)
    assert len(first) == 2
    receiver.wait_for(f"DKIM for {DOMAIN} is set up")

    directory = relay.directory()
    assert "signs from now on" in say(relay, "rotate", DOMAIN)
    relay.wait_for_directory(directory)
    second = selectors(arrived("second"), name_server)
    assert (len(second), second & first) == (2, set())
    assert selectors(receiver.wait_for("first").content, name_server) == first  # still published

    file = relay.folder / "mine.pem"
    file.write_bytes(keys.generate(keys.RSA))
    say(relay, "import-key", DOMAIN, "--selector", "mine", "--file", str(file))
    relay.wait_for_directory(directory)
    assert selectors(arrived("third"), name_server) == second
    publish(relay, name_server, "records", DOMAIN, besides="mine.")
    say(relay, "dkim", "on", DOMAIN)
    wait_until(lambda: directory.dkim.of(DOMAIN).public[0].selector == "mine", "the key is found")
    relay.wait_for_directory(directory)
    assert selectors(arrived("fourth"), name_server) == {"mine"}
    say(relay, "dkim", "off", DOMAIN)
    relay.wait_for_directory(directory)
    assert selectors(arrived("fifth"), name_server) == set()
    directory.close()
