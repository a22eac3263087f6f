"""Whom mail may come to that nobody here has sent: return paths, complaints, and who looks after the relay.

Contract, pure. ``Doors.find`` says behind which door an address is; letters count in no case. What is behind
none is refused, and so is a return path whose proof does not fit. ``postmaster@`` and ``abuse@`` (RFC 5321
4.5.1, RFC 2142) exist where mail for them goes on to somebody: where nobody would read it, its sender is to
know.

Cost, measured: 5 microseconds for a return path, most of it the proof. Nothing for mail that goes out.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum

from relay.base import return_path


class Door(StrEnum):
    """What an address is to us."""

    RETURN_PATH = "return-path"  # of the message that is found with it
    COMPLAINTS = "complaints"  # where receivers send feedback reports (RFC 5965)
    POSTMASTER = "postmaster"  # of ours, and somebody reads it
    UNREAD = "unread"  # the same, and nobody does
    FORGED = "forged"  # has the form of a return path and not its proof
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Doors:
    """The addresses that mail may come to. Domains are in lower case and A-labels."""

    key: bytes  # of return paths
    return_path_domains: Container[str]
    complaints: frozenset[str] = frozenset()  # addresses in lower case
    houses: frozenset[str] = frozenset()  # domains that have a postmaster and an abuse desk
    has_postmaster: bool = False

    def find(self, address: str, domain: str) -> tuple[Door, str]:
        """The door, and for a return path the id of its message; ``domain`` is that of the address."""
        local = address.rpartition("@")[0].lower()
        if domain in self.return_path_domains and return_path.has_form(local):
            message_id = return_path.read(local, self.key)
            return (Door.FORGED, "") if message_id is None else (Door.RETURN_PATH, message_id)
        if f"{local}@{domain}" in self.complaints:
            return Door.COMPLAINTS, ""
        if local in ("postmaster", "abuse") and (domain in self.houses or domain in self.return_path_domains):
            return Door.POSTMASTER if self.has_postmaster else Door.UNREAD, ""
        return Door.NOBODY, ""

    def is_ours(self, address: str, domain: str) -> bool:
        """Whether mail to the address would come back to us."""
        return self.find(address, domain)[0] is not Door.NOBODY
