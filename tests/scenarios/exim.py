"""A private Exim that takes all mail, as Exim is run by many: what is wrong with a recipient it finds later.

    with Exim(next_hop=receiver.port, routes={"bounces.example": inbound_port}) as exim:
        exim.port                      # takes mail from loopback
        exim.log()                     # its main log, reject and panic logs

Debian lets no machine have both Postfix and Exim: ``.ci/exim`` unpacks its packages into the cache. It runs
with its own configuration, spool and log, and touches nothing of the machine's; it needs root to begin.
"""

import os
import pwd
import shutil
import signal
import smtplib
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.fakes.machine import missing, need_root
from tests.fakes.prepared import Port, wait_until
from tests.scenarios.programs import open_folder

_PLACE = """\
exim_path = {folder}/exim
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/log/exim.pid
exim_user = Debian-exim
exim_group = Debian-exim
"""
_CONFIGURATION = """\
primary_hostname = mx.exim.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
deliver_drop_privilege = true
keep_environment =
host_lookup =
helo_allow_chars = _
rfc1413_query_timeout = 0s
tls_advertise_hosts =
smtp_accept_max = 50
acl_smtp_rcpt = everybody
begin acl
everybody:
  accept
begin routers
{routers}
behind:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = behind
begin transports
{transports}
behind:
  driver = smtp
  port = {next_hop}
  hosts_avoid_tls = *
begin retry
* * F,1h,1s
"""
_ROUTER = """\
way{number}:
  driver = manualroute
  domains = {domain}
  route_list = * 127.0.0.1
  self = send
  transport = way{number}
"""
_TRANSPORT = """\
way{number}:
  driver = smtp
  port = {port}
  hosts_avoid_tls = *
"""


def _installed() -> Path:
    """The folder that Debian's packages are unpacked in."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("RELAY_EXIM") or Path(cache) / "relay-exim")
    if not (folder / "usr" / "sbin" / "exim4").exists():
        missing(f"{folder} has no Exim (run .ci/exim)")
    return folder


class RunningExim:
    """A private Exim with the configuration ``text``; its daemon listens on ``port`` if the text says so."""

    options: Sequence[str] = ()  # of the daemon

    def __init__(self) -> None:
        need_root("exim4")
        self._installed = _installed()
        self.folder = self._folder = open_folder()
        self._port = Port()
        self.port = self._port.number
        self.text = ""

    def __enter__(self) -> Self:
        owner = pwd.getpwnam("Debian-exim")
        for name in ("spool", "log"):
            (self._folder / name).mkdir()
            os.chown(self._folder / name, owner.pw_uid, owner.pw_gid)
        file = self._folder / "exim.conf"
        file.write_text(_PLACE.format(folder=self._folder) + self.text)
        self._copy_program()
        with (self._folder / "start").open("wb") as log:
            self._process = subprocess.Popen(
                [self._folder / "exim", "-C", file, "-bdf", *self.options],
                env={"PATH": os.environ["PATH"]},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(self._answers, "Exim answers")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _copy_program(self) -> None:
        """Exim runs itself again for each delivery, as a user who may not look into the cache, and with an
        empty environment, in which it would not find what came with it."""
        binary = self._folder / "exim4"
        shutil.copy(self._installed / "usr" / "sbin" / "exim4", binary)
        binary.chmod(0o755)  # not setuid: such programs are told nothing by LD_LIBRARY_PATH
        libraries = self._folder / "lib"
        libraries.mkdir()
        for one in (self._installed / "usr" / "lib").glob("*-linux-gnu/lib*.so.*"):
            shutil.copy(one, libraries / one.name)
        program = self._folder / "exim"
        program.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={libraries} exec {binary} "$@"\n')
        program.chmod(0o755)

    def _answers(self) -> bool:
        assert self._process.poll() is None, self.log()
        with suppress(OSError), smtplib.SMTP("127.0.0.1", self.port, timeout=10):
            return True
        return False

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # its own session, hence only what it started
        self._process.wait(10)
        self._port.free()
        print(self.log())
        shutil.rmtree(self._folder)

    def log(self) -> str:
        """Its logs, and what it said before there were any."""
        files = [self._folder / "start", *sorted((self._folder / "log").glob("*log"))]
        return "".join(one.read_text(errors="replace") for one in files if one.exists())

    def run(self, *words: str) -> str:
        """The program once more, for a run of the queue or a look at it; what it printed."""
        command = [self._folder / "exim", "-C", self._folder / "exim.conf", *words]
        done = subprocess.run(
            command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout


class Exim(RunningExim):
    """See above. ``routes``: the port of loopback where mail of a domain goes; all else goes to
    ``next_hop``."""

    options = ("-q1s",)

    def __init__(self, next_hop: int, routes: Mapping[str, int]) -> None:
        super().__init__()
        ways = list(enumerate(routes.items()))
        self.text = _CONFIGURATION.format(
            port=self.port,
            next_hop=next_hop,
            routers="".join(_ROUTER.format(number=number, domain=domain) for number, (domain, _) in ways),
            transports="".join(_TRANSPORT.format(number=number, port=port) for number, (_, port) in ways),
        )
