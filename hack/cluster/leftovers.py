"""What a dockerd that was killed leaves behind: shims, containers, mounts, stale pid files.

A process counts as ours when its command line names our own run folder, which no other engine's
does; it is then ended by its pid.
"""

import os
import signal
import time
from pathlib import Path

from hack.cluster.run import capture


def mentions(pid: int, text: str) -> bool:
    """Whether the process exists and its command line contains the text."""
    try:
        return text.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        # It ended meanwhile, which is an answer.
        return False


def ended(pid: int) -> bool:
    """Whether a process is gone, or is a zombie whose parent has yet to notice."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def remove_stale_pid_files(run: Path) -> None:
    """Remove pid files whose process is not ours: dockerd trusts any living process there."""
    for pid_file in (run / "docker.pid", run / "exec/containerd/containerd.pid"):
        if not pid_file.exists():
            continue
        content = pid_file.read_text("ascii", errors="replace").strip()
        if not content.isdigit() or not mentions(int(content), str(run)):
            pid_file.unlink()


def clear(run: Path, data: Path) -> None:
    """End every process of an engine with these folders and unmount all that it mounted."""
    _end_all(_pids(run))
    unmount_below(run, data)
    _remove_cgroups()


def unmount_below(*roots: Path) -> None:
    """Unmount all that is mounted at or below the folders."""
    for mount in _mounts(roots):
        capture(["umount", "--lazy", str(mount)])


def _pids(run: Path) -> list[int]:
    ours = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]
    shims = [pid for pid in ours if pid != os.getpid() and mentions(pid, str(run))]
    inits: list[int] = []
    # A container's first process does not name our folder, but its bundle holds its pid.
    for pid_file in run.glob("exec/containerd/daemon/io.containerd.runtime.v2.task/*/*/init.pid"):
        pid = int(pid_file.read_text("ascii").strip() or "0")
        if pid > 1 and _in_container(pid, pid_file.parent.name):
            inits.append(pid)
    return inits + shims


def _in_container(pid: int, container: str) -> bool:
    """Whether the process is (still) of this container, by its control group."""
    try:
        return container in Path(f"/proc/{pid}/cgroup").read_text("utf-8")
    except OSError:
        return False


def _end_all(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not all(ended(pid) for pid in pids):
        time.sleep(0.1)


def _mounts(roots: tuple[Path, ...]) -> list[Path]:
    """Mount points below our folders, the deepest first."""
    points: list[Path] = []
    table = Path("/proc/self/mountinfo")
    # Not Linux: the mounts are in the engine's virtual machine.
    for line in table.read_text("utf-8").splitlines() if table.exists() else []:
        point = Path(line.split()[4].replace("\\040", " "))
        if any(root in (point, *point.parents) for root in roots):
            points.append(point)
    return sorted(points, key=lambda point: len(point.parts), reverse=True)


def _remove_cgroups() -> None:
    """Remove the empty `docker` control groups; a group in use refuses, and is then not ours."""
    for top in Path("/sys/fs/cgroup").glob("*/docker"):
        for folder, _, _ in os.walk(top, topdown=False):
            try:
                Path(folder).rmdir()
            except OSError:
                # Another engine's group with processes in it: it stays.
                break
