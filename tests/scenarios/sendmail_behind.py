"""Sendmail set up by ``conf/sendmail``; see ``mail_server``.

Debian lets no machine have both Postfix and Sendmail: ``.ci/sendmail`` unpacks its packages into the cache.
It runs with its own configuration, queue and log, and touches nothing of the machine's. There is no syslog in
its world: ``log`` is the record of its dialogues (-X), in clear.
"""

import os
import shutil
import signal
import smtplib
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.fakes.machine import missing, need, need_root
from tests.fakes.prepared import Port, wait_until
from tests.scenarios.mail_server import CAS, HOST, RELAY_HOST, MailServer, Target
from tests.scenarios.programs import open_folder
from tests.scenarios.recipes import STARTTLS, STUNNEL, Recipe

# What confines it: its own paths, no user of its own, the machine's files in place of the DNS, a file
# for the mail of this host, and no regard for how busy the machine is.
_CONFINED = """\
define(`QUEUE_DIR', `{folder}/queue')dnl
define(`STATUS_FILE', `{folder}/status')dnl
define(`confPID_FILE', `{folder}/pid')dnl
undefine(`confCONTROL_SOCKET_NAME')dnl
define(`confTRUSTED_USER', `root')dnl
define(`confSERVICE_SWITCH_FILE', `{folder}/switch')dnl
define(`ALIAS_FILE', `{folder}/aliases')dnl
define(`confQUEUE_LA', `10000')dnl
define(`confREFUSE_LA', `10000')dnl
define(`LOCAL_MAILER_PATH', `{folder}/keep')dnl
define(`LOCAL_MAILER_ARGS', `keep $u')dnl
"""
_KEEP = '#!/bin/sh\nexec cat >> "{folder}/mail/$1"\n'


def _installed() -> Path:
    """The folder that Debian's packages are unpacked in."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("RELAY_SENDMAIL") or Path(cache) / "relay-sendmail")
    if not (folder / "usr/libexec/sendmail/sendmail").exists():
        missing(f"{folder} has no Sendmail (run .ci/sendmail)")
    return folder


class SendmailBehind(MailServer):
    """See above."""

    ways = (STARTTLS, STUNNEL)
    says_of_password = "Authentication failed earlier"
    says_of_unknown = "authentication failed"
    says_of_name = "does not match"

    def __init__(self, target: Target, way: str = STARTTLS) -> None:
        need_root("sendmail")
        self._unshare = need("unshare", "util-linux")
        self._installed = _installed()
        super().__init__(target, open_folder())
        self._port = Port()
        self.port, self._way = self._port.number, way
        recipe = Recipe("sendmail/relay.mc").take(way)
        host, port = ("127.0.0.1", 2525) if way == STUNNEL else (RELAY_HOST, 587)
        recipe.put(f"`relay:[{host}]'", f"`relay:[{target.host(way)}]'")
        recipe.put(f"`TCP $h {port}'", f"`TCP $h {target.port(way)}'").put("Port=smtp", f"Port={self.port}")
        recipe.put(CAS, str(self.cas)).put("/etc/ssl/certs", str(self.folder / "certs"))
        recipe.put("/etc/mail/", f"{self.folder}/")
        recipe.put("/usr/share/sendmail", f"{self._installed}/usr/share/sendmail")
        confined = _CONFINED.format(folder=self.folder)
        recipe.put("MAILER_DEFINITIONS\n", confined + "MAILER_DEFINITIONS\n")
        (self.folder / "sendmail.mc").write_text(recipe.text)

    def __enter__(self) -> Self:
        for name in ("queue", "mail", "certs"):
            (self.folder / name).mkdir()
        (self.folder / "queue").chmod(0o700)
        (self.folder / "mail").chmod(0o777)
        (self.folder / "keep").write_text(_KEEP.format(folder=self.folder))
        (self.folder / "keep").chmod(0o755)
        (self.folder / "status").touch()
        (self.folder / "local-host-names").touch()
        (self.folder / "switch").write_text("passwd files\nhosts files\naliases files\n")
        with (self.folder / "sendmail.cf").open("wb") as made:
            subprocess.run([need("m4", "m4"), "sendmail.mc"], cwd=self.folder, stdout=made, check=True)
        access = Recipe("sendmail/access").put(f"CN:{RELAY_HOST}", "CN:localhost")
        if self._way == STUNNEL:
            access.uncomment("TLS_Srv:127.0.0.1")
        self._make_map("access", access.text)
        (self.folder / "aliases").touch()
        self._run("sendmail", "-bi")
        self.write_login(*self.target.login)
        self.write_cas(self.target.certificate)
        with (self.folder / "start").open("wb") as log:
            self._process = subprocess.Popen(
                self._command("sendmail", "-X", str(self.folder / "dialogues"), "-bD"),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(self._answers, "Sendmail answers")
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
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # its own session, hence only what it started
        self._process.wait(10)
        self._port.free()
        print(self.log())
        shutil.rmtree(self.folder)

    @property
    def _environment(self) -> dict[str, str]:
        libraries = next((self._installed / "usr/lib").glob("*-linux-gnu"))
        return {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(libraries)}

    def _command(self, program: str, *words: str) -> list[str]:
        """With a host name of its own: for one without a dot it asks the DNS, and then sleeps a minute."""
        path = self._installed / "usr/libexec/sendmail" / program
        named = [self._unshare, "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', HOST]
        return [*named, str(path), "-C", str(self.folder / "sendmail.cf"), *words]

    def _run(self, program: str, *words: str, stdin: str = "") -> str:
        done = subprocess.run(
            self._command(program, *words),
            env=self._environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def log(self) -> str:
        files = [self.folder / "start", self.folder / "dialogues"]
        return "".join(one.read_text(errors="replace")[-50_000:] for one in files if one.exists())

    def queue(self) -> str:
        return self._run("sendmail", "-bp")

    def flush(self) -> None:
        self._run("sendmail", "-X", str(self.folder / "dialogues"), "-q")

    def write_login(self, username: str, password: str) -> None:
        recipe = Recipe("sendmail/authinfo").put("I:USER", f"I:{username}")
        recipe.put("P:PASSWORD", f"P:{password}")
        self._make_map("authinfo", recipe.text)

    def _make_map(self, name: str, text: str) -> None:
        self._run("makemap", "hash", str(self.folder / name), stdin=text)
        (self.folder / f"{name}.db").chmod(0o600)
