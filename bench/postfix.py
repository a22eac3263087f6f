"""The other side: a private Postfix + OpenDKIM, tuned in good faith, started and stopped by pid.

It lives in one directory (config, queue, data) on the file system that the relay's spool is on, listens on a
high port of the loopback and touches nothing of the machine's own Postfix. Each setting that departs from
the default makes it faster or takes away work that the relay does not do either:

- ``in_flow_delay=0``: the default makes smtpd wait when mail arrives faster than it leaves;
- ``default_process_limit=100``, concurrency 20 at first and 40 at most to the one next hop;
- connections to the next hop are cached (on demand, and always for the sink as a destination);
- no DNS, no maps, no recipient checks, no client limits; logging through postlogd to a file;
- OpenDKIM signs RSA-2048 relaxed/relaxed over a unix socket (over TCP, Nagle and delayed ACKs bind it).

fsync is on: Postfix has no setting to turn it off. Needs root, as Postfix's own master does.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from bench import procs
from bench.content import DOMAIN
from bench.proof import key_record, write_key

SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60    1 pickup
cleanup   unix  n - n -     0 cleanup
qmgr      unix  n - n 300   1 qmgr
rewrite   unix  - - n -     - trivial-rewrite
bounce    unix  - - n -     0 bounce
defer     unix  - - n -     0 bounce
trace     unix  - - n -     0 bounce
verify    unix  - - n -     1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n -     - proxymap
proxywrite unix - - n -     1 proxymap
smtp      unix  - - n -     - smtp
relay     unix  - - n -     - smtp
showq     unix  n - n -     - showq
error     unix  - - n -     - error
retry     unix  - - n -     - error
discard   unix  - - n -     - discard
anvil     unix  - - n -     1 anvil
scache    unix  - - n -     1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


def main_cf(root: Path, sink_port: int) -> str:
    """The text of main.cf."""
    settings = {
        "compatibility_level": "3.6",
        "queue_directory": root / "queue",
        "data_directory": root / "data",
        "command_directory": "/usr/sbin",
        "daemon_directory": "/usr/lib/postfix/sbin",
        "mail_owner": "postfix",
        "setgid_group": "postdrop",
        "myhostname": f"mx.{DOMAIN}",
        "mydestination": "",
        "mynetworks": "127.0.0.0/8",
        "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4",
        "relayhost": f"[127.0.0.1]:{sink_port}",
        "maillog_file": root / "log" / "mail.log",
        "maillog_file_prefixes": root,
        "alias_maps": "",
        "alias_database": "",
        "local_recipient_maps": "",
        "biff": "no",
        # no work that the relay does not do
        "disable_dns_lookups": "yes",
        "smtp_host_lookup": "native",
        "smtpd_peername_lookup": "no",
        "smtpd_recipient_restrictions": "permit_mynetworks,reject",
        "smtpd_client_connection_count_limit": 0,
        "smtpd_client_connection_rate_limit": 0,
        "smtpd_tls_security_level": "none",
        "smtp_tls_security_level": "none",
        "message_size_limit": 104857600,
        # tuned
        "in_flow_delay": 0,
        "default_process_limit": 100,
        "initial_destination_concurrency": 20,
        "smtp_destination_concurrency_limit": 40,
        "default_destination_concurrency_limit": 40,
        "smtp_connection_cache_on_demand": "yes",
        "smtp_connection_cache_destinations": "127.0.0.1",
        # signing
        "smtpd_milters": f"unix:{root}/dkim/socket",
        "milter_default_action": "tempfail",
        "milter_protocol": 6,
    }
    return "".join(f"{name} = {value}\n" for name, value in settings.items())


def opendkim_conf(root: Path) -> str:
    """The text of opendkim.conf."""
    return (
        f"Socket local:{root}/dkim/socket\nPidFile {root}/dkim/pid\nUMask 000\nBackground no\nSyslog no\n"
        f"Mode s\nDomain {DOMAIN}\nSelector bench\nKeyFile {root}/dkim/key.pem\n"
        "Canonicalization relaxed/relaxed\nSignatureAlgorithm rsa-sha256\nInternalHosts 127.0.0.0/8\n"
        "RequireSafeKeys no\nOversignHeaders From\n"
    )


class Postfix:
    """A running Postfix with its OpenDKIM. Use it as a context manager: leaving ends all its processes."""

    name = "postfix"

    def __init__(
        self, root: Path, port: int, sink_port: int, overrides: dict[str, str] | None = None
    ) -> None:
        """``overrides`` are settings of main.cf to try; raises RuntimeError where it cannot run."""
        self.root = root
        self.port = port
        self._sink_port = sink_port
        self._overrides = overrides or {}
        self._started: list[subprocess.Popen[bytes]] = []

    @staticmethod
    def why_not() -> str:
        """Why it cannot run on this machine, or empty."""
        for program in ("postfix", "opendkim"):
            if shutil.which(program) is None:
                return f"{program} is not installed (apt-get install postfix opendkim)"
        return "" if os.geteuid() == 0 else "Postfix's master must be started by root"

    @property
    def roots(self) -> list[int]:
        """The pids whose trees are this side."""
        return [process.pid for process in self._started]

    def key_record(self) -> bytes:
        """The public key that OpenDKIM's signatures verify with, as a DKIM TXT record."""
        return self._record

    def __enter__(self) -> Postfix:
        owner = pwd.getpwnam("postfix")
        for name in ("etc", "queue", "data", "log", "dkim"):
            (self.root / name).mkdir(parents=True)
        os.chown(self.root / "data", owner.pw_uid, owner.pw_gid)
        self.root.chmod(0o755)
        self._record = key_record(write_key(self.root / "dkim" / "key.pem"))
        (self.root / "dkim").chmod(0o755)
        (self.root / "dkim" / "opendkim.conf").write_text(opendkim_conf(self.root))
        extra = "".join(f"{name} = {value}\n" for name, value in self._overrides.items())
        (self.root / "etc" / "main.cf").write_text(main_cf(self.root, self._sink_port) + extra)
        (self.root / "etc" / "master.cf").write_text(SERVICES.format(port=self.port))
        for name in ("dynamicmaps.cf", "postfix-files"):
            with suppress(OSError):
                shutil.copy(f"/etc/postfix/{name}", self.root / "etc" / name)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        output = (self.root / "log" / "start.log").open("wb")
        dkim = [shutil.which("opendkim") or "opendkim", "-f", "-x", str(self.root / "dkim" / "opendkim.conf")]
        # a group of their own: an interrupt from the keyboard must reach only the bench, which then ends them
        self._started.append(
            subprocess.Popen(dkim, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        )
        self._await((self.root / "dkim" / "socket").exists, "OpenDKIM's socket")
        os.chmod(self.root / "dkim" / "socket", 0o666)
        self._started.append(
            subprocess.Popen(
                ["/usr/sbin/postfix", "-c", str(self.root / "etc"), "start-fg"],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        )
        self._await(self._answers, "Postfix's banner")

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as client:
            return client.recv(200).startswith(b"220")
        return False

    def _await(self, is_true: object, what: str) -> None:
        assert callable(is_true)
        deadline = time.monotonic() + 20
        while not is_true():
            ended = [process.args for process in self._started if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                logs = "".join(
                    path.read_text(errors="replace")[-2000:] for path in (self.root / "log").iterdir()
                )
                raise RuntimeError(f"{what} did not come ({ended=}):\n{logs}")
            time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        below = procs.descendants(self.roots, procs.read_all())
        # with maillog_file set, start-fg keeps a shell above the master, which would die alone of a signal
        with suppress(OSError, ValueError):
            master = int((self.root / "queue" / "pid" / "master.pid").read_text())
            if master in below:
                os.kill(master, signal.SIGTERM)
        if self._started:
            self._started[0].terminate()
        for process in reversed(self._started):
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
        for pid in procs.wait_until_gone(below, 5):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._started:
            process.wait(10)
        self._started.clear()
