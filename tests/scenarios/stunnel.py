"""A private stunnel, set up by ``conf/stunnel/relay.conf``.

with Stunnel(relay, WRAPPER) as stunnel:
    stunnel.port                    # SMTP without TLS here is SMTP with TLS at the relay
"""

import shutil
import subprocess
from pathlib import Path

from tests.fakes.machine import need, need_root
from tests.fakes.prepared import Port, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.programs import open_folder
from tests.scenarios.recipes import WRAPPER, Recipe


class Stunnel:
    """See above."""

    def __init__(self, relay: RunningRelay, way: str = WRAPPER) -> None:
        self._program = need("stunnel", "stunnel4")
        need_root("stunnel")
        self._folder = open_folder()
        self._port = Port()
        self.port = self._port.number
        self.cas = self._folder / "cas.pem"
        self.trust(relay.folder / "tls.crt")
        recipe = Recipe("stunnel/relay.conf").take(way)
        recipe.put(":465", f":{relay.wrapper}").put(":587", f":{relay.starttls}")
        recipe.put("127.0.0.1:2525", f"127.0.0.1:{self.port}").put("mail.example.com", "localhost")
        recipe.put("/etc/ssl/certs/ca-certificates.crt", str(self.cas))
        (self._folder / "relay.conf").write_text(recipe.text)

    def __enter__(self) -> "Stunnel":
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._program, self._folder / "relay.conf"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._listens, "stunnel listens")
        return self

    def _listens(self) -> bool:
        assert self._process.poll() is None, self.log()
        wanted = f":{self.port:04X} 00000000:0000 0A"  # /proc/net/tcp: local port, no peer, LISTEN
        return wanted in Path("/proc/net/tcp").read_text()

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._port.free()
        print(self.log())
        shutil.rmtree(self._folder)

    def trust(self, certificate: Path) -> None:
        """Believe this CA, and no other; read at the start."""
        shutil.copy(certificate, self.cas)
        self.cas.chmod(0o644)

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")
