"""HTTP in the supervisor, by Starlette under uvicorn.

``/metrics`` and ``/healthz`` for the operator are here, the page for the public is in ``public``; each is a
server of its own on an address of its own.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from relay.admin.health import Health


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the supervisor's."""
        yield


def operator_app(metrics: Callable[[str], tuple[bytes, str]], health: Callable[[], Health]) -> Starlette:
    """The scrape, given what the scraper says that it reads, and the health."""

    async def show_metrics(request: Request) -> Response:
        text, kind = metrics(request.headers.get("accept", ""))
        return Response(text, headers={"content-type": kind})

    async def show_health(_: Request) -> Response:
        found = health()
        body = {"status": found.status, "reasons": list(found.reasons)}
        return JSONResponse(body, status_code=found.http_status)

    return Starlette(routes=[Route("/metrics", show_metrics), Route("/healthz", show_health)])


class HttpServer:
    """Serves until told to end."""

    def __init__(self, app: Starlette, connections: int | None = None) -> None:
        """``connections``: how many at once; those above get 503."""
        settings = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=connections,
        )
        self._server = _Server(settings)

    async def serve(self, sock: socket.socket) -> None:
        """Serve on a bound socket until ``end``."""
        await self._server.serve(sockets=[sock])

    def end(self) -> None:
        """Finish."""
        self._server.should_exit = True
