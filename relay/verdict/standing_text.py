"""How an account stands, as the text that the statistics file keeps.

Contract: what ``written`` makes, ``read`` reads; what a later version wrote, or a hand has spoilt, is read as
far as it is understood, and else as the standing of an account of which nothing is known. Pure.
"""

from __future__ import annotations

import json
from typing import Any

from relay.verdict.reputation import Health, Standing, Status


def written(standing: Standing) -> str:
    """As JSON."""
    return json.dumps(
        {
            "bounce": _health(standing.bounce),
            "complaint": _health(standing.complaint),
            "isPaused": standing.is_paused,
        }
    )


def read(text: str) -> Standing:
    """From JSON."""
    try:
        found = json.loads(text)
        return Standing(
            _read_health(found["bounce"]), _read_health(found["complaint"]), bool(found["isPaused"])
        )
    except (ValueError, KeyError, TypeError):
        return Standing()


def _health(health: Health) -> dict[str, Any]:
    return {"status": health.status.value, "told": health.told.value, "belowSince": health.below_since}


def _read_health(found: dict[str, Any]) -> Health:
    return Health(Status(found["status"]), Status(found["told"]), float(found["belowSince"]))
