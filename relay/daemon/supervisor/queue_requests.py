"""What the operator asks of a running relay about its queue, spread over the workers.

Contract: ``answer`` puts a request to every worker that it concerns, all at once, and joins what they say. A
change is made in steps (``steering``), one request each, with a cursor per worker; the one who
asks goes on until no cursor is left, or stops. So nothing has to be cleaned up when the asker goes away.

The beginning and the end of a change are logged with what was meant and who asked; each step by its worker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from relay.base.errors import RelayError
from relay.base.ids import shard_of
from relay.daemon.link import LinkError
from relay.daemon.supervisor.child import Child
from relay.daemon.supervisor.workers import Workers

log = logging.getLogger(__name__)

REQUESTS = ("steer", "steer count", "domains of site", "explain", "sites", "note suspension")
_STEP_S = 600.0


class QueueRequests:
    """Answers for the supervisor."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def answer(self, what: str, fields: dict[str, Any], by: str) -> Any:  # noqa: ANN401
        """Answer one of REQUESTS. Raises LinkError while a worker that it needs is not ready."""
        if what == "note suspension":
            said = "deliveries are resumed" if fields.pop("is_over") else "deliveries are suspended"
            log.warning(said, extra={**fields, "by": by})
            return None
        if what == "explain":
            return await self._owner_of(fields["message_id"]).link.ask(what, **fields)
        workers = self._workers.everyone()
        if what == "steer":
            return await self._steer(workers, by=by, **fields)
        answers = await asyncio.gather(*[one.link.ask(what, _STEP_S, **fields) for one in workers])
        if what == "steer count":
            return sum(answers)
        if what == "domains of site":
            return sorted({domain for found in answers for domain in found})
        return answers

    def _owner_of(self, message_id: str) -> Child:
        """The worker that has the shard of a message. Raises LinkError if it is not ready."""
        number = (shard_of(message_id) - 1) % self._workers.count
        for worker in self._workers.ready:
            if worker.number == number:
                return worker
        raise LinkError(f"worker {number} is not ready; try again in a moment, or see the relay's log")

    async def _steer(
        self,
        workers: Sequence[Child],
        by: str,
        operation: str,
        chosen: dict[str, Any],
        cursors: dict[str, list[int] | None] | None = None,
        next_hop: str = "",
    ) -> dict[str, Any]:
        """One step in each worker that still has a cursor; ``cursors`` None begins."""
        if cursors is None:
            meant = {name: value for name, value in chosen.items() if value not in (None, "", [], ())}
            extra = {"operation": operation, **meant, "next_hop": next_hop, "by": by}
            log.info("queue operation begins", extra={k: v for k, v in extra.items() if v != ""})
            cursors = {str(one.number): None for one in workers}
        asked = [one for one in workers if str(one.number) in cursors]
        answers: list[Any] = await asyncio.gather(
            *[
                one.link.ask(
                    "steer",
                    _STEP_S,
                    operation=operation,
                    chosen=chosen,
                    cursor=cursors[str(one.number)],
                    by=by,
                    next_hop=next_hop,
                )
                for one in asked
            ],
            return_exceptions=True,
        )
        failures = [one for one in answers if isinstance(one, BaseException)]
        if failures:
            if isinstance(failures[0], RelayError):
                raise LinkError(f"{operation} stopped, and may have ended in some workers: {failures[0]}")
            raise failures[0]
        left = {
            str(worker.number): answer["cursor"]
            for worker, answer in zip(asked, answers, strict=True)
            if answer["cursor"] is not None
        }
        if not left:
            log.info("queue operation ends", extra={"operation": operation, "by": by})
        total = {name: sum(one[name] for one in answers) for name in ("done", "messages", "busy")}
        return {**total, "cursors": left}
