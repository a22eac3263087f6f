"""A Postfix on the same host that hands its mail to ``relay send``, set up by ``conf/postfix/pipe.*.cf``."""

import os
import pwd
import shutil
import site
import smtplib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.machine import need
from tests.fakes.prepared import ACCOUNT, DOMAIN, HOSTNAME, SENDER, Prepared, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.programs import Postfix, open_folder
from tests.scenarios.receiver import Receiver
from tests.scenarios.recipes import Recipe

ROOT = Path(__file__).parents[2]
USER = "nobody"  # stands for the user `relay`
ELSEWHERE = "elsewhere.example"  # no identity of the account's
# Domains of recipients, each with a transport of its own that differs from the recipe's in one thing.
FULL, UNKNOWN, STOPPED, BROKEN, KEPT_OUT, GONE, TORN, KILLED = (
    f"{name}.example"
    for name in ("full", "unknown", "stopped", "broken", "kept-out", "gone", "torn", "killed")
)


@dataclass
class Piping:
    """What runs: a Postfix, the relay behind its pipe, and the receiver behind that."""

    postfix: Postfix
    relay: RunningRelay
    receiver: Receiver
    stopped: Path  # the configuration of a relay that does not run

    def send(self, sender: str, recipients: Sequence[str], subject: str, body: bytes = b"x\r\n") -> None:
        author = sender or f"MAILER-DAEMON@{DOMAIN}"
        content = f"From: {author}\r\nTo: {SENDER}\r\nSubject: {subject}\r\n\r\n".encode() + body
        with smtplib.SMTP("127.0.0.1", self.postfix.port, timeout=60) as client:
            refused = client.sendmail(sender, recipients, content, ["BODY=8BITMIME"])
        assert refused == {}

    def becomes(self, recipient: str, *words: str) -> str:
        """Until the log has a line of this recipient with these words; the line."""

        def found() -> str:
            lines = (one for one in self.postfix.log().splitlines() if f"to=<{recipient}>" in one)
            return next((one for one in lines if all(word in one for word in words)), "")

        return str(wait_until(found, f"{recipient} has {words} in {self.postfix.log()}"))


def program(folder: Path, name: str, configuration: Path) -> Path:
    """``/usr/bin/relay``: this tree's, with another default for its configuration; run by the Python of the
    system where that is as old, since one in a home directory is not for other users."""
    made = folder / name
    python = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    python = python if Path(python).exists() else sys.executable
    path = ":".join([str(ROOT), *site.getsitepackages()])
    made.write_text(
        f'#!/bin/sh\nPYTHONPATH={path} RELAY_CONFIG={configuration} exec {python} -m relay "$@"\n'
    )
    made.chmod(0o755)
    return made


def local_mail(folder: Path) -> dict[str, str]:
    """Settings of a Postfix on whose host the mail to ``ELSEWHERE`` ends, in one file."""
    user = pwd.getpwnam(USER)
    (folder / "mail").mkdir()
    os.chown(folder / "mail", user.pw_uid, user.pw_gid)
    return {
        "virtual_mailbox_domains": ELSEWHERE,
        "virtual_mailbox_base": str(folder / "mail"),
        "virtual_mailbox_maps": "static:all",
        "virtual_uid_maps": f"static:{user.pw_uid}",
        "virtual_gid_maps": f"static:{user.pw_gid}",
    }


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that the user reaches; where it does not reach this tree, nothing can be shown."""
    made = open_folder()
    user = pwd.getpwnam(USER)
    words = [program(made, "relay", made / "relay.toml"), "send", "-h"]
    need("postfix", "postfix")
    tried = subprocess.run(words, capture_output=True, user=user.pw_uid, group=user.pw_gid, cwd="/")
    if tried.returncode:
        shutil.rmtree(made)
        pytest.skip(f"{USER} cannot run the programs of this tree: {tried.stderr.decode()[-300:]}")
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def piping(folder: Path, prepared: Prepared) -> Iterator[Piping]:
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        relay = stack.enter_context(RunningRelay(folder, prepared, next_hop=receiver.port, workers=1))
        directory = relay.directory()
        directory.accounts.create("full", f"postmaster@{FULL}", max_send_rate=-1, max_24_hours=1)
        directory.identities.add("full", FULL, is_verified=True)
        relay.wait_for_directory(directory)
        directory.close()
        words = ["send", "-A", "full", "-f", f"a@{FULL}", f"a@{FULL}"]
        assert relay.command(*words, stdin=b"Subject: the only one\n\n").returncode == 0
        os.chown(relay.spool / "control", pwd.getpwnam(USER).pw_uid, -1)  # as its group may open it
        relay.spool.chmod(0o711)
        relay.file.chmod(0o644)
        stopped, broken = folder / "stopped.toml", folder / "broken.toml"
        stopped.write_text('[spool]\npath = "nowhere"\n')
        broken.write_text("[nonsense]\n")

        recipe = Recipe("postfix/pipe.master.cf").put("user=relay", f"user={USER}").put("SHOP", ACCOUNT).text
        services = [recipe.replace("/usr/bin/relay", str(folder / "relay"))]
        others = {
            FULL: services[0].replace(f"-A {ACCOUNT}", "-A full"),
            UNKNOWN: services[0].replace(f"-A {ACCOUNT}", "-A unknown"),
            STOPPED: recipe.replace("/usr/bin/relay", str(program(folder, "stopped", stopped))),
            BROKEN: recipe.replace("/usr/bin/relay", str(program(folder, "broken", broken))),
            KEPT_OUT: services[0].replace(f"user={USER}", "user=daemon"),
            GONE: recipe.replace("/usr/bin/relay", str(folder / "not-there")),
            TORN: recipe.replace("/usr/bin/relay", "/bin/false"),  # as Python ends that finds no module
            KILLED: recipe.replace("/usr/bin/relay send", "kill -9 $$$$; :"),
        }
        for domain, service in others.items():
            services.append(service.replace("\nrelay-pipe ", f"\n{domain} "))
        postfix = Postfix("", {"allow_min_user": "yes", **local_mail(folder)})
        postfix.services = "".join(services)
        maps = " ".join(f"{{ {domain} = {domain}: }}" for domain in others)
        postfix.recipe = Recipe("postfix/pipe.main.cf").text + f"transport_maps = inline:{{ {maps} }}\n"
        stack.enter_context(postfix)
        yield Piping(postfix, relay, receiver, stopped)
        relay.stop()
        assert "Traceback" not in relay.log() + postfix.log()


def test_mail_to_many_is_handed_on_in_calls_of_fifty(piping: Piping) -> None:
    to = [f"r{number:02d}@receiver.example" for number in range(58)]
    to += ["-dash@receiver.example", '"two words"@receiver.example']
    piping.send(SENDER, to, "to many", "Grüße\r\n.\r\nFrom here\r\n".encode())

    def served() -> list[str]:
        got = [one for one in list(piping.receiver.received) if one.subject == "to many"]
        return sorted(recipient for one in got for recipient in one.recipients)

    wait_until(lambda: served() == sorted(to), "all have it, once each")
    got = piping.receiver.wait_for("to many")
    assert got.sender == SENDER
    assert got.content.endswith("\r\n\r\nGrüße\r\n.\r\nFrom here\r\n".encode())
    assert piping.relay.signatures(got.content) == {DOMAIN: True, HOSTNAME: True}
    piping.becomes(to[0], "status=sent (delivered via relay-pipe service)")


def test_a_sender_that_begins_with_a_dash(piping: Piping) -> None:
    piping.send(f"-t@{DOMAIN}", ["dashed@receiver.example"], "from a dash")
    got = piping.receiver.wait_for("from a dash")
    assert (got.sender, got.recipients) == (f"-t@{DOMAIN}", ["dashed@receiver.example"])


def test_ten_megabytes_less_what_the_relay_adds(piping: Piping) -> None:
    piping.send(SENDER, ["big@receiver.example"], "big", (b"y" * 76 + b"\r\n") * 130_000)
    assert len(piping.receiver.wait_for("big", 60.0).content) > 10_140_000


def test_the_null_sender(piping: Piping) -> None:
    piping.send("", ["nobodys@receiver.example"], "from nobody")
    assert piping.receiver.wait_for("from nobody").sender == ""


def test_what_the_relay_refuses_is_returned_in_its_words(piping: Piping) -> None:
    piping.send(f"x@{ELSEWHERE}", ["never@receiver.example"], "never")
    piping.becomes("never@receiver.example", "dsn=5.7.1", "status=bounced", "554 Message rejected")
    piping.becomes(f"x@{ELSEWHERE}", "status=sent (delivered to mailbox)")
    text = " ".join((piping.relay.folder / "mail" / "all").read_text().split())
    assert "Email address is not verified. The following identities failed the check:" in text
    assert "Status: 5.7.1" in text


@pytest.mark.parametrize(
    ("domain", "sender", "code", "said"),
    [
        (FULL, f"a@{FULL}", "4.7.1", "454 Throttling failure: Daily message quota exceeded"),
        (UNKNOWN, SENDER, "4.7.0", "530 no such account: unknown"),
        (STOPPED, SENDER, "4.3.2", "no relay runs on"),
        (BROKEN, SENDER, "4.3.5", "nonsense"),
        (KEPT_OUT, SENDER, "4.7.0", "be root, the relay's user or in its group"),
        (GONE, SENDER, "4.3.0", "not found"),
        (TORN, SENDER, "4.3.0", ""),
        (KILLED, SENDER, "4.3.0", ""),
    ],
)
def test_what_is_not_the_messages_fault_waits(
    piping: Piping, domain: str, sender: str, code: str, said: str
) -> None:
    piping.send(sender, [f"a@{domain}"], f"waits for {domain}")
    piping.becomes(f"a@{domain}", f"dsn={code}", "status=deferred", said)
    if domain == STOPPED:
        piping.stopped.write_text(piping.relay.file.read_text())
        piping.stopped.chmod(0o644)
        for _ in range(3):
            flush = ["postqueue", "-c", str(piping.postfix.folder / "etc"), "-f"]
            subprocess.run(flush, check=True, timeout=30)
        assert piping.receiver.wait_for(f"waits for {domain}").recipients == [f"a@{domain}"]
