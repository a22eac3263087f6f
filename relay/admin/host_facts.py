"""The words for what is seen of the host that the relay runs on. No I/O; ``relay.daemon.checkup`` looks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CertificateSeen:
    """A certificate file that the configuration names. Times are seconds since the epoch."""

    setting: str  # "[tls] certificate"
    file: str
    names: tuple[str, ...] = ()  # domains and addresses that it speaks for
    begins_at: float = 0.0
    ends_at: float = 0.0
    is_self_signed: bool = False
    gap: str = ""  # where the chain is broken: the issuer that is missing or out of order
    fault: str = ""  # the pair cannot be used: why


@dataclass(frozen=True, slots=True)
class DiskSeen:
    """The file system of a folder. Sizes are bytes."""

    path: str
    free: int = 0  # for the relay's user
    total: int = 0
    free_inodes: int = -1  # -1: the file system has no such bound
    inodes: int = 0
    kind: str = ""  # "ext4"; "" if nobody knows
    options: tuple[str, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class LastLife:
    """The relay's last life, as its folder tells it."""

    started_at: float
    ended_at: float  # 0: no end was noted
    status: int
    why: str
    version: str


@dataclass(frozen=True, slots=True)
class Unit:
    """The service as systemd sees it."""

    name: str
    active: str  # "active", "failed", "inactive", "activating"
    result: str = ""  # "success", "exit-code", "oom-kill", "watchdog", ...
    status: int = 0  # of the last main process
