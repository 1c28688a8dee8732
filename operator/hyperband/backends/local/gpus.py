"""Which GPUs this machine has for trials."""

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from itertools import takewhile

_DEVICE = re.compile("[0-9]+|(GPU|MIG)-.+")


def devices(
    wanted: int | None, visible: str | None, listed: Callable[[], Sequence[str]]
) -> tuple[str, ...]:
    """What CUDA_VISIBLE_DEVICES may name.

    Args:
        wanted: how many, as the person says; None: all.
        visible: that variable as it is now: no other ones are ours.
        listed: those that the driver lists; asked only if nobody else has said.
    """
    if visible is not None:
        # As CUDA reads it: what follows one that is none, such as -1, is not to be seen.
        named = takewhile(_DEVICE.fullmatch, map(str.strip, visible.split(",")))
        own = list(dict.fromkeys(named))
        return tuple(own if wanted is None else own[:wanted])
    if wanted is not None:
        return tuple(map(str, range(wanted)))
    return tuple(listed())


def list_devices() -> list[str]:
    """The GPUs that nvidia-smi lists; none where there is no such program, or it fails."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=index", "--format=csv,noheader"]
    try:
        ended = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in ended.stdout.splitlines() if line.strip().isdecimal()]
