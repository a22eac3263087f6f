"""Webhooks of a relay that runs: everything arrives, signed and in order, also through kill -9 of all of it
between an outcome and the post that tells of it."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from relay.codec import webhook
from relay.directory.notifying import TOLD
from tests.fakes.authority import Authority
from tests.fakes.endpoint import Endpoint
from tests.fakes.notification_schema import STRICT
from tests.fakes.prepared import ACCOUNT, DOMAIN, HOSTNAME, Prepared, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.receiver import Receiver


class Told:
    """A relay that tells a webhook of everything."""

    def __init__(self, folder: Path, prepared: Prepared, receiver: Receiver, endpoint: Endpoint) -> None:
        authority = endpoint.authority
        self.endpoint = endpoint
        self.relay = RunningRelay(
            folder,
            prepared,
            more=f'[[route]]\ndomain = "receiver.example"\nnext_hop = "127.0.0.1:{receiver.port}"\n'
            f'tls = "none"\n[[route]]\ndomain = "{DOMAIN}"\nnext_hop = "127.0.0.1:{receiver.port}"\n'
            f'tls = "none"\n[notifications]\nprivate_addresses = "allow"\nca_file = "{authority.file}"\n',
        )
        with closing(self.relay.directory()) as directory:
            self.secret = directory.topics.create(ACCOUNT, "hook", endpoint.url).secret.encode()
            directory.notifications.set(DOMAIN, topics=dict.fromkeys(TOLD, "hook"))

    def of(self, message_id: str) -> list[str]:
        """The kinds that were taken of a message, each notification once, in order."""
        once = {post.id: post for post in self.endpoint.taken}
        return [post.kind for post in once.values() if post.message_id == message_id]

    def wait(self, message_id: str, *kinds: str) -> None:
        self.endpoint.wait_for(lambda: len(self.of(message_id)) >= len(kinds), f"{kinds} of {message_id}")
        assert self.of(message_id) == list(kinds)

    def notifier(self) -> int:
        return int(wait_until(lambda: self.relay.pids_below("notifier"), "the notifier runs")[0])


@pytest.fixture
def told(tmp_path: Path, prepared: Prepared, receiver: Receiver) -> Iterator[Told]:
    with Endpoint(Authority(tmp_path)) as endpoint:
        made = Told(tmp_path / "relay", prepared, receiver, endpoint)
        with made.relay:
            yield made
            made.relay.stop()
            assert "Traceback" not in made.relay.log()


def test_each_mailbox_of_the_simulator_is_told_of_as_what_it_plays(told: Told) -> None:
    simulator = f"simulator.{HOSTNAME}"
    wanted = {
        "success": ["Send", "Delivery"],
        "bounce": ["Send", "Bounce"],
        "suppressionlist": ["Send", "Bounce"],
        "ooto": ["Send", "Delivery", "Bounce"],
        "complaint": ["Send", "Delivery", "Complaint"],
    }
    sent = {
        name: told.relay.send(message(to=f"{name}@{simulator}"), f"{name}@{simulator}") for name in wanted
    }
    for name, kinds in wanted.items():
        told.wait(sent[name], *kinds)
    bounces = {
        post.message_id: (post.told["bounce"]["bounceType"], post.told["bounce"]["bounceSubType"])
        for post in told.endpoint.taken
        if post.kind == "Bounce"
    }
    assert bounces == {
        sent["bounce"]: ("Permanent", "NoEmail"),
        sent["suppressionlist"]: ("Permanent", "Suppressed"),
        sent["ooto"]: ("Transient", "General"),
    }
    for post in told.endpoint.taken:
        fields = post.headers
        assert STRICT.is_valid(post.told), post.told
        stamp, signature = fields["x-relay-timestamp"], fields["x-relay-signature"]
        assert webhook.verifies(told.secret, stamp, signature, post.body, float(stamp))


def test_the_administrator_tries_a_topic_and_sees_what_waits_for_it(told: Told) -> None:
    wait_until(lambda: told.relay.ask("status")["notifier"]["ready"], "the notifier is ready")
    assert told.relay.command("topic", "test", "hook").returncode == 0
    [post] = told.endpoint.taken
    assert post.told["notificationType"] == "AmazonSnsSubscriptionSucceeded"
    told.endpoint.fate = lambda post: 503
    tried = told.relay.command("topic", "test", "hook")
    assert (tried.returncode, b"503" in tried.stderr) == (1, True)
    told.relay.send(message(), "someone@receiver.example")
    told.endpoint.wait_for(lambda: [post for post in told.endpoint.seen if b'"Send"' in post.body], "a Send")

    def shown() -> dict[str, object]:
        return dict(json.loads(told.relay.command("topic", "show", "hook", "--json").stdout))

    found = wait_until(lambda: one if (one := shown())["failing_since"] else None, "it is failing")
    assert (found["waiting"], found["put_aside"]) == (2, 0)
    assert str(found["said"]).startswith("503")


def test_kill_9_between_outcome_and_post_loses_nothing_and_keeps_the_order(
    told: Told, receiver: Receiver
) -> None:
    os.kill(told.notifier(), signal.SIGSTOP)
    before = [told.relay.send(message(), f"someone{n}@receiver.example") for n in range(10)]
    wait_until(lambda: told.relay.count("delivered") >= 10, "all are delivered")
    told.endpoint.fate = lambda post: 200 if post.kind == "Delivery" else 503
    told.relay.kill()
    assert told.endpoint.seen == []
    told.relay.start()
    told.endpoint.wait_for(lambda: len(told.endpoint.seen) >= 10, "it is tried")
    assert told.endpoint.taken == []  # no delivery before its Send
    os.kill(told.notifier(), signal.SIGKILL)  # again, with posts that were refused
    told.endpoint.fate = lambda post: 200
    after = told.relay.send(message(), "late@receiver.example")
    for message_id in (*before, after):
        told.wait(message_id, "Send", "Delivery")
