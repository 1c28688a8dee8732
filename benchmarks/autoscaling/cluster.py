"""A cluster without machines: real programs that schedule on nodes which KWOK plays.

etcd, kube-apiserver, kube-scheduler, Karpenter, which brings nodes and takes them away, KWOK, which
reports them and their pods as running, and two of the controllers.
"""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks import programs, server
from benchmarks.autoscaling import machines
from hack.cluster import gobuild

PROGRAMS: Final = (
    "etcd",
    "kube-apiserver",
    "kube-scheduler",
    "kube-controller-manager",
    "kwok",
    "karpenter",
)
STAGES: Final = (programs.NODES, programs.NODE_LEASES, programs.PODS, programs.DELETIONS)
# What lets pods onto nodes that are ready, and removes those whose node is gone.
CONTROLLERS: Final = ("node-lifecycle-controller", "pod-garbage-collector-controller")


def build() -> None:
    """Compiles those programs that are not in the cache.

    Raises:
        ClusterError: there is no Go to do it with.
    """
    gobuild.build(gobuild.TOOLS[name] for name in PROGRAMS)


@contextlib.contextmanager
def running(logs: Path | None = None) -> Iterator[programs.Cluster]:
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
            "kube-scheduler": (programs.component("kube-scheduler", kubeconfig), {}),
            "kube-controller-manager": (
                [
                    *programs.component("kube-controller-manager", kubeconfig),
                    f"--controllers={','.join(CONTROLLERS)}",
                ],
                {},
            ),
            "kwok": ([*programs.kwok(kubeconfig, STAGES), "--node-lease-duration-seconds=40"], {}),
            "karpenter": ([str(gobuild.KARPENTER.binary)], _settings(kubeconfig, folder)),
        }
        processes = {
            name: stack.enter_context(programs.process(words, logs / name, settings))
            for name, (words, settings) in commands.items()
        }
        yield programs.Cluster(kubeconfig, logs, processes)


def _definitions() -> list[Path]:
    """Karpenter's own, out of its module."""
    module = gobuild.module_folder(gobuild.KARPENTER.module, gobuild.KARPENTER.version)
    return [module / "pkg" / "apis" / "crds", module / "kwok" / "apis" / "crds"]


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
