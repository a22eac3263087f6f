"""``relay demo``: one real message from end to end on this machine, step by step.

It makes a first configuration in a folder (if there is none), starts the relay with it and a receiver on
loopback, submits a message through STARTTLS and AUTH LOGIN with the standard library's client, waits for the
receiver to get it, and lets dkimpy verify the signatures against the records that the relay says to publish.
Then it keeps serving, or ends with ``once``. Everything is real but the receiver, which keeps what it gets in
memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import smtplib
import ssl
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import dkim

from relay.base.clock import SystemClock
from relay.base.errors import RelayError
from relay.daemon import first
from relay.daemon.settings import config
from relay.daemon.supervisor import control
from relay.daemon.translate import load_service_keys
from relay.daemon.worker.receiver import HOST, Receiver
from relay.directory import keys
from relay.directory.accounts import UNLIMITED
from relay.directory.store import Directory

ACCOUNT, DOMAIN = "demo", "demo.example"
SENDER, RECIPIENT = f"hello@{DOMAIN}", "someone@receiver.example"

_ROUTE = """
[[route]]                 # the demonstration's receiver; remove this table to deliver by MX
domain = "*"
next_hop = "{host}:{port}"
tls = "none"
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens on loopback."""

    starttls: int = 2587
    wrapper: int = 2465
    receiver: int = 2526
    metrics: int = 9125


DEFAULT_PORTS = Ports()


@dataclass(frozen=True, slots=True)
class Login:
    """What the demonstration logs in with."""

    username: str
    password: str


def prepare(folder: Path, ports: Ports) -> tuple[config.Config, Login]:
    """The configuration in the folder, made if there is none, and a login for it."""
    file = folder / "relay.toml"
    if not file.exists():
        first.make(
            folder,
            first.Choices(
                "relay.demo.example",
                (f"{HOST}:{ports.starttls}",),
                (f"{HOST}:{ports.wrapper}",),
                f"{HOST}:{ports.metrics}",
                _ROUTE.format(host=HOST, port=ports.receiver),
            ),
        )
    settings = config.load(file)
    section = settings.directory
    directory = Directory(section.url, section.key_file, section.region)
    try:
        if ACCOUNT not in {account.name for account in directory.accounts.list()}:
            directory.accounts.create(
                ACCOUNT, f"postmaster@{DOMAIN}", max_send_rate=UNLIMITED, max_24_hours=UNLIMITED
            )
            directory.identities.add(ACCOUNT, DOMAIN, algorithms=(keys.RSA, keys.ED25519), is_verified=True)
        note = folder / "demo-login.json"
        if not note.exists():
            for credential, _ in directory.credentials.list(ACCOUNT):
                directory.credentials.delete(credential.key_id)
            made = directory.credentials.create(ACCOUNT)
            descriptor = os.open(note, os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                json.dump({"username": made.smtp_username, "password": made.smtp_password}, stream)
        login = Login(**json.loads(note.read_text()))
    finally:
        directory.close()
    return settings, login


def published(settings: config.Config) -> dict[str, str]:
    """The DKIM records that the relay says to publish: name to text."""
    section = settings.directory
    directory = Directory(section.url, section.key_file, section.region)
    try:
        signing = (*directory.identities.signing_keys(DOMAIN, ACCOUNT), *load_service_keys(settings))
    finally:
        directory.close()
    return {key.record_name: keys.public_record(key) for key in signing}


def submit(settings: config.Config, login: Login, port: int, text: str) -> str:
    """Send one message as an application would; returns the reply to its dot. Blocks."""
    assert settings.tls.certificate is not None
    context = ssl.create_default_context(cafile=str(settings.tls.certificate))
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, RECIPIENT, "The first message"
    message.set_content(text)
    with smtplib.SMTP("localhost", port, timeout=30) as client:
        client.starttls(context=context)
        client.ehlo()
        client.user, client.password = login.username, login.password
        client.auth("LOGIN", client.auth_login, initial_response_ok=False)
        client.mail(SENDER)
        client.rcpt(RECIPIENT)
        code, reply = client.data(message.as_bytes(policy=SMTP))
    if code != 250:
        raise RelayError(f"the relay answered {code} {reply.decode()}")
    return reply.decode()


def verify(content: bytes, records: dict[str, str]) -> list[tuple[str, bool]]:
    """dkimpy's word on each signature of a message: (domain and selector, whether it verifies)."""

    def look_up(name: bytes, timeout: float = 5) -> bytes | None:
        text = records.get(name.decode().rstrip("."))
        return text.encode() if text else None

    results = []
    count = content.lower().count(b"dkim-signature:")
    for index in range(count):
        judge = dkim.DKIM(content, minkey=1024)
        try:
            is_good = bool(judge.verify(idx=index, dnsfunc=look_up))
        except dkim.DKIMException:
            is_good = False
        signer = (
            f"{judge.domain.decode()}/{judge.selector.decode()}" if judge.domain else f"signature {index}"
        )
        results.append((signer, is_good))
    return results


async def _until_ready(settings: config.Config, process: asyncio.subprocess.Process, log: Path) -> None:
    for _ in range(300):
        if process.returncode is not None:
            raise RelayError(f"the relay ended with status {process.returncode}; see {log}")
        try:
            answer = await control.ask(settings.spool.path, "status", 5.0)
            if all(answer["ready"].values()):
                return
        except RelayError:
            pass
        await asyncio.sleep(0.1)
    raise RelayError(f"the relay was not ready within 30 s; see {log}")


async def run(
    folder: Path, *, once: bool, say: Callable[[str], None], ports: Ports = DEFAULT_PORTS
) -> dict[str, Any]:
    """The demonstration; returns what the last line tells. Raises RelayError if a step failed."""
    clock = SystemClock()
    settings, login = await asyncio.to_thread(prepare, folder, ports)
    say(f"configuration  {settings.path}")
    async with AsyncExitStack() as stack:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        loop.add_signal_handler(signal.SIGTERM, task.cancel)  # else the relay would outlive us
        stack.callback(loop.remove_signal_handler, signal.SIGTERM)
        receiver = Receiver(ports.receiver)
        await receiver.start(stack)
        log = await asyncio.to_thread((folder / "relay.log").open, "ab")
        stack.callback(log.close)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "relay",
            "--config",
            str(settings.path),
            "run",
            stderr=log,
            start_new_session=True,  # a Ctrl-C is for us; the relay hears one SIGTERM then, not two signals
        )
        stack.push_async_callback(_end, process)
        await _until_ready(settings, process, folder / "relay.log")
        say(f"running        pid {process.pid}, log {folder / 'relay.log'}")
        started = clock.monotonic()
        reply = await asyncio.to_thread(submit, settings, login, ports.starttls, "It works.\n")
        accepted_ms = (clock.monotonic() - started) * 1000
        message_id = reply.rpartition("Ok ")[2]
        say(f"accepted       {message_id} in {accepted_ms:.1f} ms, from connect to 250")
        async with asyncio.timeout(30):
            got = await receiver.received.get()
        delivered_ms = (clock.monotonic() - started) * 1000
        results = await asyncio.to_thread(verify, got.content, await asyncio.to_thread(published, settings))
        for signer, is_good in results:
            say(f"signed         {signer}: {'verified by dkimpy' if is_good else 'DOES NOT VERIFY'}")
        say(f"delivered      to {got.envelope.recipients[0].address}, {delivered_ms:.1f} ms after the start")
        is_pass = bool(results) and all(is_good for _, is_good in results)
        result = {
            "message_id": message_id,
            "delivered": message_id.encode() in got.content,
            "dkim": "pass" if is_pass else "fail",
            "accepted_ms": round(accepted_ms, 1),
            "delivered_ms": round(delivered_ms, 1),
        }
        if not once:
            say(_hints(settings, login, ports))
            status = await process.wait()
            raise RelayError(f"the relay ended with status {status}; see {folder / 'relay.log'}")
        return result


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(60):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _hints(settings: config.Config, login: Login, ports: Ports) -> str:
    certificate = settings.tls.certificate
    return f"""
It keeps serving; Ctrl-C ends it. To paste:

swaks --server {HOST}:{ports.starttls} --tls --tls-ca-path {certificate} --auth LOGIN \\
      --auth-user {login.username} --auth-password {login.password} \\
      --from {SENDER} --to {RECIPIENT}

openssl s_client -connect {HOST}:{ports.starttls} -starttls smtp -crlf -quiet -CAfile {certificate}
openssl s_client -connect {HOST}:{ports.wrapper} -crlf -quiet -CAfile {certificate}

Postfix, main.cf:
  relayhost = [{HOST}]:{ports.starttls}
  smtp_sasl_auth_enable = yes
  smtp_sasl_security_options = noanonymous
  smtp_sasl_password_maps = inline:{{ {{[{HOST}]:{ports.starttls} = {login.username}:{login.password}}} }}
  smtp_tls_security_level = encrypt

relay --config {settings.path} status
relay --config {settings.path} queue list
curl http://{HOST}:{ports.metrics}/metrics"""
