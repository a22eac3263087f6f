"""A mail server of the administrator's, whose smarthost the relay is, set up by our recipe and run for real.

    with PostfixBehind(target, STARTTLS) as server:
        server.send(SENDER, ["someone@receiver.example"], b"...")     # as a program on its host does
        server.queue(), server.log(), server.inbox()                  # mailq; its log; what came back
        server.log_in(user, password), server.trust(pem)              # edit its files, and what goes with it
        server.flush()                                                # run the queue now

What is common to Postfix, Exim and Sendmail; each is in a module of its own. ``LOCAL`` is a user of its host,
whom bounces reach there.
"""

import shutil
import smtplib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from tests.fakes.prepared import wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.recipes import STARTTLS, STUNNEL, WRAPPER

HOST = "host.example.com"
LOCAL = f"nobody@{HOST}"
RELAY_HOST = "mail.example.com"  # in the recipes
CAS = "/etc/ssl/certs/ca-certificates.crt"  # in the recipes
LOGIN = "USER:PASSWORD"  # in the recipes


@dataclass(frozen=True)
class Target:
    """The relay as the recipes reach it here: on loopback, by name and directly, or through stunnel."""

    relay: RunningRelay
    stunnel_port: int = 0

    def port(self, way: str) -> int:
        return {STARTTLS: self.relay.starttls, WRAPPER: self.relay.wrapper, STUNNEL: self.stunnel_port}[way]

    def host(self, way: str) -> str:
        return "127.0.0.1" if way == STUNNEL else "localhost"

    @property
    def login(self) -> tuple[str, str]:
        return self.relay.prepared.username, self.relay.prepared.password

    @property
    def certificate(self) -> Path:
        return self.relay.folder / "tls.crt"


class MailServer(ABC):
    """See above."""

    ways: ClassVar[Sequence[str]]
    # What its queue says of a wrong password; its queue or its log of an unknown CA, and of another name.
    says_of_password: ClassVar[str]
    says_of_unknown: ClassVar[str]
    says_of_name: ClassVar[str]
    port: int

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self.folder = folder
        self.cas = folder / "cas.pem"

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(self, *_: object) -> None: ...

    @abstractmethod
    def log(self) -> str:
        """All that it has said so far."""

    @abstractmethod
    def queue(self) -> str:
        """What ``mailq`` shows."""

    @abstractmethod
    def flush(self) -> None:
        """A run of its queue, now."""

    @abstractmethod
    def write_login(self, username: str, password: str) -> None:
        """Make its password file of the recipe's."""

    def take_over(self) -> None:
        """What the recipe says is to be done after files were changed."""
        return  # most read them again by themselves

    def log_in(self, username: str, password: str) -> None:
        """Log in so from now on."""
        self.write_login(username, password)
        self.take_over()

    def trust(self, certificate: Path) -> None:
        """Believe this CA from now on, and no other."""
        self.write_cas(certificate)
        self.take_over()

    def write_cas(self, certificate: Path) -> None:
        shutil.copy(certificate, self.cas)
        self.cas.chmod(0o644)

    def inbox(self) -> str:
        """The mail of the user ``LOCAL``."""
        file = self.folder / "mail" / "nobody"
        return file.read_text(errors="replace") if file.exists() else ""

    def send(
        self,
        sender: str,
        recipients: Sequence[str],
        content: bytes,
        mail: Sequence[str] = (),
        rcpt: Sequence[str] = (),
    ) -> None:
        """As a program on its host: SMTP to loopback; ``mail`` and ``rcpt`` are parameters."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as client:
            client.ehlo("localhost")
            if "SMTPUTF8" in mail:
                client.command_encoding = "utf-8"
            code, text = client.mail(sender, mail)
            for one in recipients:
                assert code == 250, text
                code, text = client.rcpt(one, rcpt)
            assert code == 250, text
            code, text = client.data(content)
            assert code == 250, text

    def waits_with(self, words: str) -> None:
        """Until its queue shows these words beside a message."""
        try:
            wait_until(lambda: words in " ".join(self.queue().split()), f"its queue shows {words!r}")
        except AssertionError as error:
            error.add_note(self.queue())
            raise

    def flush_until(self, is_true: Callable[[], Any], what: str) -> Any:
        """Run the queue until it is true: a message that is being tried just now is not in a run."""

        def tried() -> Any:
            if answer := is_true():
                return answer
            self.flush()
            with suppress(AssertionError):
                return wait_until(is_true, what, 2.0)
            return None

        return wait_until(tried, what, 60.0)
