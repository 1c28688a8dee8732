"""Programs that run beside a bare API server, and how they are started and ended."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hack.cluster import gobuild

STOP_SECONDS: Final = 30.0
# What KWOK can play. Not how pods complete: that is the training's part.
NODES: Final = "node/fast/node-initialize.yaml"
NODE_LEASES: Final = "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml"
PODS: Final = "pod/fast/pod-ready.yaml"
DELETIONS: Final = "pod/fast/pod-delete.yaml"


@dataclass(frozen=True)
class Cluster:
    """One that runs.

    Attributes:
        logs: a folder with the programs' logs.
    """

    kubeconfig: Path
    logs: Path
    processes: Mapping[str, subprocess.Popen[bytes]]

    def check(self) -> None:
        """Complains of a program that has ended.

        Raises:
            RuntimeError: with the end of its log.
        """
        for name, process in self.processes.items():
            if process.poll() is not None:
                tail = (self.logs / name).read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{name} has ended with {process.returncode}: {tail}")


@contextlib.contextmanager
def process(
    words: list[str], log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A program with its output in a file; it is ended at last."""
    with log.open("wb") as out:
        started = subprocess.Popen(
            words, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def component(name: str, kubeconfig: Path) -> list[str]:
    """The command of one of Kubernetes' own, which leads without an election."""
    program = gobuild.TOOLS[name].binary
    return [str(program), f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0"]


def kwok(kubeconfig: Path, stages: Iterable[str]) -> list[str]:
    """KWOK's command: it plays all nodes and their pods by these of its stages."""
    folder = gobuild.module_folder(gobuild.KWOK.module, gobuild.KWOK.version) / "kustomize/stage"
    return [
        str(gobuild.KWOK.binary),
        f"--kubeconfig={kubeconfig}",
        "--manage-all-nodes=true",
        *(f"--config={folder / stage}" for stage in stages),
    ]
