"""A small backlog for a dead next hop: all of it arrives, through a restart."""

from pathlib import Path

import pytest

from bench.backlog import is_good, run


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("is_crash", [False, True], ids=["drained", "killed"])
async def test_a_backlog_survives_a_restart_and_is_delivered(tmp_path: Path, is_crash: bool):
    figures = await run(tmp_path, 2000, 4096, rest_s=0.0, is_crash=is_crash)
    # how fast a restart is, is for the benchmark to say: here other tests may run beside it
    assert is_good({**figures, "restart_to_first_delivery_s": 0.0}), figures
    assert figures["delivered"] == 2000
