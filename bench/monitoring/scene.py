"""A relay with mail of every kind, so that what watches it has something to see.

Two receivers, one of which speaks TLS and one that refuses some and puts off others; one that is down, a
domain whose name server fails; clients that log in, and one that has a wrong password; an account with limits
that is told of everything at a webhook; a reload.
"""

from __future__ import annotations

import smtplib
import ssl
import threading
from contextlib import ExitStack, closing, suppress
from itertools import count
from pathlib import Path

from relay.directory.notifying import TOLD
from tests.fakes.authority import Authority
from tests.fakes.dns import FakeDns
from tests.fakes.endpoint import Endpoint
from tests.fakes.prepared import ACCOUNT, DOMAIN, SENDER, Port, Prepared, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.receiver import LoopThread, Receiver

_GOOD, _MOODY, _DEAD = "127.0.0.2", "127.0.0.3", "127.0.0.4"
_ZONE = {
    DOMAIN: {"MX": ["10 good.mx.example."]},
    "good.example": {"MX": ["10 good.mx.example."]},
    "moody.example": {"MX": ["10 moody.mx.example."]},
    "down.example": {"MX": ["10 dead.mx.example."]},
    "broken.example": "SERVFAIL",
    "good.mx.example": {"A": [_GOOD]},
    "moody.mx.example": {"A": [_MOODY]},
    "dead.mx.example": {"A": [_DEAD]},
}
_MOODS = {
    "RCPT gone@moody.example": "550 5.1.1 nobody of that name",
    "RCPT later@moody.example": "451 4.2.0 try again",
}
RECIPIENTS = (
    *("someone@good.example", "other@good.example", "someone@moody.example", "later@moody.example"),
    *("gone@moody.example", "someone@down.example", "someone@broken.example"),
)


class Scene:
    """See above. What is started ends with the stack; ``sent`` counts messages that were promised."""

    def __init__(self, folder: Path, prepared: Prepared, stack: ExitStack) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.sent = 0
        self._is_over = threading.Event()
        names = LoopThread()
        stack.callback(names.end)
        dns = names.run(_enter(FakeDns(dict(_ZONE))))
        stack.callback(lambda: names.run(dns.__aexit__()))
        authority = Authority(folder)
        endpoint = stack.enter_context(Endpoint(authority))
        good, moody, dead = _same_port(_GOOD, _MOODY, _DEAD)
        stack.callback(dead.free)
        receiver = Receiver(good, _GOOD)
        receiver.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        receiver.tls.load_cert_chain(*authority.issue("good.mx.example"))
        receiver.extensions.append("STARTTLS")
        stack.enter_context(receiver)
        stack.enter_context(Receiver(moody, _MOODY)).replies.update(_MOODS)
        self.relay = RunningRelay(
            folder / "relay",
            prepared,
            delivery=f'resolver = "{dns.address}"\nresolver_timeout = "1s"\nport = {good.number}\n'
            "mta_sts = false",
            retry='["3s"]',
            more=f'[notifications]\nprivate_addresses = "allow"\nca_file = "{authority.file}"\n',
        )
        with closing(self.relay.directory()) as directory:
            directory.topics.create(ACCOUNT, "hook", endpoint.url)
            directory.notifications.set(DOMAIN, topics=dict.fromkeys(TOLD, "hook"))
            directory.accounts.set(ACCOUNT, max_send_rate=1000, max_24_hours=1_000_000)
        stack.enter_context(self.relay)
        self._threads = [threading.Thread(target=self._send, args=(n,), daemon=True) for n in range(2)]
        stack.callback(self.stop)

    def begin(self) -> None:
        """Send until ``stop``."""
        self.relay.ask("reload")
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send no more."""
        self._is_over.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(60)

    def wait_for(self, messages: int, timeout_s: float = 100.0) -> None:
        """Until so many messages were promised."""
        wait_until(lambda: self.sent >= messages, f"{messages} messages are promised", timeout_s)

    def _send(self, number: int) -> None:
        """A session for each few messages, so that both workers get some; fifty messages a second."""
        for round_number in count():
            if self._is_over.is_set():
                return
            with suppress(smtplib.SMTPException, OSError), self.relay.client() as client:
                for place in range(len(RECIPIENTS)):
                    to = RECIPIENTS[(place + number) % len(RECIPIENTS)]
                    client.sendmail(SENDER, [to], message(f"{number}-{self.sent}", to=to))
                    self.sent += 1
                    self._is_over.wait(0.04)
                client.sendmail(
                    "app@stranger.example", [RECIPIENTS[0]], message(sender="app@stranger.example")
                )
            if number == 0 and round_number % 20 == 0:  # seldom: who fails often is put off, whoever he is
                with suppress(smtplib.SMTPException, OSError), self.relay.connect() as client:
                    client.login(self.relay.prepared.username, "wrong")


async def _enter(dns: FakeDns) -> FakeDns:
    return await dns.__aenter__()


def _same_port(*hosts: str) -> list[Port]:
    for _ in range(50):
        ports = [Port(hosts[0])]
        try:
            ports += [Port(host, ports[0].number) for host in hosts[1:]]
        except OSError:
            for port in ports:
                port.free()
            continue
        return ports
    raise AssertionError("no port is free at all addresses")
