"""Orders: what one process writes, the other reads; and whose settings are in force."""

import json
import os

import pytest

from relay.base.errors import ConfigError
from relay.daemon.orders import VARIABLE, Orders


def orders(*texts: str) -> Orders:
    memory = os.memfd_create("config")
    os.write(memory, json.dumps(texts).encode())
    return Orders(1, 2, [[3], [4, 5]], 6, 7, memory, "/etc/relay/relay.toml", [8])


def test_they_pass_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    given = orders("", "")
    monkeypatch.setenv(VARIABLE, given.to_environment())
    assert Orders.from_environment() == given
    os.close(given.config)


def test_a_worker_that_starts_late_follows_what_the_others_follow() -> None:
    given = orders(
        "[limits]\nrecipients = 1\n[workers]\ncount = 1", "[limits]\nrecipients = 2\n[workers]\ncount = 9"
    )
    boot, now = given.read_config()
    assert (boot.limits.recipients, boot.workers.count) == (1, 1)
    assert (now.limits.recipients, now.workers.count) == (2, 1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(given.config)


def test_a_configuration_that_does_not_parse_here_is_refused() -> None:
    with pytest.raises(ConfigError, match="not TOML"):
        orders("[", "").read_config()
