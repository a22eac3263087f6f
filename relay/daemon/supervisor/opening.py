"""All sockets that the relay listens on: systemd's where it has them, else bound by ourselves.

Contract: done first, since ports below 1024 may need root. What systemd hands over and nobody wants is told,
and so is, where it hands over any for mail, each address that has to be bound nevertheless: one of the two
files is not what the administrator thinks. Neither ends the relay: mail flows at the other addresses.

Sockets of systemd's outlive us, with the clients that wait in them. Nothing here shuts one down; closing our
descriptors does not reach them.
"""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass

from relay.base.endpoint import format_endpoint
from relay.daemon import sockets
from relay.daemon.activation import Given, Shares, Wanted, inherited, share_out, spread
from relay.daemon.settings.config import Config

log = logging.getLogger(__name__)

_METRICS, _PUBLIC = -1, -2  # who wants them, where listeners count from 0


@dataclass(frozen=True, slots=True)
class Opened:
    """What we listen on."""

    per_worker: list[list[list[socket.socket]]]  # per worker, per listener
    metrics: socket.socket | None
    public: socket.socket | None
    own: list[socket.socket]  # those for mail that we bound: they do not listen yet


def open_all(config: Config) -> Opened:
    """Take and bind. Raises ConfigError, or StartError for what may pass by itself."""
    count = config.workers.effective_count
    handed, useless = inherited()
    given = [one for one, _ in handed]
    wanted = wanted_by(config)
    shares = share_out(given, wanted)
    for line in tell(given, useless, wanted, shares):
        log.warning(line)
    for number in shares.unwanted:
        handed[number][1].close()
    own: list[socket.socket] = []
    mail: list[list[list[socket.socket]]] = [[[] for _ in config.listener] for _ in range(count)]
    alone: dict[int, socket.socket] = {}
    for one, numbers in zip(wanted, shares.of, strict=True):
        copies = count if one.owner >= 0 else 1
        if numbers is None:
            found = sockets.bind(one.address, copies, one.setting)
            own += found if one.owner >= 0 else []
        else:
            found = [handed[number][1] for number in numbers]
        if one.owner < 0:
            alone[one.owner] = found[0]
            continue
        for worker, part in enumerate(spread(found, count)):
            listener = mail[worker][one.owner]
            listener += [sock for sock in part if sock not in listener]  # two addresses may have one socket
    return Opened(mail, alone.get(_METRICS), alone.get(_PUBLIC), own)


def wanted_by(config: Config) -> list[Wanted]:
    """Every address of the configuration, with host names resolved."""
    found = [
        Wanted("[[listener]] address", _numeric(address), owner, one.socket_name)
        for owner, one in enumerate(config.listener)
        for address in one.address
    ]
    if config.metrics.listen:
        found.append(Wanted("[metrics] listen", _numeric(config.metrics.listen), _METRICS))
    if config.http.listen:
        found.append(Wanted("[http] listen", _numeric(config.http.listen), _PUBLIC))
    return found


def _numeric(address: tuple[str, int]) -> tuple[str, int]:
    try:
        return sockets.resolve(*address)[1], address[1]
    except (OSError, UnicodeError):
        return address  # `bind` says what is wrong with it


def tell(given: list[Given], useless: list[str], wanted: list[Wanted], shares: Shares) -> list[str]:
    """What of the socket unit and of the configuration does not go together, with the fix."""
    lines = [f"systemd handed over what cannot be used: {one}" for one in useless]
    for number in shares.unwanted:
        text = format_endpoint(*given[number].address)
        lines.append(
            f"systemd listens on {text}, and no [[listener]] has that address: who connects there waits in "
            f'vain; add address = "{text}", or take it out of the socket unit (systemctl edit relay.socket)'
        )
    if any(numbers and one.owner >= 0 for one, numbers in zip(wanted, shares.of, strict=True)):
        for one, numbers in zip(wanted, shares.of, strict=True):
            if numbers is None and one.owner >= 0:
                text = format_endpoint(*one.address)
                lines.append(
                    f"{one.setting} {text} has no socket of systemd's and is bound by the relay: clients are "
                    f"refused there during a restart; add ListenStream={text} to the socket unit "
                    "(systemctl edit relay.socket)"
                )
    return lines
