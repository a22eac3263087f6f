"""A real validating resolver on loopback, unbound, in front of a test's own name server.

    with NameServer("open.example", signed=("dane.example",)) as dns, Validator(dns) as resolver:
        resolver.address                       # "127.0.0.1:40002"

Its answers have AD where DNSSEC vouches for them, and are SERVFAIL where they are bogus. It trusts the keys
of the signed zones as they are when it starts, and keeps no answer. ``bogus`` names zones of which it knows
another key: all that they say is bogus.
"""

import shutil
import signal
import subprocess

import dns.exception
import dns.message
import dns.query

from tests.fakes.machine import need
from tests.fakes.prepared import wait_until
from tests.scenarios.nameserver import NameServer, free_port
from tests.scenarios.programs import open_folder

_CONFIGURATION = """
server:
    interface: 127.0.0.1@{port}
    port: {port}
    directory: "{folder}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    num-threads: 1
    verbosity: 1
    module-config: "validator iterator"
    do-not-query-localhost: no
    do-ip6: no
    cache-max-ttl: 0
    cache-max-negative-ttl: 0
    infra-host-ttl: 0
    qname-minimisation: no
    val-log-level: 1
    {anchors}
remote-control:
    control-enable: no
"""
_STUB = 'stub-zone:\n    name: "{zone}"\n    stub-addr: 127.0.0.1@{port}\n'
_FORGED = "{zone}. DS 1 13 2 " + 64 * "0"


class Validator:
    """See above."""

    def __init__(self, server: NameServer, bogus: tuple[str, ...] = ()) -> None:
        self._unbound = need("unbound", "unbound")
        self._server, self._bogus = server, bogus
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> "Validator":
        self._folder = open_folder()
        anchors = [_FORGED.format(zone=zone) for zone in self._bogus]
        for zone in self._server.signed:
            if zone not in self._bogus:
                anchors += self._server.keys(zone)
        lines = "\n    ".join(f'trust-anchor: "{one}"' for one in anchors)
        stubs = "".join(_STUB.format(zone=zone, port=self._server.port) for zone in self._server.zones)
        try:
            for _ in range(10):
                self.port = free_port()
                text = _CONFIGURATION.format(port=self.port, folder=self._folder, anchors=lines) + stubs
                (self._folder / "unbound.conf").write_text(text)
                if self._start():
                    return self
                self._stop()
            raise AssertionError(f"unbound does not start:\n{self.log()}")
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self._stop()
        shutil.rmtree(self._folder)

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def _start(self) -> bool:
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._unbound, "-d", "-c", self._folder / "unbound.conf"], stdout=log, stderr=log
            )
        process = self._process
        wait_until(lambda: process.poll() is not None or self._answers(), "unbound answers or ends")
        return process.poll() is None

    def _stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
        self._process = None

    def _answers(self) -> bool:
        query = dns.message.make_query(self._server.zones[0], "SOA")
        try:
            return bool(dns.query.udp(query, "127.0.0.1", 1, self.port).answer)
        except (OSError, dns.exception.DNSException):
            return False
