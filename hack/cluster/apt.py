"""Debian packages, installed only as root on Debian or Ubuntu, and never starting a service."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hack.cluster.run import logged, step

_POLICY: Final = Path("/usr/sbin/policy-rc.d")
_NO_STARTS: Final = (
    "#!/bin/sh\n# Put here by hack/cluster for the time of one installation.\nexit 101\n"
)


def usable() -> bool:
    """Whether packages can be installed here: root, apt, and a distribution with the packages."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    release = Path("/etc/os-release")
    if not release.exists():
        return False
    fields = dict(
        line.split("=", 1) for line in release.read_text("utf-8").splitlines() if "=" in line
    )
    names = f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}".replace('"', "").split()
    return "debian" in names or "ubuntu" in names


def install(packages: Sequence[str]) -> None:
    """Install packages without what they recommend, with no daemon started by their scripts."""
    with step(f"installing {', '.join(packages)}"), _no_service_starts():
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        logged("apt-update", ["apt-get", "update"], env=quiet)
        logged(
            "apt-install",
            ["apt-get", "install", "--yes", "--no-install-recommends", *packages],
            env=quiet,
        )


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian's own switch: maintainer scripts ask policy-rc.d, and 101 means no."""
    if _POLICY.exists() and _POLICY.read_text("utf-8") != _NO_STARTS:
        # Someone's own policy, not one that a killed run of ours left: it stands.
        yield
        return
    _POLICY.write_text(_NO_STARTS, encoding="ascii")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()
