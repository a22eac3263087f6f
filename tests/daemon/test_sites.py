"""``relay queue sites``, asked of a relay whose next hop is down."""

import json
from typing import Any

from typer.testing import CliRunner

from relay.daemon.commands.app import app
from tests.fakes.prepared import SENDER, message, wait_until
from tests.fakes.running import RunningRelay


def said(relay: RunningRelay, *words: str) -> str:
    result = CliRunner(env={"RELAY_CONFIG": str(relay.file)}).invoke(app, ["queue", "sites", *words])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_a_site_that_is_down_is_listed_with_its_reason(running: RunningRelay) -> None:
    with running.client() as client:
        client.sendmail(SENDER, ["down@receiver.example"], message("waits"))

    def down() -> list[dict[str, Any]]:
        rows = json.loads(said(running, "hop:127.0.0.1", "--json"))
        # probing: it was down, and nothing has been sent there since
        return [row for row in rows if row["state"] in ("down", "probing")]

    row = wait_until(down, "the site is known to be down")[0]
    assert row["connections_rule"] == 20
    assert row["rule"] == "default"
    assert row["why"].startswith("connect: ")
    assert row["failures"] >= 1
    lines = said(running).splitlines()
    assert lines[0].split()[:5] == ["SITE", "WORKER", "STATE", "WAITING", "CONNECTIONS"]
    assert any(("down" in line or "probing" in line) and "connect: " in line for line in lines[1:])
    assert said(running, "nowhere") == ""
