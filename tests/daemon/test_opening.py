"""What the relay listens on, of systemd's and of its own."""

from pathlib import Path

import pytest

from relay.daemon.activation import Given, Wanted, share_out
from relay.daemon.settings.config import parse
from relay.daemon.supervisor.opening import open_all, tell, wanted_by

HERE = Path("/etc/relay/relay.toml")
OPEN = 'tls = "none"\nauth = "none"\ntrusted_networks = ["127.0.0.0/8"]\naccount = "a"\n'
TEXT = f"""
[workers]
count = 2
[metrics]
listen = "127.0.0.1:9125"
[[listener]]
address = ["127.0.0.1:2525", "localhost:2526"]
socket_name = "mail"
{OPEN}
[[listener]]
address = "127.0.0.1:2527"
{OPEN}
"""


def test_every_address_is_wanted_by_someone() -> None:
    listener = "[[listener]] address"
    assert wanted_by(parse(TEXT, HERE))[0:1] + wanted_by(parse(TEXT, HERE))[2:] == [
        Wanted(listener, ("127.0.0.1", 2525), 0, "mail"),
        Wanted(listener, ("127.0.0.1", 2527), 1),
        Wanted("[metrics] listen", ("127.0.0.1", 9125), -1),
    ]
    assert wanted_by(parse(TEXT, HERE))[1].address[0] in ("127.0.0.1", "::1")  # localhost, as it is resolved


def test_without_systemd_all_are_bound_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    text = TEXT.replace("2525", "0").replace("2526", "0").replace("2527", "0").replace("9125", "0")
    opened = open_all(parse(text, HERE))
    try:
        assert [[len(sockets) for sockets in worker] for worker in opened.per_worker] == [[2, 1], [2, 1]]
        ours = [sock for worker in opened.per_worker for listener in worker for sock in listener]
        assert sorted(map(id, ours)) == sorted(map(id, opened.own))
        one, other = (worker[1][0] for worker in opened.per_worker)
        assert one is not other
        assert one.getsockname() == other.getsockname()
        assert (opened.metrics is not None, opened.public) == (True, None)
    finally:
        for sock in [*opened.own, *([opened.metrics] if opened.metrics else [])]:
            sock.close()


def told(given: list[Given]) -> list[str]:
    wanted = wanted_by(parse(TEXT, HERE))
    return tell(given, [], wanted, share_out(given, wanted))


def test_without_sockets_of_systemd_nothing_is_told() -> None:
    assert told([]) == []
    assert told([Given(("127.0.0.1", 9125))]) == []  # only the scrape's: the relay binds the others, as ever


def test_what_does_not_go_together_is_told_with_its_fix() -> None:
    surplus, *_, missing = told([Given(("127.0.0.1", 2525)), Given(("0.0.0.0", 25))])
    assert "systemd listens on 0.0.0.0:25, and no [[listener]] has that address" in surplus
    assert 'add address = "0.0.0.0:25", or take it out' in surplus
    assert "[[listener]] address 127.0.0.1:2527 has no socket of systemd's" in missing
    assert "add ListenStream=127.0.0.1:2527 to the socket unit (systemctl edit relay.socket)" in missing


def test_a_name_stands_for_all_addresses_of_its_listener() -> None:
    given = [Given(("10.0.0.1", 5870), "mail"), Given(("127.0.0.1", 2527))]
    assert told(given) == []
