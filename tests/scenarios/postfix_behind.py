"""Postfix set up by ``conf/postfix``; see ``mail_server``."""

import os
import pwd
import subprocess
from pathlib import Path
from typing import Self

from tests.fakes.machine import need
from tests.scenarios.mail_server import CAS, HOST, LOGIN, RELAY_HOST, MailServer, Target
from tests.scenarios.programs import Postfix
from tests.scenarios.recipes import STARTTLS, STUNNEL, WRAPPER, Recipe

_NEXT_HOPS = {
    STARTTLS: f"[{RELAY_HOST}]:587",
    WRAPPER: f"[{RELAY_HOST}]:465",
    STUNNEL: "[127.0.0.1]:2525",
}
_PASSWORDS = "/etc/postfix/sasl_passwd"
_BY_SENDER = "smtp_sender_dependent_authentication = yes"


class PostfixBehind(MailServer):
    """See above. ``by_sender``: with a login for a sender's domain, too; see ``log_in``."""

    ways = (STARTTLS, WRAPPER, STUNNEL)
    says_of_password = "SASL authentication failed"
    says_of_unknown = "Untrusted TLS connection established"
    says_of_name = "hostname mismatch"

    def __init__(self, target: Target, way: str = STARTTLS, *, by_sender: bool = False) -> None:
        self._next_hop = f"[{target.host(way)}]:{target.port(way)}"
        nobody = pwd.getpwnam("nobody")
        here = {  # bounces to a user of this host end in a file
            "virtual_mailbox_domains": HOST,
            "virtual_mailbox_maps": "static:nobody",
            "virtual_uid_maps": f"static:{nobody.pw_uid}",
            "virtual_gid_maps": f"static:{nobody.pw_gid}",
        }
        self._postfix = Postfix("", here)
        super().__init__(target, self._postfix.folder)
        self.port = self._postfix.port
        recipe = Recipe("postfix/main.cf").take(way)
        recipe.put(f"\nrelayhost = {_NEXT_HOPS[way]}\n", f"\nrelayhost = {self._next_hop}\n")
        recipe.put(f"cache_destinations = {RELAY_HOST}", f"cache_destinations = {target.host(way)}")
        recipe.put(CAS, str(self.cas)).put(_PASSWORDS, str(self._passwords))
        if by_sender:
            recipe.uncomment(_BY_SENDER)
        self._postfix.recipe = f"{recipe.text}virtual_mailbox_base = {self.folder}/mail\n"

    @property
    def _passwords(self) -> Path:
        return self.folder / "sasl_passwd"

    def __enter__(self) -> Self:
        nobody = pwd.getpwnam("nobody")
        (self.folder / "mail").mkdir()
        os.chown(self.folder / "mail", nobody.pw_uid, nobody.pw_gid)
        self.write_cas(self.target.certificate)
        self._postfix.__enter__()
        self.write_login(*self.target.login)  # postmap wants a main.cf; no mail has come yet
        return self

    def __exit__(self, *_: object) -> None:
        self._postfix.__exit__()

    def log(self) -> str:
        return self._postfix.log()

    def queue(self) -> str:
        return self._run("postqueue", "-p").stdout

    def flush(self) -> None:
        self._run("postqueue", "-f")

    def take_over(self) -> None:
        self._run("postfix", "reload")

    def write_login(self, username: str, password: str, *more: str) -> None:
        """``more``: domain, user name and password of senders with a login of their own."""
        recipe = Recipe("postfix/sasl_passwd").put(f"[{RELAY_HOST}]:587", self._next_hop)
        recipe.put(f" {LOGIN}", f" {username}:{password}")
        if more:
            recipe.uncomment("@shop.example.org").put("@shop.example.org", f"@{more[0]}")
            recipe.put("USER2:PASSWORD2", f"{more[1]}:{more[2]}")
        self._passwords.write_text(recipe.text)
        self._passwords.chmod(0o600)
        self._run("postmap", f"hash:{self._passwords}")

    def complaints(self) -> str:
        """What Postfix says of settings that it does not know, or that stand twice."""
        return self._run("postconf", "-n").stderr

    def _run(self, program: str, *words: str) -> "subprocess.CompletedProcess[str]":
        command = [need(program, "postfix"), "-c", str(self.folder / "etc"), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (command, done.stderr)
        return done
