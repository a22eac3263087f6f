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
    is_key_seen: bool = True  # else this user may not read it, and whether it fits is not known
    changed_at: float = 0.0  # the file


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


@dataclass(frozen=True, slots=True)
class PortSeen:
    """What a listener said to a client of ours; ``before`` and ``after`` TLS: the keywords of EHLO."""

    address: str
    tls: str  # as configured: "starttls", "wrapper", "none"
    auth: str  # "required", "none"
    role: str = "submission"
    greeting: str = ""  # its first line
    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    tls_version: str = ""
    ends_at: float = 0.0  # of the certificate that was shown; 0: none was
    fault: str = ""  # what broke the dialogue
    is_for_proxies: bool = False  # only a proxy could speak to it
    is_trusting: bool = True  # loopback is among its trusted networks, or it has none


@dataclass(frozen=True, slots=True)
class Speed:
    """How long writes to the disk took, in seconds, sorted."""

    path: str
    took_s: tuple[float, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class ClockSeen:
    """What the kernel says of its clock; None: it does not say."""

    is_synchronised: bool | None = None
    error_s: float = 0.0  # at most, by the kernel's own estimate


@dataclass(frozen=True, slots=True)
class Machine:
    """Bounds of the kernel and of the processes; 0 or -1: not known."""

    descriptors: int = -1  # RLIMIT_NOFILE, the least of the relay's processes, else ours
    descriptors_used: int = 0  # the most of one process
    backlog: int = 0  # net.core.somaxconn
    memory: int = 0  # bytes that may be had
    is_of_the_relay: bool = False  # the numbers are those of its processes


@dataclass(frozen=True, slots=True)
class FileSeen:
    """A file that holds a secret, or a folder of the relay's."""

    what: str  # "[tls] private_key"
    path: str
    mode: int = 0
    owner: int = 0
    fault: str = ""
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class Outbound:
    """A try to reach a receiver's server, as deliveries would."""

    host: str
    greeting: str = ""
    has_starttls: bool = False
    took_s: float = 0.0
    fault: str = ""
