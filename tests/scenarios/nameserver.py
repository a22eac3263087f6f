"""A real authoritative name server on loopback, Knot DNS, whose zones a test changes while it runs.

    with NameServer("owner.example", "service.example", signed=("dane.example",)) as dns:
        dns.address                                        # "127.0.0.1:40001", UDP and TCP
        dns.add("_relay.owner.example", "TXT", "token")    # by knotc, seen by the next question
        dns.remove("_relay.owner.example", "TXT")
        dns.stop(), dns.start()                            # an outage; what was published stays
        dns.keys("dane.example")                           # its DNSKEY records, for a validator to trust

Names are given whole. Zones that it does not have are REFUSED, which a resolver takes for "no one knows".
"""

import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import dns.message
import dns.query

from tests.fakes.machine import need
from tests.fakes.prepared import wait_until
from tests.scenarios.programs import open_folder

_CONFIGURATION = """
server:
    listen: 127.0.0.1@{port}
    rundir: {folder}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: {folder}/db
    journal-db-max-size: 16M
    kasp-db-max-size: 16M
    timer-db-max-size: 16M
control:
    listen: {folder}/control
template:
  - id: default
    storage: {folder}
    zonefile-load: whole
    journal-content: none
zone:
"""
_ZONE = "$ORIGIN {zone}.\n$TTL 1\n@ SOA ns hostmaster 1 3600 600 86400 1\n@ NS ns\nns A 127.0.0.1\n"
_TTL_S = "1"


class NameServer:
    """See above."""

    def __init__(
        self,
        *zones: str,
        signed: tuple[str, ...] = (),
        records: Mapping[str, Sequence[tuple[str, str, str]]] | None = None,
    ) -> None:
        """``records``: (name, kind, value) by zone, published from the start."""
        self._knotd, self._knotc = need("knotd", "knot"), need("knotc", "knot")
        self.zones = zones + signed
        self.signed = signed
        self._records = records or {}
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> "NameServer":
        self._folder = open_folder()
        (self._folder / "db").mkdir()
        try:
            for zone in self.zones:
                lines = [f"{n}. {kind} {_written(kind, v)}\n" for n, kind, v in self._records.get(zone, ())]
                (self._folder / f"{zone}.zone").write_text(_ZONE.format(zone=zone) + "".join(lines))
            for _ in range(10):  # a port that is free for UDP may be taken for TCP by the time it starts
                try:
                    self.port = free_port()
                except OSError:
                    continue
                text = _CONFIGURATION.format(port=self.port, folder=self._folder)
                (self._folder / "knot.conf").write_text(
                    text + "".join(self._entry(zone) for zone in self.zones)
                )
                if self.start():
                    return self
                self.stop()
            raise AssertionError(f"knotd does not start:\n{self.log()}")
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> bool:
        """Start it; whether it serves."""
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._knotd, "-c", self._folder / "knot.conf"], stdout=log, stderr=log, cwd=self._folder
            )
        process = self._process
        wait_until(lambda: process.poll() is not None or self._serves(), "knotd serves or ends")
        return process.poll() is None and "cannot bind" not in self.log()

    def stop(self) -> None:
        """End it; what was published stays on disk."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
        self._process = None

    def _entry(self, zone: str) -> str:
        signing = "    dnssec-signing: on\n" if zone in self.signed else ""
        return f"  - domain: {zone}\n    file: {zone}.zone\n{signing}"

    def keys(self, zone: str) -> list[str]:
        """The DNSKEY records of a signed zone, in zone file form."""
        query = dns.message.make_query(zone, "DNSKEY")
        answer = dns.query.tcp(query, "127.0.0.1", 30, self.port).answer
        return [f"{zone}. DNSKEY {record.to_text()}" for record in answer[0]]

    def add(self, name: str, kind: str, *values: str) -> None:
        """Publish records beside those that are there; the text of a TXT without quotes."""
        self._change(name, *[("zone-set", _TTL_S, kind, _written(kind, value)) for value in values])

    def add_all(self, zone: str, records: Sequence[tuple[str, str, str]]) -> None:
        """Publish many records (name, kind, value) of a zone in one change."""
        self._control("zone-begin", zone)
        for name, kind, value in records:
            self._control("zone-set", zone, f"{name}.", _TTL_S, kind, _written(kind, value))
        self._control("zone-commit", zone)

    def remove(self, name: str, kind: str) -> None:
        """Remove all records of a kind at a name."""
        self._change(name, ("zone-unset", kind))

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def _change(self, name: str, *operations: tuple[str, ...]) -> None:
        fits = [one for one in self.zones if name == one or name.endswith(f".{one}")]
        zone = max(fits, key=len)
        self._control("zone-begin", zone)
        for what, *words in operations:
            self._control(what, zone, f"{name}.", *words)
        self._control("zone-commit", zone)

    def _control(self, *words: str) -> None:
        done = self._ask(*words)
        assert done.returncode == 0, f"knotc {words}: {done.stdout}{done.stderr}"

    def _serves(self) -> bool:
        return (
            all(self._ask("zone-read", zone, "@", "SOA").returncode == 0 for zone in self.zones)
            and Path(self._folder / "control").exists()
        )

    def _ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._knotc, "-c", self._folder / "knot.conf", *words],
            capture_output=True,
            text=True,
            timeout=30,
        )


def _written(kind: str, value: str) -> str:
    if kind != "TXT":
        return value
    pieces = [value[at : at + 255] for at in range(0, len(value), 255)] or [""]
    return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        udp.bind(("127.0.0.1", 0))
        port: int = udp.getsockname()[1]
        tcp.bind(("127.0.0.1", port))
        return port
