"""Whether this machine may do what a container runtime takes for granted."""

from pathlib import Path
from typing import Final

_CAP_SYS_RESOURCE: Final = 24


def lacks_sys_resource() -> bool:
    """Whether CAP_SYS_RESOURCE is outside this process's bounding set.

    Sandboxed machines lack it even for root; the runtime wrapper in ``recipes/engine`` helps.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        # Not Linux: the engine is in a virtual machine, and a whole one.
        return False
    for line in status.read_text(encoding="ascii").splitlines():
        if line.startswith("CapBnd:"):
            return not int(line.split()[1], 16) >> _CAP_SYS_RESOURCE & 1
    return False
