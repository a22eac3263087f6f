"""What an account's contact reads about its quota."""

from relay.daemon.worker.quota_warning import warn_of_quota


class Notices:
    def __init__(self) -> None:
        self.sent: list[tuple[int, str, str, str, str]] = []

    async def send(self, account_id: int, subject: str, text: str, *, kind: str = "", about: str = "") -> str:
        self.sent.append((account_id, subject, text, kind, about))
        return "an-id"


async def test_at_eighty_percent() -> None:
    notices = Notices()
    assert await warn_of_quota(notices, 7, 80, 801, 1000) == "an-id"
    ((account, subject, text, kind, about),) = notices.sent
    assert (account, subject, kind, about) == (7, "Sending quota: 80% used", "sending-quota", "80%")
    assert text.startswith("801 of 1000 recipients of the last 24 hours are used.\n")


async def test_at_the_end() -> None:
    notices = Notices()
    await warn_of_quota(notices, 7, 100, 1000, 1000)
    assert notices.sent[0][1] == "Sending quota: used up"
    assert all(len(line) < 90 for line in notices.sent[0][2].splitlines())
