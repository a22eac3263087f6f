"""The frame fits its screen, and says what is needed."""

from typing import Any

import pytest
from rich.console import Console

from relay.admin.pulse import Pulse
from relay.daemon.commands.top_frame import ORDERS, render, sorted_sites
from tests.admin.test_pulse import answer


def site(name: str, connections: int, waiting: int, state: str = "open", why: str = "") -> dict[str, Any]:
    return {"site": name, "connections": connections, "waiting": waiting, "state": state, "why": why,
            "rate_per_s": 0.5, "retry_in_s": 30.0 if state == "down" else 0.0, "reply_s": 0.1}  # fmt: skip


SITES = [site("mx.down", 0, 0, "down", "connect: [Errno 111] \x1b[31mrefused")]
SITES += [site(f"mx{n}.example", n, 100 - n) for n in range(40)]
ACCOUNTS = [
    {"account": f"a{n}", "accepted": 10 * n, "per_s": float(n), "state": "paused" if n else "active"}
    for n in range(30)
]


def frame() -> dict[str, Any]:
    pulse = Pulse()
    pulse.beat(answer(0, {"0": (0, 0), "1": (0, 0)}))
    return pulse.beat(answer(1, {"0": (1500, 9), "1": (0, 0)}, sites=SITES, accounts=ACCOUNTS))


def shown(height: int, width: int = 80, **options: Any) -> list[str]:
    console = Console(width=width, height=height, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(render(frame(), width=width, height=height, **options))
    return capture.get().splitlines()


@pytest.mark.parametrize("height", [24, 40, 60])
def test_it_fits(height: int) -> None:
    lines = shown(height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= 80


def test_what_it_says() -> None:
    text = "\n".join(shown(40, 100, order="state"))
    for part in (
        "relay 1.0  up 1 h  2 of 2 workers", "accepted", "1,500/s", "9.0/s", "queue: due 10, held 2",
        "the oldest for 2 h", "6 clients, 4 connections to receivers", "50 %", "50 MB", "10.0 ms",
        "mx.down", "down 30 s", "connect: [Errno 111] ?[31mrefused", "0.5/s", "a0", "paused",
    ):  # fmt: skip
        assert part in text, part
    assert "\x1b" not in text


def test_orders() -> None:
    assert sorted_sites(SITES, "busy")[0]["site"] == "mx39.example"
    assert sorted_sites(SITES, "waiting")[0]["site"] == "mx0.example"
    assert sorted_sites(SITES, "state")[0]["site"] == "mx.down"
    assert set(ORDERS) == {"busy", "waiting", "state"}


def test_a_terminal_without_bars() -> None:
    assert all(line.isascii() for line in shown(24, is_plain=True, order="waiting"))


def test_no_number_is_cut_where_there_is_little_room() -> None:
    long = site(f"{'mx' * 40}.example", 1234, 987_654, "down", "connect: [Errno 111] Connection refused")
    pulse = Pulse()
    found = pulse.beat(answer(0, {"0": (0, 0)}, sites=[long], accounts=ACCOUNTS))
    console = Console(width=60, height=40, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(render(found, width=60, height=40))
    line = next(line for line in capture.get().splitlines() if line.startswith("mxmx"))
    assert "1,234" in line
    assert "987,654" in line
    assert "down 30 s" in line
