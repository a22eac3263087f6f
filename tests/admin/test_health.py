"""The health, as a table of what workers say."""

from typing import Any

import pytest

from relay.admin.health import judge

WELL: dict[str, Any] = {"spool_failing": False, "spool_full": False, "directory_stale": False}
FAILING, FULL, STALE = ({**WELL, name: True} for name in ("spool_failing", "spool_full", "directory_stale"))


@pytest.mark.parametrize(
    ("ready", "workers", "status", "reasons"),
    [
        ({0: True, 1: True}, {0: WELL, 1: WELL}, "ok", []),
        ({0: True, 1: False}, {0: WELL}, "degraded", ["worker 1 is not ready"]),
        ({0: True, 1: True}, {0: WELL, 1: FAILING}, "degraded", ["worker 1: the disk of the spool refuses"]),
        ({0: True}, {0: STALE}, "degraded", ["worker 0: the directory cannot be read"]),
        ({0: True}, {0: FULL}, "failing", ["worker 0: the disk reserve is reached"]),
        ({0: True, 1: True}, {0: FULL, 1: FAILING}, "failing", ["worker 0: ", "worker 1: "]),
        ({0: False}, {}, "failing", ["worker 0 is not ready"]),
        ({0: True}, {}, "failing", ["no worker answers"]),  # ready, and yet silent
        ({}, {}, "failing", ["no worker answers"]),
    ],
)
def test_judge(
    ready: dict[int, bool], workers: dict[int, dict[str, Any]], status: str, reasons: list[str]
) -> None:
    found = judge(ready, workers)
    assert found.status == status
    assert found.http_status == (503 if status == "failing" else 200)
    assert len(found.reasons) == len(reasons)
    assert all(said.startswith(start) for said, start in zip(found.reasons, reasons, strict=True))


def test_while_it_drains_others_should_be_asked() -> None:
    found = judge({0: True}, {0: WELL}, is_draining=True)
    assert (found.http_status, found.reasons) == (503, ("the relay drains",))
