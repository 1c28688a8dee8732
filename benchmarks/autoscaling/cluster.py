"""A cluster without machines: real programs that schedule on nodes which KWOK plays.

etcd, kube-apiserver, kube-scheduler, Karpenter, which brings nodes and takes them away, KWOK, which
reports them and their pods as running, and two of the controllers.
"""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.autoscaling import machines
from benchmarks.state import server
from hack.cluster import gobuild

PROGRAMS: Final = (
    "etcd",
    "kube-apiserver",
    "kube-scheduler",
    "kube-controller-manager",
    "kwok",
    "karpenter",
)
# What lets pods onto nodes that are ready, and removes those whose node is gone.
CONTROLLERS: Final = ("node-lifecycle-controller", "pod-garbage-collector-controller")
# What KWOK plays. Not how pods complete: that is the training's part.
STAGES: Final = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-delete.yaml",
)
STOP_SECONDS: Final = 30.0


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


def build() -> None:
    """Compiles those programs that are not in the cache.

    Raises:
        ClusterError: there is no Go to do it with.
    """
    gobuild.build(gobuild.TOOLS[name] for name in PROGRAMS)


@contextlib.contextmanager
def running(logs: Path | None = None) -> Iterator[Cluster]:
    """Starts all of them, and ends them.

    Args:
        logs: a folder to keep the logs in; without it they are gone.

    Raises:
        ClusterError: a program is not built yet, and cannot be.
        TimeoutError: the API server does not come up.
    """
    build()
    with contextlib.ExitStack() as stack:
        kubeconfig = stack.enter_context(server.running()).kubeconfig
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-autoscaling-")))
        logs = logs or folder
        logs.mkdir(parents=True, exist_ok=True)
        server.install(kubeconfig, *_definitions())
        commands: dict[str, tuple[list[str], dict[str, str]]] = {
            "kube-scheduler": (_component("kube-scheduler", kubeconfig), {}),
            "kube-controller-manager": (
                [
                    *_component("kube-controller-manager", kubeconfig),
                    f"--controllers={','.join(CONTROLLERS)}",
                ],
                {},
            ),
            "kwok": (_kwok(kubeconfig), {}),
            "karpenter": ([str(gobuild.KARPENTER.binary)], _settings(kubeconfig, folder)),
        }
        processes = {
            name: stack.enter_context(process(words, logs / name, settings))
            for name, (words, settings) in commands.items()
        }
        yield Cluster(kubeconfig, logs, processes)


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


def _definitions() -> list[Path]:
    """Karpenter's own, out of its module."""
    module = gobuild.module_folder(gobuild.KARPENTER.module, gobuild.KARPENTER.version)
    return [module / "pkg" / "apis" / "crds", module / "kwok" / "apis" / "crds"]


def _component(name: str, kubeconfig: Path) -> list[str]:
    program = gobuild.TOOLS[name].binary
    return [str(program), f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0"]


def _kwok(kubeconfig: Path) -> list[str]:
    stages = gobuild.module_folder(gobuild.KWOK.module, gobuild.KWOK.version) / "kustomize/stage"
    return [
        str(gobuild.KWOK.binary),
        f"--kubeconfig={kubeconfig}",
        "--manage-all-nodes=true",
        "--node-lease-duration-seconds=40",
        *(f"--config={stages / stage}" for stage in STAGES),
    ]


def _settings(kubeconfig: Path, folder: Path) -> dict[str, str]:
    """Karpenter's: all but ports and where things are is as it comes."""
    types = folder / "instance-types.json"
    types.write_text(json.dumps(machines.instance_types()))
    metrics, probes = server.free_ports(2)
    return {
        "KUBECONFIG": str(kubeconfig),
        "INSTANCE_TYPES_FILE_PATH": str(types),
        "DISABLE_LEADER_ELECTION": "true",
        "SYSTEM_NAMESPACE": "kube-system",
        "METRICS_PORT": str(metrics),
        "HEALTH_PROBE_PORT": str(probes),
    }
