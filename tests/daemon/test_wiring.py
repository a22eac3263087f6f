"""One worker's works, joined, started in this process; and a configuration taken over."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from relay.base.clock import SystemClock
from relay.base.errors import ConfigError, DirectoryError, Refused, SpoolError
from relay.base.events import EventKind, Logged
from relay.base.log import SilentLog
from relay.base.message import Client, Envelope, Recipient, Submission
from relay.base.route import Host, Route
from relay.base.suppression import Listed, SuppressionReason
from relay.daemon.settings.config import load
from relay.daemon.worker.wiring import Logins, Works
from relay.directory.records import Credential, Suspended
from relay.ingress.connections import LocalTally
from relay.spool import views
from relay.spool.event_log import EventLog
from relay.transport.simulator import ROUTE as SIMULATOR
from relay.verdict.delay import DelayNotices
from tests.daemon.conftest import Started
from tests.fakes.prepared import ACCOUNT, SENDER


async def greeting(started: Started, number: int = 2) -> bytes:
    sock = started.works.listeners[number]._sockets[0]
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line


async def test_everything_is_joined(started: Started) -> None:
    assert await greeting(started) == b"220 relay.test.example ESMTP\r\n"
    message_id = await started.submit()
    assert message_id.endswith("-000001")
    assert started.works.counters.accepted == 1


async def test_the_promise_outlives_the_works(file: Path) -> None:
    for accepted in (True, False):
        config = load(file)
        works = Works(config, 0, SystemClock(), SilentLog())
        async with AsyncExitStack() as stack:
            await works.start(stack, [[], [], []], LocalTally(), [])
            if accepted:
                await Started(works, "", file).submit()
            else:
                assert works.shards[1].waiting_found == 1


async def test_a_shard_has_one_owner(started: Started) -> None:
    works = Works(started.works.config, 0, SystemClock(), SilentLog())
    async with AsyncExitStack() as stack:
        with pytest.raises(SpoolError, match="in use by another process"):
            await works.start(stack, [[], [], []], LocalTally(), [])


async def test_a_new_configuration_is_in_force_at_once(started: Started) -> None:
    works = started.works
    config = started.changed(
        ("recipients = 50", "recipients = 3\nmessage_size = '1 KB'\nmax_hops = 20"),
        (
            "[workers]",
            "[delivery]\nmax_age = '1h'\nretry_schedule = ['7s']\nwindow = 100\n"
            "delay_notice = 'asked'\ndelay_notice_after = '9m'\n[workers]",
        ),
        ('["127.0.0.0/8"]', '["10.0.0.0/8"]'),
        ("[signing]", "[signing]\nreturn_path = 'relay'\nreturn_path_domain = 'Bounces.relay.example'"),
    )
    assert works.policy.return_path_domain == ""
    works.take_over(works.plan(config))
    assert [one.settings.max_recipients for one in works.listeners] == [3, 3, 3]
    assert {one.max_age_s for one in works.intakes.values()} == {3600.0}
    assert {one.max_hops for one in works.intakes.values()} == {20}
    assert works.outbound.settler.telling.notices == DelayNotices(540.0, is_unasked=False)
    assert works.outbound.scheduler.window.size == 100
    assert list(works.outbound.settler.schedule.delays_s) == [7.0]
    assert works.policy.return_path_domain == "bounces.relay.example"
    assert b"220" not in await greeting(started)  # loopback is no longer trusted
    assert works.config is config


async def test_rules_of_shaping_are_in_force_at_once(started: Started) -> None:
    works = started.works
    file = started.works.config.path.parent / "shaping.toml"
    route = Route("mx:mx.example.org", (Host("mx.example.org"),))
    queue = works.outbound.scheduler.lanes.at(route)
    assert queue.control.rule.name == ""
    file.write_text('[[rule]]\nname = "small"\nmx = ["*.example.org"]\nconnections = 1\nrate = "1/s"\n')
    works.take_over(works.plan(started.changed()))
    assert (queue.control.rule.name, queue.control.rule.rate_per_s) == ("small", 1.0)
    file.write_text('[[rule]]\nname = "small"\nmx = ["*.example.org"]\nconections = 1\n')
    with pytest.raises(ConfigError, match=r"shaping\.toml: .*did you mean 'connections'"):
        works.plan(started.changed())
    assert queue.control.rule.rate_per_s == 1.0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (f'account = "{ACCOUNT}"', 'account = "gone"', "relay account create gone"),
        ("service.pem", "gone.pem", r"\[\[signing.service_key\]\] file: "),
        ("tls.crt", "gone.crt", r"\[tls\] certificate: "),
        ('domain = "*"', 'domain = "ex ample"', r'\[\[route\]\] domain "ex ample"'),
    ],
)
async def test_a_wrong_one_changes_nothing(started: Started, old: str, new: str, said: str) -> None:
    works = started.works
    before: dict[str, Any] = {
        "config": works.config,
        "signer": works.signing.current,
        "schedule": works.outbound.settler.schedule,
        "listeners": [one.settings for one in works.listeners],
    }
    config = started.changed((old, new), ("recipients = 50", "recipients = 3"))
    with pytest.raises(ConfigError, match=said):
        works.plan(config)
    assert before == {
        "config": works.config,
        "signer": works.signing.current,
        "schedule": works.outbound.settler.schedule,
        "listeners": [one.settings for one in works.listeners],
    }


async def test_a_certificate_that_breaks_at_the_last_moment_stops_nothing(
    started: Started, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plan = started.works.plan(started.changed(("recipients = 50", "recipients = 3")))
    assert plan.config.tls.certificate is not None
    assert started.works.certificate is not None
    monkeypatch.setattr(started.works.certificate, "_chain", Path("/nonexistent"), raising=True)
    started.works.take_over(plan)
    assert started.works.listeners[0].settings.max_recipients == 3
    assert "certificate not taken over; the old one is in use" in caplog.text


async def test_a_paused_account_is_refused_through_all_stages(started: Started) -> None:
    directory = started.works.directory
    directory.accounts.pause(ACCOUNT, "a test")
    await started.works.live.poll()
    with pytest.raises(Refused):
        await started.submit()


class Live:
    """A snapshot that knows one login."""

    def __init__(self, is_stale: bool) -> None:
        self.is_stale = is_stale
        self.current = self

    def authenticate(self, username: str, password: str) -> Credential | None:
        return Credential("KNOWN", 1) if username == "known" else None


def test_while_the_directory_cannot_be_read_an_unknown_login_is_temporary() -> None:
    used: list[str] = []
    stale, fresh = (Logins(Live(is_stale), used.append) for is_stale in (True, False))  # type: ignore[arg-type]
    assert stale.authenticate("known", "x") == Credential("KNOWN", 1)
    assert fresh.authenticate("unknown", "x") is None
    with pytest.raises(DirectoryError):
        stale.authenticate("unknown", "x")
    assert used == ["KNOWN"]


async def test_the_simulator_goes_where_the_service_domain_goes(started: Started) -> None:
    works = started.works
    assert await works.outbound.router.find("simulator.relay.test.example") is SIMULATOR
    config = started.changed(('service_domain = "relay.test.example"', 'service_domain = "other.example"'))
    works.take_over(works.plan(config))
    assert await works.outbound.router.find("simulator.other.example") is SIMULATOR
    assert await works.outbound.router.find("simulator.relay.test.example") is not SIMULATOR


async def test_what_the_operator_suspends_is_parked_and_what_he_resumes_leaves(started: Started) -> None:
    works = started.works
    scheduler = works.outbound.scheduler
    works.directory.suspensions.add(Suspended.DOMAIN, "receiver.example", "a test")
    assert await works.live.poll()
    await started.submit()
    async with asyncio.timeout(20):
        while not (waits := list(views.list_messages(works.config.spool.path))) or scheduler.window.held:
            await asyncio.sleep(0.01)
    assert [(one.state, one.attempts) for one in waits] == [("parked", 0)]
    assert waits[0].reply == "domain receiver.example is suspended: a test"
    works.directory.suspensions.remove(Suspended.DOMAIN, "receiver.example")
    assert await works.live.poll()
    async with asyncio.timeout(20):
        while not works.outbound.settler.deferred:  # it was tried: nobody is there
            await asyncio.sleep(0.01)


async def test_whether_mail_is_kept_back_is_asked_once_and_not_guessed(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = started.works
    entry = Listed("gone@receiver.example", SuppressionReason.BOUNCE, works.clock.now())
    works.directory.suppression.put([(1, entry)])
    async with asyncio.timeout(20):
        while not works.suppression_lists.entries:
            await asyncio.sleep(0.01)

    async def submit(*names: str, size: int = 10) -> str:
        content = f"From: {SENDER}\r\nSubject: x\r\n\r\n{'x' * 70}\r\n".encode() * (1 + size // 70)
        to = [Recipient(n, f"{name}@receiver.example", "receiver.example") for n, name in enumerate(names)]
        return (await works.intakes[1].accept(Submission(1, Envelope(SENDER, to), content, Client()))).id

    def gone(_: object, after: float) -> None:
        raise DirectoryError("out of reach")

    with monkeypatch.context() as patch:
        patch.setattr(works.directory.suppression, "find", gone)
        with pytest.raises(Refused) as caught:
            await submit("fine", "Gone")
        assert caught.value.reply.code == 451
        await submit("fine")  # who is known not to be listed
    assert works.counters.accepted == 1
    for size in (10, 1_200_000):  # the second is looked at in a thread
        message_id = await submit("fine", "Gone", size=size)
        async with asyncio.timeout(20):
            while not any(one.event.kind is EventKind.BOUNCE for one in told(started, message_id)):
                await asyncio.sleep(0.01)
        (bounce,) = [one for one in told(started, message_id) if one.event.kind is EventKind.BOUNCE]
        detail = json.loads(bounce.event.detail)
        assert (detail["recipient"], detail["source"]) == ("Gone@receiver.example", "suppression-list")
    assert works.suppression.suppressed == 2


def told(started: Started, message_id: str) -> list[Logged]:
    log = EventLog(started.works.config.spool.path)
    try:
        return log.of_message(message_id)
    finally:
        log.close()
