"""Real programs that tests talk to or through: a private Postfix, smtp-sink, and a dialogue over pipes.

Each is a context manager that ends, by pid, what it started. Postfix has its own configuration, queue and
log, and touches nothing of the machine's; its master needs root, as smtp-sink does to change its user.
"""

import os
import pwd
import select
import shutil
import signal
import smtplib
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.fakes.machine import need, need_root
from tests.fakes.prepared import Port, wait_until


def open_folder() -> Path:
    """A folder that other users can reach, as those of pytest cannot; remove it."""
    folder = Path(tempfile.mkdtemp(prefix="relay-scenario-"))
    folder.chmod(0o755)
    return folder


class Pipes:
    """A program that is talked to through its standard input and output."""

    def __init__(self, *words: str) -> None:
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        self._read = b""

    def __enter__(self) -> "Pipes":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    def hear(self, timeout_s: float = 20.0) -> str:
        """The next line."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._read:
            ready, _, _ = select.select([self._process.stdout], [], [], deadline - time.monotonic())
            assert ready, f"silent for {timeout_s:g} s after {self._read!r}"
            chunk = os.read(self._process.stdout.fileno(), 65536)
            assert chunk, f"ended after {self._read!r}"
            self._read += chunk
        line, _, self._read = self._read.partition(b"\n")
        return line.decode().rstrip("\r")

    def hear_reply(self) -> list[str]:
        """The lines of one SMTP reply."""
        lines = [self.hear()]
        while lines[-1][3:4] == "-":
            lines.append(self.hear())
        return lines


class SmtpSink:
    """Postfix's own sink, with the options that make it misbehave. ``received`` are its dumps."""

    def __init__(self, *options: str, port: Port | None = None) -> None:
        self._program = need("smtp-sink", "postfix")
        need_root("smtp-sink")
        self._own_port = None if port else Port()
        self.port = (port or self._own_port or Port()).number
        self._options = options
        self._folder = open_folder()
        self._log = self._folder / "log"

    def __enter__(self) -> "SmtpSink":
        (self._folder / "mail").mkdir()
        (self._folder / "mail").chmod(0o777)
        words = [self._program, "-u", "nobody", "-v", *self._options]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*words, "-d", "mail/%M.", f"127.0.0.1:{self.port}", "100"],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        wait_until(self._listens, "smtp-sink listens")
        return self

    def _listens(self) -> bool:
        assert self._process.poll() is None, self.log()
        wanted = f":{self.port:04X} 00000000:0000 0A"  # /proc/net/tcp: local port, no peer, LISTEN
        return wanted in Path("/proc/net/tcp").read_text()

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        if self._own_port is not None:
            self._own_port.free()
        print(self.log())
        shutil.rmtree(self._folder)

    def log(self) -> str:
        """What it said with -v: the dialogue."""
        return self._log.read_text(errors="replace")

    def received(self) -> list[str]:
        """The messages that came in whole, as dumped."""
        found = [path.read_text(errors="replace") for path in (self._folder / "mail").iterdir()]
        return [text for text in found if "\n\n" in text.rstrip("\n")]


_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60    1 pickup
cleanup   unix  n - n -     0 cleanup
qmgr      unix  n - n 1     1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
tlsproxy  unix  - - n -     0 tlsproxy
rewrite   unix  - - n -     - trivial-rewrite
bounce    unix  - - n -     0 bounce
defer     unix  - - n -     0 bounce
trace     unix  - - n -     0 bounce
proxymap  unix  - - n -     - proxymap
smtp      unix  - - n -     - smtp
virtual   unix  - n n -     - virtual
showq     unix  n - n -     - showq
error     unix  - - n -     - error
retry     unix  - - n -     - error
anvil     unix  - - n -     1 anvil
scache    unix  - - n -     1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """A private Postfix whose relayhost is ``relayhost``; ``settings`` are further lines of main.cf, and
    ``recipe``, which may name the relayhost itself, is its end; ``services`` are the end of master.cf."""

    recipe = services = ""

    def __init__(self, relayhost: str, settings: dict[str, str]) -> None:
        self._program = need("postfix", "postfix")
        need_root("postfix")
        self.folder = self._folder = folder = open_folder()
        self._port = Port()
        self.port = self._port.number
        self._settings = {
            "compatibility_level": "3.6",
            "queue_directory": f"{folder}/queue",
            "data_directory": f"{folder}/data",
            "command_directory": "/usr/sbin",
            "daemon_directory": "/usr/lib/postfix/sbin",
            "mail_owner": "postfix",
            "setgid_group": "postdrop",
            "myhostname": "app.sender.example",
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "maillog_file": f"{folder}/log/mail.log",
            "maillog_file_prefixes": f"{folder}",
            "alias_maps": "",
            "alias_database": "",
            "local_recipient_maps": "",
            "smtpd_peername_lookup": "no",
            "smtp_host_lookup": "native",
            **({"relayhost": relayhost} if relayhost else {}),
            **settings,
        }

    def __enter__(self) -> "Postfix":
        owner = pwd.getpwnam("postfix")
        for name in ("etc", "queue", "data", "log"):
            (self._folder / name).mkdir(parents=True)
        os.chown(self._folder / "data", owner.pw_uid, owner.pw_gid)
        text = "".join(f"{name} = {value}\n" for name, value in self._settings.items())
        (self._folder / "etc" / "main.cf").write_text(text + self.recipe)
        (self._folder / "etc" / "master.cf").write_text(_MASTER.format(port=self.port) + self.services)
        for name in ("dynamicmaps.cf", "postfix-files"):
            with suppress(OSError):
                shutil.copy(f"/etc/postfix/{name}", self._folder / "etc" / name)
        words = [self._program, "-c", str(self._folder / "etc"), "start-fg"]
        with (self._folder / "log" / "start").open("wb") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_until(self._answers, "Postfix answers")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _answers(self) -> bool:
        assert self._process.poll() is None, self.log()
        with suppress(OSError), smtplib.SMTP("127.0.0.1", self.port, timeout=10):
            return True
        return False

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, ValueError):
            master = int((self._folder / "queue" / "pid" / "master.pid").read_text())
            os.kill(master, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # its own session, hence only what it started
        self._process.wait(10)
        self._port.free()
        print(self.log())
        shutil.rmtree(self._folder)

    def log(self) -> str:
        """Its mail log, and what it said before there was one."""
        return "".join(path.read_text(errors="replace") for path in (self._folder / "log").iterdir())
