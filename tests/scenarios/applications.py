"""Applications in several languages: the programs of ``conf/clients``, run as an administrator would.

    application = APPLICATIONS["node"](folder, relay)
    application.run(STARTTLS, login, SENDER, "a subject", ["someone@receiver.example"])   # a CompletedProcess

Each takes sender, subject and recipients, and ends with 0 (sent), 75 (try again) or 69 (do not). ``trust``
is the certificate to believe; None: what the system believes, hence not the relay's.
"""

import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from tests.fakes.machine import missing, need
from tests.fakes.running import RunningRelay

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "conf" / "clients"
JARS = Path("/usr/share/java")
STARTTLS, WRAPPER = "starttls", "wrapper"
Login = tuple[str, str]
Done = subprocess.CompletedProcess[str]


class Application(ABC):
    """See above. ``folder`` is its own."""

    tells_replies = True  # whether it lets the program see what the relay said to the content
    splits = True  # whether those who are not refused get the message

    def __init__(self, folder: Path, relay: RunningRelay) -> None:
        self.folder = folder
        self.relay = relay
        self.certificate = relay.folder / "tls.crt"
        folder.mkdir(exist_ok=True)
        self.prepare()

    def prepare(self) -> None:
        """What is to be done once."""
        return

    @abstractmethod
    def words(self, trust: Path | None) -> Sequence[str]:
        """The command, without its arguments."""

    def variables(self, tls: str, login: Login, trust: Path | None) -> Mapping[str, str]:
        """The environment in which it believes ``trust``."""
        return {"SSL_CERT_FILE": str(trust)} if trust else {}

    def run(
        self,
        tls: str,
        login: Login,
        sender: str,
        subject: str,
        recipients: Sequence[str],
        *,
        is_trusting: bool = True,
    ) -> Done:
        trust = self.certificate if is_trusting else None
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "SMTP_HOST": "localhost",
            "SMTP_PORT": str(self.port(tls)),
            "SMTP_TLS": tls,
            "SMTP_USER": login[0],
            "SMTP_PASSWORD": login[1],
            **self.variables(tls, login, trust),
        }
        command = [*self.words(trust), sender, subject, *recipients]
        return subprocess.run(
            command, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=90
        )

    def port(self, tls: str) -> int:
        return self.relay.starttls if tls == STARTTLS else self.relay.wrapper


class Python(Application):
    """smtplib."""

    tells_replies = False

    def words(self, trust: Path | None) -> Sequence[str]:
        return (sys.executable, str(CLIENTS / "send.py"))


class Asyncio(Application):
    """aiosmtplib."""

    def words(self, trust: Path | None) -> Sequence[str]:
        return (sys.executable, str(CLIENTS / "send_async.py"))


class Node(Application):
    """nodemailer of the version in ``package.json``."""

    def prepare(self) -> None:
        self._node = need("node", "nodejs, 20 or later")
        need("npm", "npm")
        made = subprocess.run([ROOT / ".ci" / "nodemailer"], capture_output=True, text=True, timeout=100)
        if made.returncode:
            missing(f"no nodemailer: {made.stderr}")
        modules = Path(made.stdout.strip()) / "node_modules"
        (self.folder / "node_modules").symlink_to(modules)  # imports look beside the program
        shutil.copy(CLIENTS / "send.mjs", self.folder)

    def words(self, trust: Path | None) -> Sequence[str]:
        return (self._node, "send.mjs")

    def variables(self, tls: str, login: Login, trust: Path | None) -> Mapping[str, str]:
        return {"NODE_EXTRA_CA_CERTS": str(trust)} if trust else {}


class Php(Application):
    """PHPMailer."""

    program = "send.php"
    tells_replies = False
    library = ("/usr/share/php/libphp-phpmailer", "libphp-phpmailer")

    def prepare(self) -> None:
        self._php = need("php", "php-cli")
        folder, package = self.library
        if not Path(folder).exists():
            missing(f"{folder} is not there (Debian package {package})")

    def words(self, trust: Path | None) -> Sequence[str]:
        # What libraries of Debian's age say of a newer PHP goes to the log, as in production.
        return (self._php, "-d", "display_errors=stderr", str(CLIENTS / self.program))


class Symfony(Php):
    """Symfony's mailer."""

    program = "symfony.php"
    library = ("/usr/share/php/Symfony/Component/Mailer", "php-symfony-mailer")
    splits = False

    def variables(self, tls: str, login: Login, trust: Path | None) -> Mapping[str, str]:
        scheme = "smtp" if tls == STARTTLS else "smtps"
        user, password = (quote(one, safe="") for one in login)
        dsn = f"{scheme}://{user}:{password}@localhost:{self.port(tls)}"
        return {**super().variables(tls, login, trust), "MAILER_DSN": dsn}


class Java(Application):
    """Jakarta Mail."""

    def prepare(self) -> None:
        self._java = need("java", "openjdk-17-jdk-headless")
        jars = [JARS / "jakarta-mail.jar", JARS / "jakarta-activation.jar"]
        for jar in jars:
            if not jar.exists():
                missing(f"{jar} is not there (Debian package libjakarta-mail-java)")
        path = ":".join(map(str, jars))
        compiler = need("javac", "openjdk-17-jdk-headless")
        self._do(compiler, "-cp", path, "-d", str(self.folder), str(CLIENTS / "Send.java"))
        self._class_path = f"{path}:{self.folder}"
        self._store = self.folder / "relay.p12"
        words = ("-importcert", "-noprompt", "-alias", "relay", "-storepass", "changeit")
        keytool = need("keytool", "openjdk-17-jre-headless")
        self._do(keytool, *words, "-file", str(self.certificate), "-keystore", str(self._store))

    def _do(self, *words: str) -> None:
        done = subprocess.run(words, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr

    def words(self, trust: Path | None) -> Sequence[str]:
        quick = ("-XX:TieredStopAtLevel=1", "-Xshare:auto")  # it lives for half a second
        store = f"-Djavax.net.ssl.trustStore={self._store}"
        trusting = (store, "-Djavax.net.ssl.trustStorePassword=changeit") if trust else ()
        return (self._java, *quick, *trusting, "-cp", self._class_path, "Send")


APPLICATIONS: Mapping[str, type[Application]] = {
    "smtplib": Python,
    "aiosmtplib": Asyncio,
    "nodemailer": Node,
    "PHPMailer": Php,
    "Symfony": Symfony,
    "Jakarta Mail": Java,
}
