"""Routes by a table: ``domain -> site``; what is not in the table is a site of its own."""

import asyncio

from relay.base.outcome import Deferred, Failed
from relay.base.route import Host, Route


def route(site: str) -> Route:
    return Route(f"mx:{site}", (Host(site),))


class FakeRoutes:
    def __init__(self, sites: dict[str, str | Deferred | Failed | Exception] | None = None) -> None:
        self.sites = sites or {}
        self.known: dict[str, Route] = {}
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def cached(self, domain: str) -> Route | None:
        return self.known.get(domain)

    async def find(self, domain: str) -> Route | Deferred | Failed:
        self.asked.append(domain)
        await self.gate.wait()
        found = self.sites.get(domain, domain)
        if isinstance(found, Exception):
            raise found
        if isinstance(found, str):
            found = self.known[domain] = route(found)
        return found
