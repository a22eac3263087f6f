"""What the machine of the tests has: programs, rights. Where all is meant to run, a lack is a failure."""

import os
import shutil
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Something that this machine lacks: a failure where ``CI`` is set, else a reason to skip."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def need(program: str, package: str) -> str:
    """The path of a program."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin:/usr/lib/postfix/sbin")
    if path is None:
        missing(f"{program} is not installed (Debian package {package})")
    return path


def need_root(what: str) -> None:
    """Something that only root can start."""
    if os.geteuid() != 0:
        missing(f"{what} must be started by root")
