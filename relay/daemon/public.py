"""What the relay serves to the public: the page behind verification links, and one certificate.

    GET  /verify/<link>     says what the link is for, with a button; changes nothing, since scanners of mail
                            and previews open links too
    POST /verify/<link>     uses the link
    GET  /sns/<name>.pem    the certificate that signs SNS envelopes

200 if the link works (or worked now), 410 if it ran out or was used, 404 for what is no link of ours or whose
identity is gone, 503 while the directory cannot be used. The page needs no script, loads nothing, is not kept
by caches, not framed, and sends no referrer, since its address is the secret. Only a link that was signed by
this relay makes it ask the directory, in a thread.

TLS is the matter of the proxy in front; [verification] url names that.
"""

from __future__ import annotations

import asyncio
import html
import logging
from collections.abc import Callable
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from relay.base.errors import DirectoryError
from relay.directory.life import Confirmation
from relay.directory.links import Link, LinkFault

log = logging.getLogger(__name__)

PATH = "/verify/"
SNS_PATH = "/sns/"

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_STYLE = "body{font:1.1em/1.5 sans-serif;max-width:36em;margin:4em auto;padding:0 1em}button{font:inherit}"


class Links(Protocol):
    """What becomes of links; blocking. Each may raise DirectoryError."""

    def read_link(self, text: str) -> Link:
        """What the text says. Raises LinkFault."""
        ...

    def look_up(self, link: Link) -> tuple[Confirmation, str]:
        """What the link would come to, and the address."""
        ...

    def confirm(self, link: Link) -> tuple[Confirmation, str]:
        """Use the link."""
        ...


def public_app(links: Links, certificate: Callable[[str], bytes | None] = lambda name: None) -> Starlette:
    """The application. ``certificate`` finds what is served below /sns/; blocking."""

    async def verify(request: Request) -> Response:
        is_use = request.method == "POST"
        try:
            link = await asyncio.to_thread(links.read_link, request.path_params["link"])
            found, address = await asyncio.to_thread(links.confirm if is_use else links.look_up, link)
        except LinkFault:
            return page(404, "Not a link of ours", "Copy the whole link from the mail, or ask for a new one.")
        except DirectoryError as error:
            log.error("verification page: directory out of reach", extra={"why": str(error)})
            return page(503, "Not now", "The relay cannot look it up at present. Try again in some minutes.")
        if is_use and found is Confirmation.GOOD:
            log.info("address verified by its link", extra={"identity": address})
        return answer(found, address, is_use=is_use)

    async def sns(request: Request) -> Response:
        pem = await asyncio.to_thread(certificate, request.path_params["name"])
        if pem is None:
            return page(404, "Nothing here", "")
        return Response(pem, 200, {"X-Content-Type-Options": "nosniff"}, "application/x-pem-file")

    async def not_found(_: Request, __: Exception) -> Response:
        return page(404, "Nothing here", "")

    return Starlette(
        routes=[
            Route(PATH + "{link}", verify, methods=["GET", "POST"]),
            Route(SNS_PATH + "{name}", sns, methods=["GET"]),
        ],
        exception_handlers={404: not_found},
    )


def answer(found: Confirmation, address: str, *, is_use: bool) -> Response:
    """The page for what a link comes to."""
    if found is Confirmation.GOOD and is_use:
        return page(
            200, "Confirmed", f"{address} may be used as a sender address now. You can close this page."
        )
    if found is Confirmation.GOOD:
        return page(
            200,
            "Confirm a sender address",
            f"Somebody has asked to send mail as {address} through this relay.",
            '<form method="post"><button>Yes, allow it</button></form>'
            "<p>If that was not you, close this page: nothing will be sent.</p>",
        )
    if found is Confirmation.EXPIRED:
        return page(410, "Too late", f"The link for {address} has run out. Ask for a new one.")
    if found is Confirmation.USED:
        return page(
            410,
            "No longer in use",
            f"The link for {address} was used already, or a newer one was sent.",
        )
    return page(404, "Nothing to confirm", "What this link was for does not exist any more.")


def page(status: int, title: str, text: str, more: str = "") -> Response:
    """One page; ``text`` is escaped, ``more`` is HTML."""
    content = (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1><p>{html.escape(text)}</p>{more}</html>"
    )
    return HTMLResponse(content, status, _HEADERS)
