"""``relay trace`` beside real programs: swaks, openssl and Postfix come in, Postfix's sink takes mail."""

import json
import os
import signal
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.fakes.prepared import ACCOUNT, SENDER, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.programs import Pipes, Postfix, SmtpSink
from tests.scenarios.receiver import Receiver
from tests.scenarios.test_swaks_sends import login, swaks, tls

TO = "someone@receiver.example"


def settings(relay: RunningRelay) -> dict[str, str]:
    """What makes Postfix log in over STARTTLS."""
    login = f"{relay.prepared.username}:{relay.prepared.password}"
    return {
        "smtp_sasl_auth_enable": "yes",
        "smtp_sasl_security_options": "noanonymous",
        "smtp_sasl_password_maps": f"inline:{{ {{[localhost]:{relay.starttls} = {login}}} }}",
        "smtp_tls_security_level": "verify",
        "smtp_tls_CAfile": str(relay.folder / "tls.crt"),
        "smtp_tls_verify_cert_match": "hostname",
    }


class Watching:
    """A ``relay trace`` that runs."""

    def __init__(self, relay: RunningRelay, *words: str) -> None:
        before = relay.log().count("trace begins")
        self._file = relay.folder / f"trace-{before}"
        with self._file.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "relay", "trace", *words],
                env={**os.environ, "RELAY_CONFIG": str(relay.file)},
                cwd=Path(__file__).parents[2],
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        wait_until(lambda: relay.log().count("trace begins") > before, "the trace begins")

    def text(self) -> str:
        return self._file.read_text()

    def until(self, text: str) -> str:
        """All that was printed, once it has this."""
        wait_until(lambda: text in self.text(), f"{text!r} is seen, not only:\n{self.text()[-2000:]}")
        return self.text()

    def end(self, number: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def watching(relay: RunningRelay, *words: str) -> Iterator[Watching]:
    made = Watching(relay, *words)
    try:
        yield made
        assert made.end() == 0, made.text()
    finally:
        made.process.kill()
        made.process.wait()


def spoken(text: str, way: str) -> list[str]:
    """The lines of sessions of one way, without time and session."""
    return [line.split(maxsplit=2)[2] for line in text.splitlines() if line.split()[1].startswith(way)]


def test_swaks_by_client_and_the_sink_by_domain(start_relay: Callable[..., RunningRelay]) -> None:
    """Two at once, each of its own side; a login that fails and one that does not, and no password."""
    with SmtpSink() as sink, ExitStack() as stack:
        relay = start_relay(next_hop=sink.port, workers=1)
        by_client = stack.enter_context(watching(relay, "--client", "127.0.0.0/8"))
        by_site = stack.enter_context(watching(relay, "--site", "receiver.example"))
        by_nobody = stack.enter_context(watching(relay, "--client", "192.0.2.1"))
        wrong = ["--auth", "LOGIN", "--auth-user", relay.prepared.username, "--auth-password", "Tr0ub4dor&3"]
        assert swaks(relay, relay.starttls, "never", *tls(relay), *wrong).returncode != 0
        for mechanism in ("LOGIN", "PLAIN"):
            ended = swaks(relay, relay.starttls, mechanism, *tls(relay), *login(relay, mechanism))
            assert ended.returncode == 0, ended.stdout
        wait_until(lambda: by_client.text().count("S: 221") == 3, "three sessions are seen")
        wait_until(lambda: len(sink.received()) == 2, "the sink has both")
        wait_until(lambda: by_site.text().count("octets of content>") == 2, "both are seen leaving")
        by_site.until("S: 250 2.0.0 Ok")
        came, left = spoken(by_client.text(), "in"), spoken(by_site.text(), "out")
        assert len(came) == len(by_client.text().splitlines())  # and none that goes out
        assert len(left) == len(by_site.text().splitlines())
        for line in ("C: EHLO swaks.example", "C: STARTTLS", "C: AUTH LOGIN", "C: <credentials>", "C: DATA"):
            assert line in came
        assert came.count("C: AUTH PLAIN ***") == 1
        assert came.count("S: 535 5.7.8 Authentication Credentials Invalid") == 1
        assert sum(line.startswith("#  TLS: TLSv1.3 ") for line in came) == 3
        assert sum(line.startswith("S: 250 2.6.0 Ok ") for line in came) == 2
        for line in ("C: EHLO relay.test.example", "C: DATA", f"C: RCPT TO:<{TO}>"):
            assert line in left
        assert by_nobody.text() == ""
        seen = by_client.text() + by_site.text()
        for secret in (relay.prepared.password, "Tr0ub4dor&3"):
            assert secret not in seen
            assert b64encode(secret.encode()).decode() not in seen
        assert "This is a test mailing" not in seen  # what swaks writes into its mail
        assert "by=" in next(line for line in relay.log().splitlines() if "trace begins" in line)
    wait_until(lambda: relay.log().count("trace ends") == 3, "all traces have ended")


def test_postfix_by_account_in_and_out(shared_relay: RunningRelay, shared_receiver: Receiver) -> None:
    relay, main_cf = shared_relay, settings(shared_relay)
    with (
        watching(relay, "--account", ACCOUNT, "--json") as seen,
        Postfix(f"[localhost]:{relay.starttls}", main_cf) as postfix,
    ):
        ended = subprocess.run(
            [
                *("swaks", "--server", "127.0.0.1", "--port", str(postfix.port)),
                *("--from", SENDER, "--to", TO, "--header", "Subject: watched"),
            ],
            capture_output=True,
            timeout=60,
        )
        assert ended.returncode == 0, ended.stdout
        shared_receiver.wait_for("watched")
        wait_until(lambda: '"out' in seen.text() and "octets of content" in seen.text(), "both are seen")
        seen.until('"line": "QUIT"')
        lines: list[dict[str, Any]] = [json.loads(line) for line in seen.text().splitlines()]
    came = [one["line"] for one in lines if one["session"].startswith("in") and one["who"] == "C"]
    assert came[0].startswith("EHLO ")  # said before it was known whose session it is
    assert "AUTH PLAIN ***" in came
    assert any(line.startswith("MAIL FROM:<app@sender.example>") for line in came)
    assert relay.prepared.password not in seen.text()
    assert {one["session"][:2] for one in lines} == {"in", "ou"}


def test_openssl_at_the_wrapper_port_and_one_session_is_enough(
    shared_relay: RunningRelay, shared_receiver: Receiver
) -> None:
    relay = shared_relay
    with watching(relay, "--listener", f":{relay.wrapper}", "--count", "1") as seen:
        relay.send(message("elsewhere"))  # through another listener
        with Pipes(
            "openssl", "s_client", "-quiet", "-crlf", "-CAfile", str(relay.folder / "tls.crt"),
            "-connect", f"127.0.0.1:{relay.wrapper}",
        ) as client:  # fmt: skip
            client.hear_reply()
            for line in ("EHLO by.hand", "AUTH PLAIN", b64encode(b"\0someone\0hunter22").decode(), "\x1b[2J"):
                client.say(line)
                client.hear_reply()
            client.say("QUIT")
            client.hear_reply()
        assert seen.process.wait(30) == 0  # without a signal: it has seen one session to its end
        lines = spoken(seen.text(), "in")
    assert lines[1].startswith("#  TLS: TLSv1.3 ")
    assert [line for line in lines if line.startswith("C:")] == [
        "C: EHLO by.hand",
        "C: AUTH PLAIN",
        "C: <credentials>",
        "C: <4 octets that are no command>",
        "C: QUIT",
    ]
    assert lines[-1].startswith("#  closed")
    assert len({line.split()[1] for line in seen.text().splitlines()}) == 1


def test_a_trace_outlives_a_worker_and_ends_with_its_reader_and_with_the_relay(
    start_relay: Callable[..., RunningRelay], receiver: Receiver
) -> None:
    relay = start_relay(next_hop=receiver.port, workers=1)
    with watching(relay, "--client", "127.0.0.1") as seen:
        relay.send(message("one"))
        seen.until("S: 221")
        (old,) = relay.worker_pids()
        os.kill(old, signal.SIGKILL)
        wait_until(
            lambda: relay.worker_pids() not in ([], [old]) and relay.is_ready(), "another worker is ready"
        )

        def is_seen() -> bool:  # a session may begin before the new worker has heard of the trace
            relay.send(message("two"))
            return seen.text().count("S: 221") > 1

        wait_until(is_seen, "its sessions are seen")
        ended = relay.log().count("trace ends")
        second = Watching(relay, "--account", ACCOUNT)
        second.end(signal.SIGKILL)
        wait_until(lambda: relay.log().count("trace ends") > ended, "the supervisor knows that nobody reads")
        relay.send(message("nobody hangs on it"))
        assert receiver.wait_for("nobody hangs on it")
    third = Watching(relay, "--account", ACCOUNT)
    relay.stop()
    assert third.process.wait(30) == 1
    assert "the trace ended with the relay" in third.text()


def test_one_who_does_not_read_holds_up_nobody_and_is_told_what_he_missed(
    shared_relay: RunningRelay, shared_receiver: Receiver
) -> None:
    with watching(shared_relay, "--listener", f":{shared_relay.trusted}") as seen:
        seen.process.send_signal(signal.SIGSTOP)
        with socket.create_connection(("127.0.0.1", shared_relay.trusted), timeout=60) as client:
            replies = client.makefile("rb")
            for _ in range(20):
                client.sendall(b"NOOP\r\n" * 1000)
                for _ in range(1000):
                    replies.readline()
            client.sendall(b"QUIT\r\n")
            assert replies.read().endswith(b"221 Bye\r\n")
        seen.process.send_signal(signal.SIGCONT)
        left_out = int(seen.until(" lines left out").partition(" lines left out")[0].rpartition("… ")[2])
    assert left_out > 0
    assert seen.text().count("C: NOOP") < 20_000


def test_it_ends_when_its_time_is_over(shared_relay: RunningRelay) -> None:
    seen = Watching(shared_relay, "--site", "nowhere.example", "--for", "300ms")
    assert seen.process.wait(30) == 0
    assert seen.text() == ""
