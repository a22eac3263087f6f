"""A short run of the proof: each way of killing once."""

from pathlib import Path

import pytest

from tests.crash import ledger, mail
from tests.crash.rounds import Result, compare, run


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_what_had_its_250_arrives_however_often_the_relay_is_killed(tmp_path: Path):
    result = await run(tmp_path, rounds=4, seed=20)
    assert result.is_good, result
    assert result.rounds == 4
    assert result.accepted > 100
    assert result.given_up > 0, "mail whose time has passed is reported"
    assert sum(result.operations.values()) > 2, "the operator interferes"


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
