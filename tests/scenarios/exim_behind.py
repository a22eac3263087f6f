"""Exim set up by ``conf/exim``; see ``mail_server``."""

import os
import pwd
from pathlib import Path
from typing import Self

from tests.scenarios.exim import RunningExim
from tests.scenarios.mail_server import CAS, LOGIN, RELAY_HOST, MailServer, Target
from tests.scenarios.recipes import STARTTLS, STUNNEL, WRAPPER, Recipe

_PASSWORDS = "/etc/exim4/passwd.client"


class EximBehind(MailServer):
    """See above."""

    ways = (STARTTLS, WRAPPER, STUNNEL)
    says_of_password = "authentication"
    says_of_unknown = "(certificate verification failed): certificate invalid"
    says_of_name = "(certificate verification failed)\n"

    def __init__(self, target: Target, way: str = STARTTLS) -> None:
        self._exim = RunningExim()
        super().__init__(target, self._exim.folder)
        self.port, self._host = self._exim.port, target.host(way)
        recipe = Recipe("exim/relay.conf").take(way)
        host = "127.0.0.1::2525" if way == STUNNEL else f"{RELAY_HOST}::{587 if way == STARTTLS else 465}"
        recipe.put(f"\nRELAY_HOST = {host}\n", f"\nRELAY_HOST = {self._host}::{target.port(way)}\n")
        recipe.put(CAS, str(self.cas)).put(f"= {_PASSWORDS}", f"= {self._passwords}")
        recipe.put("/var/mail/", f"{self.folder}/mail/").put("<; 127.0.0.1 ; ::1", "127.0.0.1")
        recipe.put("daemon_smtp_ports = 25\n", f"daemon_smtp_ports = {self.port}\n")
        # The machine's own files know localhost as 127.0.0.1 only; else the DNS is asked for the rest.
        self._exim.text = "dns_ipv4_lookup = *\n" + recipe.text

    @property
    def _passwords(self) -> Path:
        return self.folder / "passwd.client"

    def __enter__(self) -> Self:
        nobody = pwd.getpwnam("nobody")
        (self.folder / "mail").mkdir()
        os.chown(self.folder / "mail", nobody.pw_uid, nobody.pw_gid)
        self.write_login(*self.target.login)
        self.write_cas(self.target.certificate)
        self._exim.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._exim.__exit__()

    def log(self) -> str:
        return self._exim.log()

    def queue(self) -> str:
        """``mailq``, and what the log has last said of each message, which it does not show."""
        return self._exim.run("-bp") + self._exim.log()

    def flush(self) -> None:
        self._exim.run("-qff")

    def write_login(self, username: str, password: str) -> None:
        recipe = Recipe("exim/passwd.client").put(RELAY_HOST, self._host)
        self._passwords.write_text(recipe.put(LOGIN, f"{username}:{password}").text)
        os.chown(self._passwords, 0, pwd.getpwnam("Debian-exim").pw_gid)
        self._passwords.chmod(0o640)
