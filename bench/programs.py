"""The programs that the rig needs from outside: a C compiler, and nginx to compare with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

__all__ = ["ToolMissing", "compiler", "install_tools", "missing_tools", "nginx"]

INSTALL_S_MAX = 600.0


class ToolMissing(Exception):
    """Something is not installed; the message says how to get it."""


def missing_tools() -> list[tuple[str, str, bool]]:
    """(tool, how to get it, whether nothing works without it) for each that is not installed."""
    missing = []
    if compiler() is None:
        missing.append(("a C compiler", "apt-get install gcc libc6-dev", True))
    if nginx() is None:
        missing.append(("nginx", "apt-get install nginx-light", False))
    return missing


def install_tools() -> None:
    """Install what is missing from Debian's packages. Raises ToolMissing without root or apt-get."""
    packages = [hint.removeprefix("apt-get install ") for _, hint, _ in missing_tools()]
    if not packages:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ToolMissing(
            f"--install needs root and apt-get. By hand: apt-get install {' '.join(packages)}"
        )
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    names = " ".join(packages).split()
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *names]):
        done = subprocess.run(
            ["apt-get", "--quiet", *command],
            env=environment,
            timeout=INSTALL_S_MAX,
            stdout=sys.stderr,
            check=False,
        )
        if done.returncode:
            raise ToolMissing(f"apt-get {' '.join(command)} failed")


def compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def nginx() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
