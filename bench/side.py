"""The relay's side: ``relay run`` with a generated configuration, as an administrator would set it up.

Two workers, fsync on, events and metrics on, one RSA-2048 signature per message (the identity's; OpenDKIM on
the other side makes one too), one line of log per event that matters, to a file; one route for all mail to
the sink. A plain listener that trusts the loopback takes the load; a second one with STARTTLS and AUTH is
there for the figure with both.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench import procs
from bench.content import DOMAIN
from bench.hook import Hook

CONFIG = """\
[relay]
hostname = "relay.{domain}"

[[listener]]
address = "127.0.0.1:{port}"
tls = "none"
auth = "none"
trusted_networks = ["127.0.0.0/8"]
account = "bench"

[[listener]]
address = "127.0.0.1:{auth_port}"
tls = "starttls"
auth = "required"

[tls]
certificate = "tls.crt"
private_key = "tls.key"

[limits]
message_size = "40 MB"

[spool]
path = "../spool"

[directory]
key_file = "relay.key"

[[route]]
domain = "*"
next_hop = "127.0.0.1:{sink_port}"
tls = "none"

[workers]
count = {workers}

[metrics]
listen = "127.0.0.1:{metrics_port}"
"""


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Relay:
    """A running relay. Use it as a context manager: leaving ends all its processes."""

    name = "relay"

    def __init__(
        self,
        root: Path,
        port: int,
        sink_port: int,
        workers: int = 2,
        more: str = "",
        hook: Hook | None = None,
    ) -> None:
        """``more`` is TOML to append to the configuration; ``hook`` is told of every delivery."""
        self.root = root
        self.port = port
        self.auth_port = free_port()
        self.metrics_port = free_port()
        self.login = ""
        self._hook = hook
        self._text = more
        if hook is not None:
            allowed = f'private_addresses = "allow"\nca_file = "{hook.ca_file}"'
            self._text += f"\n[notifications]\n{allowed}\n"
        self._values = {"sink_port": sink_port, "workers": workers}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def roots(self) -> list[int]:
        """The pids whose trees are this side."""
        return [self._process.pid] if self._process is not None else []

    def workers(self) -> list[int]:
        """The pids of the processes below the supervisor."""
        return sorted(procs.descendants(self.roots, procs.read_all()) - set(self.roots))

    def key_record(self) -> bytes:
        """The public key that the signatures verify with, as a DKIM TXT record."""
        records = self._command("identity", "records", DOMAIN, "--txt", "--json")
        return next(str(one["value"]).encode() for one in records if "._domainkey." in one["name"])

    def _command(self, *words: str) -> Any:
        """Run ``relay WORDS``; its JSON output, if any. Raises RuntimeError with what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "relay", *words], env=self._environment(), capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"relay {' '.join(words)}: {done.stderr or done.stdout}")
        return json.loads(done.stdout) if "--json" in words else done.stdout

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "RELAY_CONFIG": str(self.root / "conf" / "bench.toml")}

    def __enter__(self) -> Relay:
        self.root.mkdir(parents=True)
        (self.root / "log").mkdir()
        self._command("init", str(self.root / "conf"), "--high-ports", "--hostname", f"relay.{DOMAIN}")
        ports = {"port": self.port, "auth_port": self.auth_port, "metrics_port": self.metrics_port}
        text = CONFIG.format(domain=DOMAIN, **ports, **self._values) + self._text
        (self.root / "conf" / "bench.toml").write_text(text)
        # high, and yet limits: what counts them must be at work
        self._command("account", "create", "bench", "--rate", "1000000", "--quota", "1000000000")
        self._command("identity", "add", "bench", DOMAIN, "--verified")
        credential = self._command("credential", "create", "bench", "--json")
        user = credential.get("username") or credential.get("key_id") or credential.get("access_key_id")
        password = credential.get("password") or credential.get("smtp_password")
        self.login = f"{user}:{password}"
        if self._hook is not None:
            url = self._hook.url
            topic = self._command("topic", "create", "bench", "hook", "--url", url, "--json")
            self._hook.tell(f"secret {topic['secret']}")
            self._command("identity", "notify", DOMAIN, "--delivery", "hook")
        with (self.root / "log" / "relay.log").open("wb") as log:
            # a session of its own: an interrupt from the keyboard must reach only the bench, which ends it
            self._process = subprocess.Popen(
                [sys.executable, "-m", "relay", "run"],
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._await_banner()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _await_banner(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as client:
                if client.recv(200).startswith(b"220"):
                    return
            time.sleep(0.05)
        raise RuntimeError(f"the relay did not come up:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """The end of the log, for a message about what went wrong."""
        return (self.root / "log" / "relay.log").read_text(errors="replace")[-3000:]

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        below = procs.descendants(self.roots, procs.read_all())
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(40)
        for pid in procs.wait_until_gone(below, 2):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(10)
        self._process = None
