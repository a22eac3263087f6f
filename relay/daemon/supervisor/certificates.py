"""When the certificates that the configuration names expire.

Contract: ``look`` tells of the certificates in force: those that the files held when the configuration was
last taken over. One that was renewed and not reloaded is still shown to clients, and expires on its day. A
file is read only when it has changed since it was read; what cannot be read, or is no certificate, is None,
and is tried again the next time. Of a chain the first that expires counts: clients refuse the whole chain
then. Never raises.

Cost: a stat for each file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509

from relay.daemon.settings.config import Config

log = logging.getLogger(__name__)

_State = tuple[int, int, int]


def named_by(config: Config) -> list[Path]:
    """Ours for clients, and those that we show to next hops."""
    own = [config.tls.certificate, *(one.client_certificate for one in config.route)]
    return list(dict.fromkeys(file for file in own if file is not None))


class Certificates:
    """What is known of the files."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[_State, float]] = {}
        self._in_force: dict[Path, float] = {}
        self._taken_over_at = 0.0

    def look(self, files: Iterable[Path], taken_over_at: float = 0.0) -> dict[Path, float | None]:
        """When each expires, in seconds since the epoch; None if nobody can say. ``taken_over_at``: when the
        configuration in force was."""
        if taken_over_at != self._taken_over_at:
            self._taken_over_at = taken_over_at
            self._in_force.clear()
        wanted = list(files)
        self._known = {file: known for file, known in self._known.items() if file in wanted}
        return {file: self._ends_at(file) for file in wanted}

    def _ends_at(self, file: Path) -> float | None:
        try:
            found = file.stat()
            state = (found.st_ino, found.st_size, found.st_mtime_ns)
            known = self._known.get(file)
            if known is None or known[0] != state:
                chain = x509.load_pem_x509_certificates(file.read_bytes())
                ends_at = min(one.not_valid_after_utc.timestamp() for one in chain)
                known = self._known[file] = (state, ends_at)
            return self._in_force.setdefault(file, known[1])
        except (OSError, ValueError) as error:
            self._known.pop(file, None)
            log.debug("certificate not read", extra={"file": str(file), "why": str(error)})
            return None
