"""The pools with real connections to a scripted peer, and a stand-in for traffic and verdict."""

import asyncio
import time
from collections import deque
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from relay.base.errors import SpoolCorrupt
from relay.base.outcome import Delivered, Failed, Reason, Scope
from relay.base.route import Host, LaneLimits, Route
from relay.transport.answers import Answer, Status
from relay.transport.pool import Pools
from relay.transport.settings import PoolSettings, SessionSettings
from relay.transport.tls_policy import TlsContexts
from tests.fakes.clock import ManualClock
from tests.transport.peers import BODY, DROP, SILENT, ScriptedPeer, make_attempt


class Queue:
    """Traffic and verdict in one: attempts by site, what became of them, and the pools that it wakes."""

    def __init__(self):
        self.attempts = {}
        self.outcomes = []
        self.dots = []
        self.failed = []
        self.up = []
        self.refused = []
        self.changed = asyncio.Event()
        self.content_gate = asyncio.Event()
        self.content_gate.set()
        self.content_fails = None  # the exception to raise
        self.pools = None
        self.taken = 0

    def take(self, site):
        waiting = self.attempts.get(site)
        if not waiting:
            return None
        self.taken += 1
        return waiting.popleft()

    async def content(self, attempt):
        await self.content_gate.wait()
        if self.content_fails is not None:
            raise self.content_fails
        return BODY

    def before_dot(self, attempt):
        self.dots.append(attempt)

    def finished(self, attempt, outcomes):
        assert set(outcomes) == {r.number for r in attempt.recipients}
        self.outcomes.append((attempt, outcomes))
        self.changed.set()

    def site_failed(self, site, outcome):
        assert outcome.scope is Scope.SITE
        self.failed.append((site, outcome))
        self.changed.set()

    def crowded(self, site, outcome, open_):
        self.refused.append((site, outcome.reason, open_))

    def site_up(self, site):
        self.up.append(site)

    def put(self, route, count=1, **more):
        for _ in range(count):
            waiting = self.attempts.setdefault(route.site, deque())
            waiting.append(make_attempt(site=route.site, **more))
            self.pools.wake(route, len(waiting))

    async def until(self, condition):
        async with asyncio.timeout(20):
            while not condition():
                self.changed.clear()
                try:
                    async with asyncio.timeout(0.01):
                        await self.changed.wait()
                except TimeoutError:
                    pass

    async def settled(self, count):
        await self.until(lambda: len(self.outcomes) >= count)
        return [next(iter(o.values())) for _, o in self.outcomes]


class Addresses:
    """A DNS of a dict; literals are their own address."""

    def __init__(self, **known):
        self.known = known

    async def addresses(self, host):
        found = self.known.get(host, (host,) if host[0].isdigit() else ())
        return Answer(Status.FOUND if found else Status.EMPTY, addresses=tuple(found), detail=f"no {host}")


@asynccontextmanager
async def pooling(addresses=None, session=None, **settings):
    queue = Queue()
    pools = Pools(
        queue,
        addresses or Addresses(),
        TlsContexts(),
        PoolSettings(**settings),
        SessionSettings("me.example", **(session or {})),
        ManualClock(),
        shuffle=lambda hosts: None,
    )
    queue.pools = pools
    async with AsyncExitStack() as stack:
        await pools.start(stack)
        yield pools, queue
    assert (pools.open, pools.idle, pools.places.taken, len(pools.tasks)) == (0, 0, 0, 0)


def site(peer, number=0):
    return Route(f"hop:{number}", (peer.host(),))


async def test_messages_share_connections_and_none_is_lost():
    async with ScriptedPeer() as peer, pooling(connections_per_site=3) as (pools, queue):
        queue.put(site(peer), 50)
        outcomes = await queue.settled(50)
        assert {type(o) for o in outcomes} == {Delivered}
        assert 1 <= peer.connections <= 3
        assert pools.opened_total == peer.connections
        assert queue.up == ["hop:0"]
        assert len(queue.dots) == 50


async def test_an_idle_connection_is_used_again():
    async with ScriptedPeer() as peer, pooling() as (pools, queue):
        for count in range(1, 4):
            queue.put(site(peer))
            await queue.settled(count)
            await queue.until(lambda: pools.idle == 1)
        assert peer.connections == 1


async def test_an_idle_connection_leaves_with_quit():
    async with ScriptedPeer() as peer, pooling(idle_s=0.05) as (pools, queue):
        queue.put(site(peer))
        await queue.until(lambda: pools.closed_total == 1 and not pools.places.taken)
        assert peer.commands[-1] == "QUIT"
        queue.put(site(peer))
        await queue.settled(2)
        assert peer.connections == 2


async def test_a_connection_ends_after_its_messages():
    async with (
        ScriptedPeer() as peer,
        pooling(connections_per_site=1, messages_per_connection=5) as (_, queue),
    ):
        queue.put(site(peer), 12)
        await queue.settled(12)
        await queue.until(lambda: peer.connections == 3)
        assert peer.commands.count("QUIT") == 2


async def test_what_connections_carried_is_counted():
    async with (
        ScriptedPeer() as peer,
        pooling(connections_per_site=1, messages_per_connection=5) as (pools, queue),
    ):
        queue.put(site(peer), 12)
        await queue.settled(12)
        await queue.until(lambda: pools.closed_total == 2)
        assert pools.reused_total == 12 - 3
        assert (pools.carried.count, pools.carried.sum) == (2, 10)
        assert pools.connect_seconds.count == 3
        assert pools.tls_versions == {"TLSv1.2": 0, "TLSv1.3": 0, "other": 0, "none": 3}


async def test_a_site_not_known_to_be_up_gets_one_connection_first():
    async with ScriptedPeer({"GREETING": SILENT}) as peer, pooling() as (pools, queue):
        queue.put(site(peer), 10)
        await queue.until(lambda: peer.connections == 1)
        assert pools.places.taken == 1


async def test_a_site_none_of_whose_hosts_answers_has_failed():
    async with ScriptedPeer({"GREETING": "554 5.3.2 go away"}) as peer, pooling() as (pools, queue):
        queue.put(site(peer), 3)
        await queue.until(lambda: queue.failed)
        ((name, outcome),) = queue.failed
        assert (name, outcome.reason, outcome.reply.code) == ("hop:0", Reason.GREETING, 554)
        assert queue.taken == 0
        await queue.until(lambda: not pools.places.taken)
        assert queue.up == []


async def test_the_next_host_is_tried_when_the_first_is_dead():
    async with ScriptedPeer({"GREETING": DROP}) as dead, ScriptedPeer() as alive, pooling() as (_, queue):
        route = Route("mx:a,b", (dead.host(), alive.host(preference=10)))
        queue.put(route)
        (outcome,) = await queue.settled(1)
        assert isinstance(outcome, Delivered)
        assert (dead.connections, alive.connections, queue.failed) == (1, 1, [])


async def test_every_address_of_a_host_is_tried():
    addresses = Addresses(mx=["127.0.0.2", "127.0.0.1"])  # nobody listens on the first
    async with ScriptedPeer() as peer, pooling(addresses) as (_, queue):
        queue.put(Route("mx:mx", (Host("mx", peer.port),)))
        (outcome,) = await queue.settled(1)
        assert (outcome.peer.host, outcome.peer.address) == ("mx", "127.0.0.1")


async def test_a_site_without_addresses_has_failed():
    async with pooling() as (_, queue):
        queue.put(Route("mx:nowhere", (Host("nowhere"),)))
        await queue.until(lambda: queue.failed)
        assert queue.failed[0][1].reason is Reason.CONNECT


async def test_a_site_that_refuses_one_more_connection_has_not_failed():
    greetings = {"GREETING": ["220 hi", "421 4.7.0 too many connections", "421 4.7.0 too many connections"]}
    async with (
        ScriptedPeer({**greetings, ".": [SILENT]}) as peer,
        pooling(connections_per_site=2) as (pools, queue),
    ):
        queue.put(site(peer), 5)
        await queue.until(lambda: pools.failed_total == 1)
        assert queue.failed == []
        assert [(reason, open_) for _, reason, open_ in queue.refused] == [(Reason.BUSY, 1)]
        assert pools.places.taken == 1  # and no other is tried for the time being


async def test_lanes_of_a_group_share_their_number_of_connections():
    async with ScriptedPeer() as peer, pooling() as (pools, queue):
        most = []
        take = queue.take
        queue.take = lambda lane: (most.append(pools.open), take(lane))[1]
        for number in range(4):
            pools.limit(f"hop:{number}", LaneLimits(2, 1000, "rule:big"))
        for number in range(4):
            queue.put(site(peer, number), 10)
        outcomes = await queue.settled(40)
        assert {type(one) for one in outcomes} == {Delivered}
        assert max(most) == 2
        assert pools._groups["rule:big"].taken <= 2
        pools.limit("hop:0", LaneLimits(4, 1000, "rule:big"))
        assert pools._groups["rule:big"].limit == 4
        for number in range(4):
            queue.put(site(peer, number), 10)
        await queue.settled(80)
        assert max(most) <= 4
        for number in range(4):
            pools.limit(f"hop:{number}", None)
    assert (pools._groups, pools._limits) == ({}, {})


async def test_a_lane_may_change_its_group_while_it_is_open():
    async with ScriptedPeer() as peer, pooling() as (pools, queue):
        pools.limit("hop:0", LaneLimits(2, 1000, "a"))
        queue.put(site(peer), 10)
        await queue.settled(10)
        held = pools.places.taken
        pools.limit("hop:0", LaneLimits(2, 1000, "b"))
        assert list(pools._groups) == ["b"]
        assert pools._groups["b"].taken == held
    assert pools._groups == {}


async def test_a_connection_that_idled_and_was_closed_costs_the_message_nothing():
    async with ScriptedPeer() as peer, pooling() as (pools, queue):
        queue.put(site(peer))
        await queue.until(lambda: pools.idle == 1)
        peer.replies["MAIL"] = [DROP]
        queue.put(site(peer))
        outcomes = await queue.settled(2)
        assert isinstance(outcomes[1], Delivered)
        assert (peer.connections, pools.opened_total, pools.closed_total) == (2, 2, 1)


async def test_a_connection_that_is_dead_when_called():
    async with ScriptedPeer() as peer, pooling() as (pools, queue):
        queue.put(site(peer))
        await queue.until(lambda: pools.idle == 1)
        for writer in list(peer._writers):
            writer.transport.abort()
        await queue.until(lambda: peer.live == 0)
        queue.put(site(peer))
        outcomes = await queue.settled(2)
        assert isinstance(outcomes[1], Delivered)


async def test_a_fresh_connection_that_is_lost_is_not_tried_again():
    async with ScriptedPeer({"MAIL": [DROP]}) as peer, pooling() as (_, queue):
        queue.put(site(peer))
        (outcome,) = await queue.settled(1)
        assert (outcome.scope, outcome.reason) == (Scope.SESSION, Reason.CONNECTION_LOST)


async def test_places_are_shared_in_the_order_of_waiting():
    async with ScriptedPeer() as peer, pooling(connections=2, connections_per_site=2) as (pools, queue):
        for number in range(6):
            queue.put(site(peer, number), 20)
        outcomes = await queue.settled(120)
        assert {type(o) for o in outcomes} == {Delivered}
        first = list(dict.fromkeys(attempt.lane for attempt, _ in queue.outcomes))
        assert first == [f"hop:{number}" for number in range(6)]
        assert pools.places.taken <= 2


async def test_an_idle_connection_elsewhere_makes_room():
    async with ScriptedPeer() as peer, pooling(connections=1) as (pools, queue):
        queue.put(site(peer, 1))
        await queue.until(lambda: pools.idle == 1)
        queue.put(site(peer, 2))
        await queue.settled(2)
        assert [a.lane for a, _ in queue.outcomes] == ["hop:1", "hop:2"]


async def test_a_bug_in_delivery_defers_and_the_loop_goes_on(caplog):
    async with ScriptedPeer() as peer, pooling() as (_, queue):
        waiting = queue.attempts.setdefault("hop:0", deque())
        waiting.append(make_attempt("bob\r\nRSET@example.net", site="hop:0"))
        waiting.append(make_attempt(site="hop:0"))
        queue.pools.wake(site(peer), 2)
        outcomes = await queue.settled(2)
        broken = next(o for o in outcomes if not isinstance(o, Delivered))
        assert (broken.scope, broken.reason) == (Scope.MESSAGE, Reason.INTERNAL)
        assert "LocalProtocolError" in caplog.text


@pytest.mark.parametrize(
    ("fault", "level", "has_traceback"),
    [(SpoolCorrupt("a bad checksum"), "WARNING", False), (OSError("our bug"), "ERROR", True)],
)
async def test_content_that_cannot_be_read_defers_the_message(caplog, fault, level, has_traceback):
    async with ScriptedPeer() as peer, pooling() as (pools, queue):
        queue.content_fails = fault
        queue.put(site(peer), content=None)
        (outcome,) = await queue.settled(1)
        assert (outcome.scope, outcome.reason) == (Scope.MESSAGE, Reason.INTERNAL)
        (line,) = [record for record in caplog.records if record.message == "content not read"]
        assert (line.levelname, bool(line.exc_info), line.detail) == (level, has_traceback, str(fault))
        queue.content_fails = None
        queue.put(site(peer), content=None)
        assert isinstance((await queue.settled(2))[1], Delivered)
        assert pools.opened_total == 1  # the connection was never in doubt


@pytest.mark.parametrize(
    ("silent_at", "reason"),
    [("content", Reason.INTERNAL), ("MAIL", Reason.INTERNAL), (".", Reason.REPLY_LOST)],
)
async def test_stopped_while_an_attempt_is_in_flight(silent_at, reason):
    async with ScriptedPeer({silent_at: SILENT}) as peer:
        async with pooling() as (_, queue):
            if silent_at == "content":
                queue.content_gate.clear()
            queue.put(site(peer), content=None)
            await queue.until(
                lambda: (
                    (queue.taken and silent_at == "content")
                    or (silent_at == "MAIL" and "DATA" in peer.commands)
                    or (silent_at == "." and peer.messages)
                )
            )
        ((_, outcomes),) = queue.outcomes
        assert (outcomes[0].scope, outcomes[0].reason) == (Scope.SESSION, reason)


async def test_draining_finishes_what_is_in_flight_and_takes_no_more():
    async with ScriptedPeer() as peer, pooling(connections_per_site=1) as (pools, queue):
        queue.content_gate.clear()
        queue.put(site(peer), 3, content=None)
        await queue.until(lambda: queue.taken == 1)
        draining = asyncio.create_task(pools.drain(10))
        await asyncio.sleep(0)
        queue.content_gate.set()
        await draining
        assert (queue.taken, len(queue.outcomes), pools.open) == (1, 1, 0)
        assert isinstance(queue.outcomes[0][1][0], Delivered)
        queue.put(site(peer))
        assert pools.places.taken == 0


async def test_draining_has_a_bound():
    async with ScriptedPeer({".": SILENT}) as peer, pooling() as (pools, queue):
        queue.put(site(peer))
        await queue.until(lambda: bool(peer.messages))
        await pools.drain(0.01)
        assert queue.outcomes[0][1][0].reason is Reason.REPLY_LOST


async def test_a_refused_recipient_closes_the_connection_and_the_next_opens():
    async with (
        ScriptedPeer({"RCPT": ["550 5.1.1 who"]}) as peer,
        pooling(connections_per_site=1) as (_, queue),
    ):
        queue.put(site(peer), 2)
        outcomes = await queue.settled(2)
        assert [type(o) for o in outcomes] == [Failed, Delivered]
        assert peer.connections == 2


async def test_new_credentials_take_new_connections():
    async with ScriptedPeer() as peer, pooling() as (pools, queue):
        queue.put(site(peer))
        await queue.until(lambda: pools.idle == 1)
        queue.put(Route("hop:0", (peer.host(),), password_file="/new"))
        await queue.settled(2)
        assert peer.connections == 2


async def test_waking_a_busy_site_costs_next_to_nothing():
    async with ScriptedPeer({".": SILENT}) as peer, pooling(connections_per_site=1) as (pools, queue):
        route = site(peer)
        queue.put(route)
        await queue.until(lambda: bool(peer.messages))
        best = 1.0
        for _ in range(20):
            start = time.perf_counter()
            for _ in range(1000):
                pools.wake(route, 5)
            best = min(best, (time.perf_counter() - start) / 1000)
        assert best < 5e-6
