"""A short run of the proof: each way of killing once."""

import json
from pathlib import Path

import pytest

from relay.base.counts import Counts, Place
from relay.base.events import EventKind
from relay.spool.statistics import Statistics
from tests.crash import hook, ledger, mail, told
from tests.crash.rounds import Result, compare, run
from tests.crash.told import Hearing
from tests.fakes.event_log import Shards


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_what_had_its_250_arrives_however_often_the_relay_is_killed(tmp_path: Path):
    result = await run(tmp_path, rounds=4, seed=20, connections=4)
    assert result.is_good, result
    assert result.rounds == 4
    assert result.accepted > 100
    assert result.given_up > 0, "mail whose time has passed is reported"
    assert sum(result.operations.values()) > 2, "the operator interferes"
    assert result.hearing.told >= result.accepted, "a topic hears of each"
    assert result.hearing.told_meanwhile > 0, "of some while all is killed"


def test_the_comparison_finds_what_is_lost_and_what_arrives_twice(tmp_path: Path):
    accepted, arrived = tmp_path / "accepted", tmp_path / "arrived"
    book = ledger.Ledger(accepted)
    book.note(["a@x", "b@x"])
    book.note(["c@x"])
    book.note(["late@gone.example", "both@gone.example", "early@x"])
    book.close()
    arrived.write_text(
        "a@x\nc@x\nc@x\nnobody-promised@x\nd@x d@x\nboth@gone.example\nb@x (the writer died here)"
    )
    arrived.with_suffix(".bounced").write_text("late@gone.example both@gone.example\nearly@x\n")
    result = Result(accepted=3)
    compare(accepted, arrived, {"c@x", "z@x"}, result)
    assert (result.lost, result.lost_sample) == (1, ["b@x"])
    assert (result.duplicates, result.duplicates_listed) == (3, 1)
    assert result.unlisted_sample == ["d@x", "both@gone.example"]
    assert (result.given_up, result.given_up_too_soon) == (3, 1)
    assert result.uncertain_listed == 2
    assert not result.is_good


@pytest.mark.parametrize("number", [1, 13, 211])
def test_a_message_proves_that_it_is_whole(number: int):
    one = mail.make_mixed(number)
    received = b"Received: from here\r\n" + one.content.removesuffix(b".\r\n")
    assert mail.fault_of(one.recipients, received) == ""
    assert mail.fault_of([*one.recipients, "m0-0@receiver.example"], received) != ""
    assert mail.fault_of(one.recipients, received.replace(b"prose", b"verse", 1)) == "damaged body"
    assert mail.fault_of(one.recipients, received[:-70]) == "damaged body"
    assert mail.fault_of(one.recipients, received.replace(b"X-Crash", b"X-Other")) == "no mark"


def test_what_is_given_up_is_read_from_the_report():
    part = b"\r\nFinal-Recipient: rfc822; %b\r\nAction: %b\r\nStatus: 4.4.7\r\n"
    report = part % (b"a@x", b"failed") + part % (b"b@x", b"delayed") + part % (b"c@x", b"failed")
    assert mail.given_up(report) == ["a@x", "c@x"]


def test_the_comparison_finds_what_was_not_told_or_out_of_order_or_counted_wrongly(tmp_path: Path):
    shards = Shards(tmp_path, 1)
    for kind, detail in (
        (EventKind.SEND, {"destination": ["a@x", "b@x", "c@x"]}),
        (EventKind.DELIVERY, {"recipient": "a@x"}),
        (EventKind.DELIVERY, {"recipient": "b@x"}),
        (EventKind.BOUNCE, {"recipient": "c@x", "bounceType": "Permanent"}),
    ):
        shards.add(1, 1, kind, 1.0, account=1, detail=json.dumps(detail))
    message = shards.ids[0]
    lines = [
        ("u2", "Delivery", ["a@x"]),
        ("u1", "Send", ["a@x", "b@x", "c@x"]),
        ("u1", "Send", ["a@x", "b@x", "c@x"]),
        ("u4", "Bounce", ["c@x", "nobody@x"]),
    ]
    ledger_file = tmp_path / "told"
    ledger_file.write_text(
        "".join(json.dumps([uid, message, kind, whom]) + "\n" for uid, kind, whom in lines)
        + json.dumps(["u3", message, "Delivery", ["b@x"]])
    )
    statistics = Statistics(tmp_path)
    statistics.add({Place(1, 0, "x", "x"): Counts(sent=3, delivered=1, hard=1)}, {1: 4})
    statistics.close()
    hearing = Hearing()
    told.compare(tmp_path, ledger_file, 1, hearing)
    shards.close()
    assert (hearing.told, hearing.told_twice, hearing.untold, hearing.invented) == (5, 1, 1, 1)
    assert (hearing.out_of_order, hearing.counted, hearing.miscounted) == (1, 5, 1)
    assert not hearing.is_good
    assert f"untold: ('{message}', 'Delivery', 'b@x')" in hearing.samples


@pytest.mark.parametrize(
    ("order", "out_of_order"), [("SDB", 0), ("SBD", 1), ("BSD", 1), ("SDB+", 0), ("SB+D", 0), ("B+SD", 1)]
)
def test_news_of_another_shard_is_told_after_the_sending_and_what_is_older(
    tmp_path: Path, order: str, out_of_order: int
):
    """Shard 2 learns of a bounce, B, or in the moment of the delivery, B+."""
    shards, at_once = Shards(tmp_path, 2), "+" in order
    shards.add(1, 1, EventKind.SEND, 1.0, detail=json.dumps({"destination": ["a@x"]}))
    shards.add(1, 1, EventKind.DELIVERY, 99.0, detail=json.dumps({"recipient": "a@x"}))
    bounce = json.dumps({"recipient": "a@x", "bounceType": "Permanent"})
    shards.add(2, 1, EventKind.BOUNCE, 99.5 if at_once else 120.0, detail=bounce)
    shards.close()
    kinds = {"S": "Send", "D": "Delivery", "B": "Bounce"}
    lines = [json.dumps([one, shards.ids[0], kinds[one], ["a@x"]]) + "\n" for one in order.replace("+", "")]
    ledger_file = tmp_path / "told"
    ledger_file.write_text("".join(lines))
    hearing = Hearing()
    told.compare(tmp_path, ledger_file, 1, hearing)
    assert (hearing.told, hearing.untold, hearing.out_of_order) == (3, 0, out_of_order), hearing.samples


def test_what_a_topic_takes_is_read_from_the_notification():
    head = b"POST /hook HTTP/1.1\r\nHost: x\r\nX-Relay-Notification-Id: u1\r\nContent-Length: 9"
    mail_of = {"messageId": "m", "destination": ["a@x", "b@x"]}
    for told_of, kind, whom in (
        ({"eventType": "Send", "send": {}}, "Send", ["a@x", "b@x"]),
        ({"notificationType": "Delivery", "delivery": {"recipients": ["b@x"]}}, "Delivery", ["b@x"]),
        (
            {"notificationType": "Bounce", "bounce": {"bouncedRecipients": [{"emailAddress": "a@x"}]}},
            "Bounce",
            ["a@x"],
        ),
    ):
        body = json.dumps({"mail": mail_of, **told_of}).encode()
        assert hook.entry(head, body) == ["u1", "m", kind, whom]
