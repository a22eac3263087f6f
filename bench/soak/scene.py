"""The relay of a soak, its accounts, and all that is around it: receivers, names, a topic, an authority.

It is the rig of the crash tests with everything switched on that runs in a normal life: STARTTLS, TLS from
the first byte, AUTH, signatures of identity and service in RSA and Ed25519, return paths of its own with an
inbound listener, shaping, MX records beside routes, limits that are met, a topic. Temporary files of the
relay go to a folder where what is forgotten is found.
"""

from __future__ import annotations

import os
import shutil
import ssl
from contextlib import AsyncExitStack, closing
from pathlib import Path

from bench.soak.clients import Way
from bench.soak.mails import BY_NAME, LATER, MOODY, NOBODY, SENDERS
from relay.directory import keys
from tests.crash import mail
from tests.crash.rig import ACCOUNT, Rig, SinkProcess
from tests.crash.rounds import Topic
from tests.fakes.authority import Authority
from tests.fakes.dns import FakeDns
from tests.fakes.prepared import Port

_SERVICE, _BOUNCES = "service.example", "bounces.example"
_SHAPING = """
[[rule]]
name = "narrow"
next_hop = ["127.0.0.1:{port}"]
connections = 2
messages_per_connection = 20
rate = "{rate}/s"
"""
_SECTIONS = """
[[listener]]
address = "127.0.0.1:{starttls}"
tls = "starttls"
[[listener]]
address = "127.0.0.1:{wrapper}"
tls = "wrapper"
[[listener]]
address = "127.0.0.1:{inbound}"
role = "inbound"
[tls]
certificate = "tls.crt"
private_key = "tls.key"
[signing]
service_domain = "{service}"
return_path = "relay"
return_path_domain = "{bounces}"
[[signing.service_key]]
selector = "service"
file = "service.pem"
[log]
level = "warning"
{topic}"""


class Scene:
    """See above. What is started ends with the stack."""

    def __init__(self, folder: Path, stack: AsyncExitStack, seed: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.accepted, self.arrived = folder / "accepted", folder / "arrived"
        self._stack, self._seed = stack, seed
        self._held = [Port() for _ in range(6)]
        for held in self._held:
            stack.callback(held.free)
        numbers = [held.number for held in self._held]
        self.starttls, self.wrapper, self.inbound, self.metrics, self._narrow_port, self._gone = numbers
        self.topic = Topic(folder, seed, stack)
        self._authority = Authority(folder, "Soak CA")
        self.tls = ssl.create_default_context(cafile=str(self._authority.file))
        self.narrow: SinkProcess | None = None

    async def start(self, workers: int, rate: float) -> None:
        """Everything but the relay itself runs then, and the relay could."""
        chain, key = (str(file) for file in self._authority.issue("mx.example"))
        words = ("--chain", chain, "--key", key)
        self.main = await self._receiver(*words)
        self.moody = await self._receiver(*words)
        self.main.behave("wild")
        address = {"A": ["127.0.0.1"]}
        names = {BY_NAME: {"MX": ["10 mx.byname.example."]}, "mx.byname.example": address}
        self.dns = await self._stack.enter_async_context(FakeDns(names))
        self.rig = self._stack.enter_context(self._relay(workers))
        self.issue()
        (self.rig.folder / "service.pem").write_bytes(keys.generate(keys.ED25519))
        (self.rig.folder / "shaping.toml").write_text(
            _SHAPING.format(port=self._narrow_port, rate=max(10, round(rate)))
        )
        self.ways = self._accounts(rate)
        self.topic.is_told_by(self.rig)
        await self.topic.comes_or_goes()

    def _relay(self, workers: int) -> Rig:
        folder = self.folder / "relay"
        (folder / "tmp").mkdir(parents=True)
        ordinary = (*mail.DOMAINS, NOBODY, LATER, *(one.domain for one in SENDERS))
        hops = [(domain, self.main.port, "opportunistic") for domain in ordinary]
        hops += [
            (mail.NARROW, self._narrow_port, "none"),
            (mail.GONE, self._gone, "none"),
            (MOODY, self.moody.port, "opportunistic"),
        ]
        return Rig(
            folder,
            self.main.port,
            workers=workers,
            routes="".join(
                f'[[route]]\ndomain = "{domain}"\nnext_hop = "127.0.0.1:{port}"\ntls = "{tls}"\n'
                for domain, port, tls in hops
            ),
            delivery=f"""retry_schedule = ["1s", "2s"]
site_retry = "1s"
site_retry_max = "2s"
connect_timeout = "3s"
reply_timeout = "5s"
idle = "5s"
resolver = "{self.dns.address}"
port = {self.main.port}
private_addresses = "allow"
""",
            sections=_SECTIONS.format(
                starttls=self.starttls,
                wrapper=self.wrapper,
                inbound=self.inbound,
                service=_SERVICE,
                bounces=_BOUNCES,
                topic=self.topic.section.replace('"1s"', '"5s"'),  # others use the machine too
            ),
            metrics=f"127.0.0.1:{self.metrics}",
            environment={"TMPDIR": str(folder / "tmp")},
        )

    def _accounts(self, rate: float) -> list[Way]:
        """Make them; how their clients come in."""
        ports = {"plain": self.rig.port, "starttls": self.starttls, "wrapper": self.wrapper}
        ways = []
        with closing(self.rig.directory()) as directory:
            for one in SENDERS:
                if one.account != ACCOUNT:
                    limit = one.rate_share * rate if one.rate_share > 0 else -1
                    directory.accounts.create(
                        one.account,
                        f"postmaster@{one.domain}",
                        max_send_rate=limit,
                        max_24_hours=-1,
                        over_quota=one.over_quota,
                    )
                    directory.identities.add(
                        one.account, one.domain, algorithms=(keys.RSA, keys.ED25519), is_verified=True
                    )
                login = None
                if any(not name.startswith("plain") for name in one.connections):
                    made = directory.credentials.create(one.account)
                    login = (made.smtp_username, made.smtp_password)
                for name in one.connections:
                    tls, _, once = name.partition("-")
                    ways.append(Way(ports[tls], tls, not once, one.address, login))
        return ways

    async def _receiver(self, *words: str) -> SinkProcess:
        self._seed += 1
        seed = ("--seed", str(self._seed))
        return await SinkProcess.start(self.arrived, self._stack, *seed, *words, module="bench.soak.receiver")

    def issue(self) -> None:
        """A new certificate of the relay, of the same authority."""
        for made, name in zip(self._authority.issue("localhost"), ("tls.crt", "tls.key"), strict=True):
            shutil.copy(made, self.rig.folder / f"{name}.new")
            os.replace(self.rig.folder / f"{name}.new", self.rig.folder / name)

    async def narrow_comes_or_goes(self) -> None:
        """The narrow receiver is there again, and wild, or there no more."""
        if self.narrow is None:
            self.narrow = await self._receiver("--port", str(self._narrow_port))
            self.narrow.behave("wild")
        else:
            await self.narrow.end()
            self.narrow = None

    async def calm(self) -> None:
        """All receivers are there and well-behaved."""
        if self.narrow is None:
            await self.narrow_comes_or_goes()
        assert self.narrow is not None
        for one in (self.main, self.moody, self.narrow):
            one.behave("calm")
        await self.topic.comes_back()
