"""A clean Debian, for the package and for systemd: ``.ci/debian`` makes it, each test has a layer of its own.

    with Debian() as debian:
        debian.run("dpkg", "-i", debian.package)       # as in a chroot: no systemd, our network
        with debian.booted() as machine:               # systemd is process 1; a network of its own
            machine.run("systemctl", "status", "relay")
            with machine.network():                    # sockets that this thread opens are the machine's
                smtplib.SMTP("127.0.0.1", 587)

systemd-nspawn is what starts both. What is written goes to memory, and is gone afterwards.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.fakes.machine import missing, need, need_root
from tests.fakes.prepared import wait_until

ROOT = Path(__file__).parents[2]
HOSTNAME = "mail.debian.example"
CLONE_NEWNET = 0x40000000
_NSPAWN = ("--quiet", "--register=no", "--link-journal=no", f"--hostname={HOSTNAME}", "--resolv-conf=off")
_BOOT_S = _END_S = 150.0


class Debian:
    """See above. ``package`` is where the package to test lies, for programs in there; ``root`` is where the
    folder is seen from here."""

    package = "/relay.deb"

    def __init__(self) -> None:
        need_root("systemd-nspawn")
        self._nspawn = need("systemd-nspawn", "systemd-container")
        self._base = _base()
        self._built = built_package()
        self._stack = ExitStack()

    def __enter__(self) -> "Debian":
        with ExitStack() as stack:
            # Not below the folder of pytest, whose clearing up of former runs would meet a mount.
            self._folder = Path(tempfile.mkdtemp(prefix="relay-debian-"))
            self.name = f"relay-{uuid.uuid4().hex[:12]}"
            stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
            _mount(stack, "tmpfs", "tmpfs", self._folder, "mode=755")
            for name in ("upper", "work", "root"):
                (self._folder / name).mkdir()
            self.root = self._folder / "root"
            layers = f"lowerdir={self._base},upperdir={self._folder}/upper,workdir={self._folder}/work"
            _mount(stack, "overlay", "overlay", self.root, layers)
            stack.callback(self._forget)
            shutil.copy(self._built, self.root / "relay.deb")
            (self.root / "etc" / "hostname").write_text(f"{HOSTNAME}\n")
            self._groups = _control_groups(self.name)
            for group in self._groups:
                group.mkdir()
                stack.callback(_remove_group, group)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _forget(self) -> None:
        with suppress(OSError):
            Path("/run/systemd/nspawn/propagate", self.name).rmdir()

    def path(self, path: str) -> Path:
        """A file of the folder, seen from here."""
        return self.root / path.lstrip("/")

    def run(self, *words: str, status: int = 0) -> str:
        """The output of a program; its exit status must be the one given. On standard error systemd-nspawn
        speaks as well."""
        ended = subprocess.run(
            self.words("--pipe", *words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_END_S,
            text=True,
        )
        assert ended.returncode == status, f"{words}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def words(self, *words: str) -> list[str]:
        """The words that start systemd-nspawn here, in control groups that are this folder's alone."""
        enter = 'for group in $GROUPS_TO_ENTER; do echo 0 >"$group/cgroup.procs"; done; exec "$@"'
        groups = " ".join(map(str, self._groups))
        keep = ["--keep-unit"] if self._groups else []
        started = [self._nspawn, *_NSPAWN, *keep, "-M", self.name, "-D", str(self.root)]
        return ["env", f"GROUPS_TO_ENTER={groups}", "sh", "-c", enter, "sh", *started, *words]

    @contextmanager
    def booted(self) -> Iterator["Machine"]:
        """Until the end of the block, a machine that runs, with this folder."""
        with (self._folder / "console").open("wb") as console:
            # SIGTERM to it is a proper end of the machine; without it, the kernel ends all with process 1.
            process = subprocess.Popen(
                self.words("--private-network", "--console=pipe", "--boot"),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        try:
            yield Machine(self, process)
        finally:
            process.terminate()
            try:
                process.wait(_END_S)
            finally:
                process.kill()
                process.wait(_END_S)
                print((self._folder / "console").read_text(errors="replace"))


class Machine:
    """A Debian whose systemd runs."""

    def __init__(self, debian: Debian, process: "subprocess.Popen[bytes]") -> None:
        self._debian = debian
        self._process = process
        self._leader = ""
        # "degraded" is a machine as well: what failed is Debian's, and none of our business.
        wait_until(lambda: self._state() in ("running", "degraded"), "systemd is up", _BOOT_S, 0.1)

    def _state(self) -> str:
        assert self._process.poll() is None, "systemd-nspawn has ended"
        pid = self._process.pid
        # The first child of systemd-nspawn prepares the folder; process 1 of the machine follows.
        self._leader = Path(f"/proc/{pid}/task/{pid}/children").read_text().partition(" ")[0]
        return self.ended(["systemctl", "is-system-running"]).stdout.strip() if self._leader else ""

    def ended(self, words: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """A program that ran in the machine."""
        return subprocess.run(
            ["nsenter", "-t", self._leader, "-m", "-u", "-i", "-n", "-p", "-r", "-w", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_END_S,
            text=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        )

    def run(self, *words: str, status: int = 0) -> str:
        """What a program says, its errors included; its exit status must be the one given."""
        ended = self.ended(words)
        assert ended.returncode == status, f"{words}: {ended.returncode}\n{ended.stdout}"
        return ended.stdout

    def wait_until(self, is_true: Callable[[], Any], what: str) -> None:
        """For what programs of the machine are asked: not as often as the others are."""
        wait_until(is_true, what, 150, 0.25)

    def show(self, name: str, unit: str = "relay.service") -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def journal(self, unit: str = "relay.service") -> str:
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")

    @contextmanager
    def network(self) -> Iterator[None]:
        """For this thread, and for threads that it starts meanwhile."""
        with open("/proc/thread-self/ns/net") as ours, open(f"/proc/{self._leader}/ns/net") as theirs:
            _enter(theirs.fileno())
            try:
                yield
            finally:
                _enter(ours.fileno())


def _enter(namespace: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _mount(stack: ExitStack, kind: str, what: str, where: Path, options: str) -> None:
    subprocess.run(["mount", "-t", kind, what, where, "-o", options], check=True)
    # Lazily: a process of the machine that is about to go may have its folder there.
    stack.callback(subprocess.run, ["umount", "--lazy", where], check=True)


def _control_groups(name: str) -> list[Path]:
    """Where processes of a container of this name go; none where systemd itself gives it a scope."""
    if Path("/run/systemd/system").is_dir():
        return []
    top = Path("/sys/fs/cgroup")
    hierarchies = [one for one in (top / "systemd", top / "unified") if one.is_dir()] or [top]
    return [one / name for one in hierarchies]


def _remove_group(group: Path) -> None:
    def is_removed() -> bool:
        with suppress(OSError):  # busy, until the last of its processes is gone
            for one in sorted(group.rglob("*/"), reverse=True):
                one.rmdir()
            group.rmdir()
        return not group.exists()

    wait_until(is_removed, f"{group} is empty")


def _base() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("RELAY_DEBIAN") or Path(cache) / "relay-debian")
    if not (folder / "etc" / "debian_version").exists():
        missing(f"{folder} has no Debian (run .ci/debian)")
    return folder


def built_package() -> Path:
    """What ``make deb`` made of these sources."""
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    found = sorted((ROOT / "dist").glob(f"relay_*_{architecture}.deb"), key=lambda one: one.stat().st_mtime)
    if not found:
        missing("there is no package in dist/ (run make deb)")
    sums = subprocess.run(["dpkg-deb", "--info", found[-1], "md5sums"], check=True, stdout=subprocess.PIPE)
    packed = {
        name.partition("/site-packages/")[2]: digest
        for digest, _, name in (line.partition("  ") for line in sums.stdout.decode().splitlines())
        if "/site-packages/relay/" in name and name.endswith(".py")
    }
    sources = {
        path.relative_to(ROOT).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in (ROOT / "relay").rglob("*.py")
    }
    if packed != sources:
        missing(f"{found[-1]} is of other sources (run make deb)")
    return found[-1]


def newer(debian: Debian, version: str) -> str:
    """The same package as a later version, also in what the relay says of itself; where it lies there."""
    made = f"/relay-{version}.deb"
    with tempfile.TemporaryDirectory(dir=debian.root) as unpacked:
        subprocess.run(["dpkg-deb", "--raw-extract", debian.path(Debian.package), unpacked], check=True)
        control = Path(unpacked, "DEBIAN", "control")
        lines = [
            f"Version: {version}" if line.startswith("Version:") else line
            for line in control.read_text().splitlines()
        ]
        control.write_text("\n".join(lines) + "\n")
        (source,) = Path(unpacked).glob("opt/relay/lib/python*/site-packages/relay/__init__.py")
        text, _, _ = source.read_text().partition("__version__")
        source.write_text(f'{text}__version__ = "{version}"\n')
        pack = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", unpacked, str(debian.path(made))]
        subprocess.run(pack, check=True, stdout=subprocess.DEVNULL)
    return made
