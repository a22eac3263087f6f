"""A log that writes nothing costs nothing and accepts everything."""

from relay.base.log import MessageLog, SilentLog


def test_silent_log(capsys):
    log: MessageLog = SilentLog()
    assert not log.is_on
    log("accepted", "some-id", account=1, event_of="x")
    assert capsys.readouterr() == ("", "")
