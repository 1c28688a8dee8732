"""The memory of this process."""

import resource
import sys
from pathlib import Path


def peak() -> int:
    """The most resident memory so far, in bytes.

    Linux counts what the parent had when it forked into getrusage; /proc does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
