"""MTA-STS and TLS reports against real servers: Knot DNS, an HTTPS server, and mail servers with a
certificate that is right, for another name, expired or unknown, or with no TLS at all.

One worker's works in this process, so that its clock can be moved: over a policy's max_age, over midnight.
"""

import asyncio
import email
import email.policy
import gzip
import json
import re
import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest

from relay.base.clock import SystemClock
from relay.base.message import Client, Envelope, Recipient, Submission
from relay.base.tls_session import TlsFailure, TlsPolicy, TlsSession
from relay.daemon.duties.watch import Watch
from relay.daemon.settings.config import load
from relay.daemon.worker.wiring import Works
from relay.ingress.connections import LocalTally
from relay.transport.tls_records import TlsRecords
from tests.fakes.authority import Authority
from tests.fakes.prepared import ACCOUNT, SENDER, SHARED_FILES, Port, Prepared, message, wait_until
from tests.fakes.running import RunningRelay
from tests.fakes.web_server import WebServer
from tests.scenarios.nameserver import NameServer
from tests.scenarios.receiver import Receiver

DAY_S = 86_400.0
ZONE, HOSTS = "sts.example", "mx.example"
SERVERS = {
    "right": "127.0.0.11",
    "misnamed": "127.0.0.12",
    "expired": "127.0.0.13",
    "unknown": "127.0.0.14",
    "plain": "127.0.0.15",
}
MISMATCH, EXPIRED = "certificate-host-mismatch", "certificate-expired"
UNKNOWN, PLAIN, OTHER = "certificate-not-trusted", "starttls-not-supported", "validation-failure"

# policy's mode, mail server -> is it delivered, and the kind of failure that is reported
BY_SERVER: dict[tuple[str, str], tuple[bool, str]] = {
    ("enforce", "right"): (True, ""),
    ("enforce", "misnamed"): (False, MISMATCH),
    ("enforce", "expired"): (False, EXPIRED),
    ("enforce", "unknown"): (False, UNKNOWN),
    ("enforce", "plain"): (False, PLAIN),
    ("enforce", "unlisted"): (False, OTHER),  # the right server, which the policy does not name
    ("testing", "right"): (True, ""),
    ("testing", "misnamed"): (True, MISMATCH),
    ("testing", "expired"): (True, EXPIRED),
    ("testing", "unknown"): (True, UNKNOWN),
    ("testing", "plain"): (True, PLAIN),
    ("testing", "unlisted"): (True, OTHER),
    ("none", "right"): (True, ""),
    ("none", "expired"): (True, ""),
    ("no", "right"): (True, ""),
    ("no", "expired"): (True, ""),
    ("no", "plain"): (True, PLAIN),
}
FETCH, DISTRUST, INVALID = "sts-policy-fetch-error", "sts-webpki-invalid", "sts-policy-invalid"

ELSEWHERE = "https://mta-sts.enforce-right.sts.example/.well-known/mta-sts.txt"

# how the web server is wrong -> what is reported; the mail server is the expired one, and mail gets there
BY_WEB: dict[str, tuple[dict[str, Any], str]] = {
    "misnamed": ({"names": ("mta-sts.other.example",)}, DISTRUST),
    "expired": ({"age_days": 30}, DISTRUST),
    "missing": ({"status": 404}, FETCH),
    "redirect": ({"status": 302, "headers": {"Location": ELSEWHERE}}, FETCH),
    "large": ({"body": b"version: STSv1\n" + b"x: y\n" * 14_000}, FETCH),
    "html": ({"kind": "text/html"}, FETCH),
    "garbage": ({"body": b"enforce everything"}, INVALID),
}  # fmt: skip


def policy(mode: str, host: str, max_age_s: int = 604_800) -> bytes:
    return f"version: STSv1\nmode: {mode}\nmx: {host}\nmax_age: {max_age_s}\n".encode()


class MovedClock(SystemClock):
    """The machine's clocks, some days on."""

    moved = 0.0

    def now(self) -> float:
        return super().now() + self.moved

    def monotonic(self) -> float:
        return super().monotonic() + self.moved


class Lines:
    """The log of messages, kept."""

    is_on = True

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def __call__(self, event: str, message_id: str, /, **fields: object) -> None:
        self.lines.append((event, message_id, dict(fields)))

    def outcome(self, message_id: str) -> tuple[str, dict[str, Any]] | None:
        found = [
            line for line in self.lines if line[1] == message_id and line[0] in ("delivered", "deferred")
        ]
        return (found[0][0], found[0][2]) if found else None


class Net:
    """The servers."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.authority = Authority(folder)
        self.web = stack.enter_context(WebServer(self.authority))
        self.dns = stack.enter_context(NameServer(ZONE, HOSTS, records=_table()))
        ports = _same_port(*SERVERS.values())
        self.port = ports[0].number
        self.mail = {}
        for (name, address), port in zip(SERVERS.items(), ports, strict=True):
            server = Receiver(port, address)
            if name != "plain":
                issuer = Authority(folder, "Other CA") if name == "unknown" else self.authority
                named = "somebody.else.example" if name == "misnamed" else f"*.{name}.{HOSTS}"
                server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                server.tls.load_cert_chain(*issuer.issue(named, age_days=30 if name == "expired" else 0))
            self.mail[name] = stack.enter_context(server)

    def publish(self, domain: str, server: str, body: bytes, web: dict[str, Any] | None = None) -> None:
        """MX, policy and a wish for reports of one domain."""
        self.dns.add_all(ZONE, _records(domain, server, has_policy=True))
        self.web.serve(domain, **{"body": body, **(web or {})})


REPORTS = f"reports.{ZONE}"


def _records(domain: str, server: str, *, has_policy: bool) -> list[tuple[str, str, str]]:
    """What a domain publishes. Its host is its own, though the server is not."""
    server = "right" if server == "unlisted" else server
    found = [
        (domain, "MX", f"10 {domain.partition('.')[0]}.{server}.{HOSTS}."),
        (f"_smtp._tls.{domain}", "TXT", f"v=TLSRPTv1; rua=mailto:{domain}@{REPORTS}"),
    ]
    if has_policy:
        found.append((f"mta-sts.{domain}", "A", "127.0.0.1"))
        found.append((f"_mta-sts.{domain}", "TXT", "v=STSv1; id=1;"))
    return found


def _table() -> dict[str, list[tuple[str, str, str]]]:
    """The zones of the domains of the table, as they are from the start."""
    zone = [(REPORTS, "MX", f"10 reports.right.{HOSTS}.")]
    for mode, server in BY_SERVER:
        zone += _records(f"{mode}-{server}.{ZONE}", server, has_policy=mode != "no")
    for fault in BY_WEB:
        zone += _records(f"web-{fault}.{ZONE}", "expired", has_policy=True)
    return {ZONE: zone, HOSTS: [(f"*.{name}.{HOSTS}", "A", address) for name, address in SERVERS.items()]}


def _same_port(*hosts: str) -> list[Port]:
    for _ in range(50):
        ports = [Port(hosts[0])]
        try:
            ports += [Port(host, ports[0].number) for host in hosts[1:]]
        except OSError:
            for port in ports:
                port.free()
            continue
        return ports
    raise AssertionError("no port is free at all addresses")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    with ExitStack() as stack:
        yield Net(stack, tmp_path_factory.mktemp("net"))


class Relay:
    """A worker's works, whose duties are done by hand."""

    def __init__(self, works: Works, clock: MovedClock, lines: Lines) -> None:
        self.works, self.clock, self.lines = works, clock, lines

    async def send(self, domain: str, subject: str = "") -> str:
        envelope = Envelope(SENDER, [Recipient(0, f"someone@{domain}", domain)])
        account = self.works.live.current.account_named(ACCOUNT)
        assert account is not None
        content = message(subject or domain, to=f"someone@{domain}")
        return (await self.works.intakes[1].accept(Submission(account.id, envelope, content, Client()))).id

    async def outcome(self, message_id: str) -> tuple[str, dict[str, Any]]:
        found = await self.until(lambda: self.lines.outcome(message_id), f"an outcome of {message_id}")
        return found[0], found[1]

    async def sent(self, domain: str) -> tuple[str, dict[str, Any]]:
        return await self.outcome(await self.send(domain))

    async def is_kept_back(self, domain: str) -> bool:
        """Whether a message waits for TLS, or for a site that was found without it a moment ago."""
        event, fields = await self.sent(domain)
        return event == "deferred" and fields["reason"] in ("tls", "site-down")

    async def until(self, is_true: Callable[[], Any], what: str) -> Any:
        return await asyncio.to_thread(wait_until, is_true, what, 60.0)


@pytest.fixture
async def start(
    tmp_path: Path, prepared: Prepared, net: Net, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[], Any]]:
    async def rounds_are_made_by_hand(*_: object) -> None: ...

    monkeypatch.setattr(Watch, "start", rounds_are_made_by_hand)
    for name in SHARED_FILES:
        shutil.copy(prepared.folder / name, tmp_path / name)
    text = (prepared.folder / "relay.toml").read_text()
    text = re.sub(r"\[\[listener\]\].*?(?=^\[(?!\[listener))", "", text, flags=re.S | re.M)
    (tmp_path / "relay.toml").write_text(
        f'{text}[delivery]\nresolver = "{net.dns.address}"\nport = {net.port}\nprivate_addresses = "allow"\n'
        f'ca_file = "{net.authority.file}"\nmta_sts_port = {net.web.port}\nretry_schedule = ["1h"]\n'
        '[tls_reports]\norganization = "Sender Inc."\nspread = "0s"\n'
    )
    clock, lines = MovedClock(), Lines()
    async with AsyncExitStack() as stack:

        async def started() -> Relay:
            """Ended and started anew if it runs; the clock goes on."""
            await stack.aclose()
            works = Works(load(tmp_path / "relay.toml"), 0, clock, lines)
            await works.start(stack, [], LocalTally(), [])
            return Relay(works, clock, lines)

        yield started


async def test_each_mode_with_each_server_and_each_fault_of_the_web(start: Any, net: Net) -> None:
    relay: Relay = await start()
    expected: dict[str, tuple[str, str]] = {}
    for (mode, server), (is_delivered, failure) in BY_SERVER.items():
        domain = f"{mode}-{server}.{ZONE}"
        if mode != "no":
            net.web.serve(domain, policy(mode, f"*.{'other' if server == 'unlisted' else server}.{HOSTS}"))
        expected[domain] = ("delivered" if is_delivered else "deferred tls", failure)
    for fault, (web, failure) in BY_WEB.items():
        domain = f"web-{fault}.{ZONE}"
        net.web.serve(domain, **{"body": policy("enforce", f"*.expired.{HOSTS}"), **web})
        expected[domain] = ("delivered", failure)
    ids = {domain: await relay.send(domain) for domain in expected}
    found: dict[str, tuple[str, str]] = {}
    details: dict[str, str] = {}
    for domain, message_id in ids.items():
        event, fields = await relay.outcome(message_id)
        found[domain] = (event if event == "delivered" else f"{event} {fields['reason']}", "")
        details[domain] = str(fields)

    # over midnight, and the duties of the morning after
    await relay.works.outbound.tls_tally.flush()
    relay.clock.moved += DAY_S + 600
    await relay.works.watch.round()
    right = net.mail["right"]
    await relay.until(lambda: _reports(right).keys() >= expected.keys(), "all reports arrive")
    reports = _reports(right)
    await relay.works.outbound.tls_tally.flush()
    day = int(relay.clock.now() // DAY_S)
    assert relay.works.outbound.tls_records.sessions(day, REPORTS) == []  # of reports there is no report
    for domain, (_, report) in reports.items():
        failures = {
            one["result-type"] for part in report["policies"] for one in part.get("failure-details", [])
        }
        found[domain] = (found[domain][0], ", ".join(sorted(failures)))
    assert found == expected, details

    assert "certificate has expired" in details[f"enforce-expired.{ZONE}"]
    assert "does not name" in details[f"enforce-unlisted.{ZONE}"]
    for domain in (f"enforce-right.{ZONE}", f"testing-right.{ZONE}"):
        _, report = reports[domain]
        [part] = report["policies"]
        mode = domain.partition("-")[0]
        assert part["policy"] == {
            "policy-type": "sts",
            "policy-string": policy(mode, f"*.right.{HOSTS}").decode().splitlines(),
            "policy-domain": domain,
            "mx-host": [f"*.right.{HOSTS}"],
        }
        assert part["summary"]["total-successful-session-count"] >= 1
    _, report = reports[f"enforce-expired.{ZONE}"]
    [part] = report["policies"]
    assert part["summary"]["total-successful-session-count"] == 0
    [failure] = part["failure-details"]
    assert failure["receiving-mx-hostname"] == f"enforce-expired.expired.{HOSTS}"
    assert failure["receiving-ip"] == SERVERS["expired"]
    assert failure["sending-mta-ip"] == "127.0.0.1"
    assert failure["failed-session-count"] == part["summary"]["total-failure-session-count"] >= 1
    mail, _ = reports[f"no-right.{ZONE}"]
    assert mail["From"] == "postmaster@relay.test.example"
    assert mail["TLS-Required"] == "No"
    assert "d=relay.test.example" in "".join(str(one) for one in mail.get_all("DKIM-Signature"))


def _reports(server: Receiver, to: str = "") -> dict[str, tuple[Any, Any]]:
    """The reports that have arrived, by their domain: the mail, and the JSON in it."""
    found = {}
    for one in list(server.received):
        mail = email.message_from_bytes(one.content, policy=email.policy.default)
        if "TLS-Report-Domain" in mail and one.recipients == [to or f"{mail['TLS-Report-Domain']}@{REPORTS}"]:
            assert mail["Content-Type"].params["report-type"] == "tlsrpt"
            _, part = mail.iter_parts()
            report = json.loads(gzip.decompress(part.get_content()))
            assert report["organization-name"] == "Sender Inc."
            found[str(mail["TLS-Report-Domain"])] = (mail, report)
    return found


async def test_a_web_server_that_says_nothing_does_not_hold_mail_for_long(start: Any, net: Net) -> None:
    relay: Relay = await start()
    relay.works.outbound.https.timeout_s = 0.5
    domain = f"slow.{ZONE}"
    net.publish(domain, "expired", policy("enforce", f"*.expired.{HOSTS}"), web={"is_slow": True})
    assert (await relay.sent(domain))[0] == "delivered"
    assert relay.works.outbound.tls_tally.failed == {FETCH: 1}


async def test_another_id_is_another_policy(start: Any, net: Net) -> None:
    relay: Relay = await start()
    domain = f"changing.{ZONE}"
    net.publish(domain, "expired", policy("testing", f"*.expired.{HOSTS}"))
    assert (await relay.sent(domain))[0] == "delivered"
    net.dns.remove(f"_mta-sts.{domain}", "TXT")
    net.dns.add(f"_mta-sts.{domain}", "TXT", "v=STSv1; id=2;")
    net.web.serve(domain, policy("enforce", f"*.expired.{HOSTS}"))
    relay.clock.moved += 3600  # past what the DNS lets us believe
    await relay.works.outbound.sts.renew(domain)  # as the next question for the route would
    assert await relay.is_kept_back(domain)
    net.dns.remove(f"_mta-sts.{domain}", "TXT")
    net.dns.add(f"_mta-sts.{domain}", "TXT", "v=STSv1; id=3;")
    net.web.serve(domain, b"version: STSv1\nmode: none\nmax_age: 86400\n")
    relay.clock.moved += 3600
    await relay.works.outbound.sts.renew(domain)
    assert (await relay.sent(domain))[0] == "delivered"


async def test_what_is_kept_holds_until_its_age_though_the_web_server_is_gone(start: Any, net: Net) -> None:
    relay: Relay = await start()
    domain = f"kept.{ZONE}"
    net.publish(domain, "expired", policy("enforce", f"*.expired.{HOSTS}", 7 * 86_400))
    assert await relay.is_kept_back(domain)
    net.web.stop()
    try:
        net.dns.remove(f"_mta-sts.{domain}", "TXT")  # as who is in the way would do
        relay.clock.moved += 6 * DAY_S
        relay = await start()
        await relay.works.watch.round()
        assert await relay.is_kept_back(domain)
        relay.clock.moved += 2 * DAY_S
        assert (await relay.sent(domain))[0] == "delivered"
    finally:
        net.web.start()


async def test_a_policy_lives_on_while_nobody_writes(start: Any, net: Net) -> None:
    relay: Relay = await start()
    domain = f"renewed.{ZONE}"
    net.publish(domain, "expired", policy("enforce", f"*.expired.{HOSTS}", 2 * 86_400))
    assert await relay.is_kept_back(domain)
    for _ in range(4):
        relay.clock.moved += DAY_S
        await relay.works.watch.round()
    net.web.stop()
    try:
        assert await relay.is_kept_back(domain)
    finally:
        net.web.start()


async def test_it_can_be_switched_off(start: Any, net: Net, tmp_path: Path) -> None:
    file = tmp_path / "relay.toml"
    file.write_text(file.read_text().replace("[delivery]\n", "[delivery]\nmta_sts = false\n"))
    relay: Relay = await start()
    domain = f"off.{ZONE}"
    net.publish(domain, "expired", policy("enforce", f"*.expired.{HOSTS}"))
    assert (await relay.sent(domain))[0] == "delivered"
    assert (f"mta-sts.{domain}", "/.well-known/mta-sts.txt") not in net.web.asked


async def test_domains_behind_one_host_do_not_share_a_session_where_one_enforces(
    start: Any, net: Net
) -> None:
    relay: Relay = await start()
    strict, lax = f"strict.{ZONE}", f"lax.{ZONE}"
    net.publish(strict, "expired", policy("enforce", f"*.expired.{HOSTS}"))
    net.dns.add(lax, "MX", f"10 strict.expired.{HOSTS}.")
    for _ in range(2):
        assert (await relay.sent(lax))[0] == "delivered"
        assert await relay.is_kept_back(strict)


async def test_a_policy_in_testing_is_tested_though_others_go_to_the_same_host(start: Any, net: Net) -> None:
    relay: Relay = await start()
    tested, lax = f"tested.{ZONE}", f"heedless.{ZONE}"
    net.publish(tested, "expired", policy("testing", f"*.expired.{HOSTS}"))
    net.dns.add(lax, "MX", f"10 tested.expired.{HOSTS}.")
    for _ in range(2):
        for domain in (lax, tested):
            assert (await relay.sent(domain))[0] == "delivered"
    await relay.works.outbound.tls_tally.flush()
    records, day = relay.works.outbound.tls_records, int(relay.clock.now() // DAY_S)
    for domain, failures in ((tested, {EXPIRED}), (lax, set())):
        found = [session.failure for session, _ in records.sessions(day, domain)]
        assert found
        assert {one.value for one in found if one is not None} == failures


def test_the_workers_of_a_relay_count_together_and_one_reports(
    tmp_path: Path, prepared: Prepared, net: Net
) -> None:
    strict, asking = f"daemon.{ZONE}", f"asks.{ZONE}"
    net.publish(strict, "expired", policy("enforce", f"*.expired.{HOSTS}"))
    net.publish(asking, "right", policy("enforce", f"*.right.{HOSTS}"))
    net.dns.remove(f"_smtp._tls.{strict}", "TXT")
    net.dns.add(f"_smtp._tls.{strict}", "TXT", f"v=TLSRPTv1; rua=mailto:tls@{asking}")
    delivery = (
        f'resolver = "{net.dns.address}"\nport = {net.port}\nca_file = "{net.authority.file}"\n'
        f"mta_sts_port = {net.web.port}"
    )
    more = '[tls_reports]\norganization = "Sender Inc."\nspread = "0s"\n'
    relay = RunningRelay(tmp_path, prepared, delivery=delivery, retry='["1h"]', more=more)
    before = TlsSession(TlsPolicy(strict), TlsFailure.CERTIFICATE_EXPIRED, detail="what was counted before")
    today = int(SystemClock().now() // DAY_S)
    TlsRecords(relay.spool).add({(today - 2, before): 7})
    with relay:
        waiting = relay.wait_for_event(relay.send(message("x"), f"a@{strict}"), "deferred", "delivered")
        assert (waiting["event"], waiting["reason"]) == ("deferred", "tls")
        for _ in range(50):  # until each worker has had one
            relay.wait_for_event(relay.send(message("x"), f"a@{asking}"), "delivered")
            if all(one["tls_sessions"] for one in relay.ask("status")["readings"].values()):
                break
        relay.wait_for_scrape('relay_delivery_tls_failures_total{worker=".",kind="certificate-expired"}')
        right = net.mail["right"]
        wait_until(lambda: strict in _reports(right, f"tls@{asking}"), "the report arrives", 60.0)
        _, report = _reports(right, f"tls@{asking}")[strict]
        [part] = report["policies"]
        assert part["summary"]["total-failure-session-count"] == 7
        relay.stop()
        assert "Traceback" not in relay.log()
    found = [
        count for day in (today, today + 1) for _, count in TlsRecords(relay.spool).sessions(day, asking)
    ]
    assert sum(found) >= 2
    assert TlsRecords(relay.spool).sessions(today - 2, strict) == []
