"""A small Debian image by debootstrap, for machines that can pull none."""

import os
import shutil
from pathlib import Path
from typing import Final

from hack.cluster import apt, leftovers, paths, versions
from hack.cluster.engine import Engine
from hack.cluster.run import Missing, logged, step

IMAGE: Final = f"hyperband.dev/debian:{versions.DEBIAN}"


def ensure(engine: Engine) -> str:
    """The reference of the image, made when the engine does not have it."""
    if engine.has_image(IMAGE):
        return IMAGE
    _require_debootstrap()
    root = paths.IMAGES / "debian-root"
    _remove(root)
    paths.IMAGES.mkdir(parents=True, exist_ok=True)
    archive = paths.IMAGES / "debian.tar"
    try:
        with step(f"making a Debian {versions.DEBIAN} base with debootstrap, about 1 min"):
            logged("debootstrap", ["debootstrap", "--variant=minbase", versions.DEBIAN, str(root)])
            logged("debian-slim", ["sh", str(paths.RECIPES / "debian" / "slim.sh"), str(root)])
            logged(
                "debian-tar",
                [
                    "tar",
                    "--create",
                    "--numeric-owner",
                    *(f"--exclude=./{folder}/*" for folder in ("dev", "proc", "sys")),
                    f"--directory={root}",
                    f"--file={archive}",
                    ".",
                ],
            )
            engine.docker("import", str(archive), IMAGE)
    finally:
        _remove(root)
        archive.unlink(missing_ok=True)
    return IMAGE


def _remove(root: Path) -> None:
    """Remove the tree, but never through the /proc and /sys that a killed debootstrap left."""
    leftovers.unmount_below(root)
    shutil.rmtree(root, ignore_errors=True)


def _require_debootstrap() -> None:
    if os.geteuid() == 0 and shutil.which("debootstrap") is not None:
        return
    if not apt.usable():
        raise Missing(
            f"no image can be pulled ({versions.OFFICIAL_NODE_IMAGE}), and one can be made only "
            "as root on Debian or Ubuntu",
            "let the Docker engine reach its registry",
        )
    apt.install(["debootstrap"])
