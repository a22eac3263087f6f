"""msmtp set up by ``conf/msmtp``, called as programs call sendmail; PHP's mail(), set up by ``php.ini``."""

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fakes.machine import need
from tests.fakes.prepared import ACCOUNT, DOMAIN, HOSTNAME, SENDER
from tests.fakes.running import RunningRelay
from tests.scenarios.receiver import Receiver
from tests.scenarios.recipes import CONF, Recipe

TO = "someone@receiver.example"
EX_UNAVAILABLE, EX_NOPERM = 69, 77
Done = subprocess.CompletedProcess[bytes]


class Msmtp:
    """The recipe, with the relay of the test in it."""

    def __init__(self, relay: RunningRelay, *, password: str = "", cas: Path | None = None) -> None:
        self.program = need("msmtp", "msmtp")
        self.file = relay.folder / f"msmtprc-{password}-{cas is None}"
        secret = relay.folder / f"{self.file.name}.password"
        secret.write_text(password or relay.prepared.password)
        recipe = Recipe("msmtp/msmtprc").put("host mail.example.com", "host localhost")
        recipe.put("port 587", f"port {relay.starttls}").put("port 465", f"port {relay.wrapper}")
        recipe.put("user USER", f"user {relay.prepared.username}").put("/etc/msmtp.password", str(secret))
        recipe.put("/etc/ssl/certs/ca-certificates.crt", str(cas or relay.folder / "tls.crt"))
        recipe.put("from app@example.com", f"from {SENDER}")
        # The log of the test's machine is not ours.
        recipe.put("syslog LOG_MAIL", f"syslog off\nlogfile {self.file}.log")
        self.file.write_text(recipe.text)
        self.file.chmod(0o600)

    def send(self, *words: str, text: str) -> Done:
        line = [self.program, "-C", str(self.file), *words]
        return subprocess.run(line, input=text.encode(), capture_output=True, timeout=60)


@pytest.mark.parametrize("account", ["starttls", "wrapper"])
def test_recipients_from_the_header(
    shared_relay: RunningRelay, shared_receiver: Receiver, account: str
) -> None:
    subject = f"msmtp {account}"
    text = f"To: {TO}\nBcc: hidden@receiver.example\nSubject: {subject}\n\nGrüße\n.\nlast\n"
    msmtp = Msmtp(shared_relay)
    done = msmtp.send("-a", account, "-t", "-oi", text=text)
    assert (done.returncode, done.stderr) == (0, b"")
    got = shared_receiver.wait_for(subject)
    assert (got.sender, sorted(got.recipients)) == (SENDER, ["hidden@receiver.example", TO])
    assert got.parsed["from"] == SENDER
    assert got.parsed["bcc"] is None
    assert got.content.endswith("\r\n\r\nGrüße\r\n.\r\nlast\r\n".encode())
    assert "with ESMTPSA" in got.parsed.get_all("received")[0]
    assert shared_relay.signatures(got.content) == {DOMAIN: True, HOSTNAME: True}
    message_id = got.parsed["message-id"].strip("<>").partition("@")[0]
    assert f"smtpmsg='250 2.6.0 Ok {message_id}' exitcode=EX_OK" in Path(f"{msmtp.file}.log").read_text()


def test_what_it_makes_of_refusals(shared_relay: RunningRelay) -> None:
    text = "From: x@elsewhere.example\nSubject: never\n\nx\n"
    done = Msmtp(shared_relay).send("--", TO, text=text)
    assert done.returncode == EX_UNAVAILABLE, done
    assert b"554 5.7.1 Message rejected: Email address is not verified." in done.stderr
    done = Msmtp(shared_relay, password="wrong").send(TO, text=text)
    assert done.returncode == EX_NOPERM, done
    assert b"535 5.7.8" in done.stderr


def test_a_quota_that_is_used_up_is_told_by_the_text_alone(shared_relay: RunningRelay) -> None:
    directory = shared_relay.directory()
    directory.accounts.set(ACCOUNT, max_24_hours=1)
    shared_relay.wait_for_directory(directory)
    done = Msmtp(shared_relay).send(TO, text="Subject: never\n\nx\n")
    directory.accounts.set(ACCOUNT, max_24_hours=-1)
    shared_relay.wait_for_directory(directory)
    directory.close()
    assert done.returncode == EX_UNAVAILABLE, done  # msmtp has one status for what is refused to content
    assert b"454 4.7.1 Throttling failure" in done.stderr


def test_a_certificate_that_is_not_to_be_trusted_gets_no_password(
    shared_relay: RunningRelay, tmp_path: Path
) -> None:
    before = shared_relay.count("auth_successes")
    other = Path("/etc/ssl/certs/ca-certificates.crt")
    done = Msmtp(shared_relay, cas=other).send(TO, text="Subject: never\n\nx\n")
    assert done.returncode != 0
    assert b"certificate" in done.stderr
    assert shared_relay.count("auth_successes") == before


def program(folder: Path) -> Path:
    """``/usr/bin/relay``: this tree's."""
    made = folder / "relay"
    made.write_text(f'#!/bin/sh\nPYTHONPATH={CONF.parent} exec {sys.executable} -m relay "$@"\n')
    made.chmod(0o755)
    return made


_MAIL = """
$sent = mail($argv[1], $argv[2], "Grüße\\n.\\nlast", ["From" => $argv[3], "Cc" => "copy@receiver.example"]);
exit($sent ? 0 : 1);
"""


def php(folder: Path, ini: str, words: Sequence[str], environment: dict[str, str]) -> Done:
    """mail() with this php.ini."""
    program = need("php", "php-cli")
    (folder / "php.ini").write_text(ini)
    line = [program, "-c", str(folder / "php.ini"), "-r", _MAIL, *words]
    return subprocess.run(line, capture_output=True, timeout=60, env={**os.environ, **environment})


@pytest.mark.parametrize("way", ["relay send", "msmtp"])
def test_mail_of_php(shared_relay: RunningRelay, shared_receiver: Receiver, tmp_path: Path, way: str) -> None:
    recipe = Recipe("clients/php.ini").put("-A SHOP", f"-A {ACCOUNT}")
    ini, other = recipe.text, '\n;sendmail_path = "/usr/bin/msmtp'
    assert other in ini
    if way == "msmtp":
        msmtp = Msmtp(shared_relay)
        ini = ini.replace("\nsendmail_path", "\n;sendmail_path").replace(other, other.replace(";", ""))
        ini = ini.replace("/etc/msmtprc", str(msmtp.file))
    ini = ini.replace(";mail.force", "mail.force").replace("-fapp@example.com", f"-f{SENDER}")
    ini = ini.replace("/usr/bin/relay", str(program(tmp_path)))
    environment = {"RELAY_CONFIG": str(shared_relay.file)}
    done = php(tmp_path, ini, [TO, f"php by {way}", SENDER], environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    got = shared_receiver.wait_for(f"php by {way}")
    assert (got.sender, sorted(got.recipients)) == (SENDER, ["copy@receiver.example", TO])
    assert got.content.endswith("\r\n\r\nGrüße\r\n.\r\nlast\r\n".encode())
    done = php(tmp_path, ini, [TO, "never", "x@elsewhere.example"], environment)
    assert done.returncode == 1
    assert b"Email address is not verified." in done.stderr


def test_cron_and_mail_leave_the_domain_to_sendmail(
    shared_relay: RunningRelay, shared_receiver: Receiver, tmp_path: Path
) -> None:
    directory = shared_relay.directory()
    directory.identities.add(ACCOUNT, HOSTNAME, is_verified=True)
    shared_relay.wait_for_directory(directory)
    directory.close()
    user = pwd.getpwuid(os.getuid()).pw_name
    cron = f"From: {user} (Cron Daemon)\nTo: ops@receiver.example\nSubject: Cron <{user}@h> date\n\nSun 22\n"
    recipe = Recipe("clients/sendmail").put("-A SHOP", f"-A {ACCOUNT}")
    sendmail = tmp_path / "sendmail"
    sendmail.write_text(recipe.put("/usr/bin/relay", str(program(tmp_path))).text)
    words = ["sh", str(sendmail), "-FCronDaemon", "-i", "-B8BITMIME", "-oem", "ops@receiver.example"]
    environment = {**os.environ, "RELAY_CONFIG": str(shared_relay.file)}
    done = subprocess.run(words, input=cron.encode(), capture_output=True, timeout=60, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    got = shared_receiver.wait_for(f"Cron <{user}@h> date")
    assert got.sender == f"{user}@{HOSTNAME}"
    assert f"\r\nFrom: {user}@{HOSTNAME} (Cron Daemon)\r\n" in got.content.decode()
