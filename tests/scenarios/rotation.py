"""``python -m tests.scenarios.rotation --messages 20000``: keys turn under load; every message must verify.

A relay with two workers, clients that send without a pause, a receiver that takes a twentieth of the messages
only the second time, and a DNS server on loopback that serves the records which the relay prints, republished
a moment after each change. Meanwhile the keys of the sender's domain turn every few seconds and selectors get
new keys, at a pace that stands for months. What the DNS serves for each signature is written down at the
moment of the delivery; dkimpy verifies every message against that afterwards. The last line is JSON; exit
status 1 if one does not verify.
"""

import argparse
import asyncio
import io
import json
import multiprocessing
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

from relay.base.clock import SystemClock
from relay.daemon.demo import verify
from relay.daemon.duties.dkim_watch import DkimDuty
from relay.daemon.translate import load_service_keys
from relay.directory.dkim_life import Pace
from relay.directory.dkim_records import service_zone
from relay.directory.keys import public_record, zone_record
from relay.directory.records import KeyState
from relay.transport.resolve import Resolver
from tests.fakes.dns import FakeDns
from tests.fakes.prepared import DOMAIN, HOSTNAME, Prepared, prepare, wait_until
from tests.fakes.running import RunningRelay
from tests.fakes.sink import Answer, Received
from tests.scenarios.load import Load
from tests.scenarios.receiver import LoopThread, Receiver

_SIGNATURE = re.compile(rb"d=([^;\s]+);\s+s=([^;\s]+);")
_DEFER_EACH = 20
PACE = Pace(rotate_every_s=4.0, retired_for_s=7.0, settled_after_s=0.5, check_every_s=0.2)


@dataclass(frozen=True)
class Delivered:
    """A message, and what the DNS served for its signatures when it came."""

    content: bytes
    records: dict[str, str]


@dataclass
class Result:
    """What the last line tells."""

    messages: int = 0
    verified: int = 0
    deferred: int = 0
    turns: int = 0
    renewed: int = 0
    signed_by: dict[str, int] = field(default_factory=dict)
    not_verified_by_the_last_zone: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    verification_seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        return not self.faults and self.verified == self.messages


class Zone:
    """What the DNS serves: the owner's CNAMEs, the zone of the service domain, the service's own key."""

    def __init__(self, relay: RunningRelay, dns: FakeDns) -> None:
        self._dns = dns
        self._fixed = {
            row["name"]: {row["type"]: [f"{row['value']}."]}
            for row in json.loads(relay.command("identity", "records", DOMAIN, "--json").stdout)
            if row["type"] == "CNAME"
        }
        for key in load_service_keys(relay.settings):
            self._fixed[key.record_name] = _txt(key.record_name, public_record(key))
        self._printed = relay.command("identity", "zone", "--json")
        self.texts: dict[str, str] = {}
        self.publish({row["name"]: row["value"] for row in json.loads(self._printed.stdout)})

    def publish(self, texts: dict[str, str]) -> None:
        """A new version of the service domain's zone."""
        self.texts = texts
        self._dns.zone = {**self._fixed, **{name: _txt(name, text) for name, text in texts.items()}}

    def now(self, name: str) -> str:
        """The text at a name, CNAMEs followed."""
        entry = self._dns.zone.get(name, {})
        while "CNAME" in entry:
            entry = self._dns.zone.get(entry["CNAME"][0].rstrip("."), {})
        return "".join(re.findall(r'"([^"]*)"', entry["TXT"][0])) if "TXT" in entry else ""


def _txt(name: str, text: str) -> dict[str, list[str]]:
    return {"TXT": [zone_record(name, text).partition(" IN TXT ")[2]]}


class Witness(Receiver):
    """Keeps what the DNS served at each delivery; some messages it takes only the second time."""

    def __init__(self) -> None:
        super().__init__()
        self.zone: Zone | None = None
        self.delivered: list[Delivered] = []
        self.deferred = 0
        self._seen: set[str] = set()
        self._count = 0

    async def at_dot(self, message: Received) -> Answer:
        content = message.content
        header = content.partition(b"\r\n\r\n")[0]
        subject = header.partition(b"\nSubject: ")[2].partition(b"\r\n")[0].decode()
        if subject not in self._seen:
            self._seen.add(subject)
            self._count += 1
            if self._count % _DEFER_EACH == 0:
                self.deferred += 1
                return "451 4.3.0 later"
        assert self.zone is not None
        names = [f"{s.decode()}._domainkey.{d.decode()}" for d, s in _SIGNATURE.findall(header)]
        self.delivered.append(Delivered(content, {name: self.zone.now(name) for name in names}))
        return "250 2.0.0 Ok"


class Turning:
    """The watch's duty, at a pace of seconds, and the administrator who republishes the zone."""

    def __init__(self, relay: RunningRelay, dns: FakeDns, zone: Zone, pace: Pace) -> None:
        self.turns = self.renewed = 0
        self.directory = relay.directory()
        self._zone, self._dns, self._pace = zone, dns, pace
        self.is_over = False

    async def send(self, account_id: int, subject: str, text: str, *, kind: str = "", about: str = "") -> str:
        raise AssertionError(f"the owner is told {kind} of {about}: {text}")

    async def run(self) -> None:
        number = self.directory.dkim.of(DOMAIN).identity.id
        resolver = Resolver(SystemClock(), self._dns.address, 5.0)
        duty = DkimDuty(
            self.directory.dkim,
            resolver,
            self,
            SystemClock(),
            lambda: self._pace,
            lambda: HOSTNAME,
            lambda: inf,
        )
        signing = self._signing()
        while not self.is_over:
            late = await asyncio.to_thread(self._texts)  # published now is what was true before this look
            await duty.check(number)
            self.turns += len(self._signing() - signing)
            signing = self._signing()
            self.renewed += sum(text != self._zone.texts.get(name) for name, text in late.items())
            self._zone.publish(late)
            await asyncio.sleep(0.2)  # the pace of the watch

    def _signing(self) -> set[str]:
        return {key.selector for key in self.directory.dkim.of(DOMAIN).keys if key.state is KeyState.ACTIVE}

    def _texts(self) -> dict[str, str]:
        return {one.name: one.value for one in service_zone(self.directory.dkim.published(), HOSTNAME)}


def judge(one: Delivered) -> str:
    """What is wrong with a message; in a process of its own."""
    results = verify(one.content, one.records)
    if len(results) != 3:  # RSA and Ed25519 for the identity, RSA for the service
        return f"{len(results)} signatures"
    bad = [signer for signer, is_good in results if not is_good]
    return f"does not verify: {', '.join(bad)}" if bad else ""


def run(folder: Path, prepared: Prepared, messages: int, turns: int, say: Any = print) -> Result:
    """The whole proof: at least so many messages, and so many keys that took over from another."""
    result = Result()
    with ExitStack() as stack:
        dns_thread, dns = LoopThread(), FakeDns()
        stack.callback(dns_thread.end)
        dns_thread.run(dns.__aenter__())
        stack.callback(lambda: dns_thread.run(dns.__aexit__()))
        witness = stack.enter_context(Witness())
        relay = stack.enter_context(
            RunningRelay(
                folder,
                prepared,
                next_hop=witness.port,
                retry='["2s"]',
                delivery=f'resolver = "{dns.address}"',
            )
        )
        zone = witness.zone = Zone(relay, dns)
        turning = Turning(relay, dns, zone, PACE)
        stack.callback(turning.directory.close)
        failure: list[BaseException] = []

        def turn() -> None:
            try:
                asyncio.run(turning.run())
            except BaseException as error:
                failure.append(error)

        turner = threading.Thread(target=turn)
        started = time.monotonic()
        turner.start()
        try:
            with Load(relay, clients=8, per_session=200) as load:
                wait_until(
                    lambda: failure or (len(load.promised) >= messages and turning.turns >= turns),
                    f"{messages} messages and {turns} turns",
                    900,
                )
        finally:
            turning.is_over = True
            turner.join(30)
        if failure:
            raise failure[0]
        promised = set(load.promised)
        wait_until(lambda: len(witness.delivered) >= len(promised), "all arrive", 60)
        result.seconds = round(time.monotonic() - started, 1)
        relay.stop()
        result.messages, result.deferred = len(witness.delivered), witness.deferred
        result.turns, result.renewed = turning.turns, turning.renewed
        say(f"{result.messages} delivered in {result.seconds} s, {turning.turns} turns; verifying each")
        _judge_all(witness.delivered, zone, result)
        printed = {
            row["name"]: row["value"]
            for row in json.loads(relay.command("identity", "zone", "--json").stdout)
        }
        if printed != turning._texts():
            result.faults.append("the zone that the command prints differs from the directory's keys")
    return result


def _judge_all(delivered: list[Delivered], zone: Zone, result: Result) -> None:
    started = time.monotonic()
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        for wrong in pool.map(judge, delivered, chunksize=200):
            if wrong:
                result.faults.append(wrong)
            else:
                result.verified += 1
    result.faults = result.faults[:10]
    result.verification_seconds = round(time.monotonic() - started, 1)
    signers = Counter(
        name.partition(".")[0] for one in delivered for name in one.records if name.endswith(f".{DOMAIN}")
    )
    result.signed_by = dict(signers)
    # What makes this a test: selectors have had other keys since, with which these would not verify.
    result.not_verified_by_the_last_zone = sum(
        any(zone.now(name) != text for name, text in one.records.items()) for one in delivered
    )


def main() -> int:
    """Run, print, say by the exit status whether every message verified."""
    options = argparse.ArgumentParser(description="Turn DKIM keys under load.")
    options.add_argument("--messages", type=int, default=20_000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="relay-rotation-") as name:
        prepared = prepare(Path(name) / "prepared")
        tell = partial(print, file=sys.stdout, flush=True)
        with redirect_stdout(io.StringIO()):  # a relay that ends prints its log, for tests
            result = run(Path(name) / "relay", prepared, given.messages, 4, tell)
    print(json.dumps({**vars(result), "good": result.is_good}))
    return 0 if result.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
