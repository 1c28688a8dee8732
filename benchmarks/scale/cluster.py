"""A cluster of played nodes with many GPUs: the real API server, etcd and scheduler.

The API server's audit log tells who wrote what and when: delays and counts are read from it.
"""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks import programs, server
from hack.cluster import gobuild

PROGRAMS: Final = ("etcd", "kube-apiserver", "kube-scheduler", "kwok")
STAGES: Final = (programs.NODES, programs.PODS, programs.DELETIONS)
INSTALLED: Final = ("00-namespace.yaml", "20-study-policy.yaml", "30-reporter-policy.yaml")
# Clients of the programs beside us must not be what is measured.
REQUESTS_A_SECOND: Final = 5000
GPU: Final = "nvidia.com/gpu"
GPUS_OF_NODE: Final = 8

Body = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """One that runs, with its audit log."""

    cluster: programs.Cluster
    server: server.Server
    audit: Path


@contextlib.contextmanager
def running(logs: Path | None = None) -> Iterator[Scene]:
    """Starts all of it, and ends it.

    Args:
        logs: a folder to keep the logs in; without it they are gone.

    Raises:
        ClusterError: a program is not built yet, and cannot be.
        TimeoutError: the API server does not come up.
    """
    gobuild.build(gobuild.TOOLS[name] for name in PROGRAMS)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-scale-")))
        logs = logs or folder
        logs.mkdir(parents=True, exist_ok=True)
        audit, policy = logs / "audit.log", folder / "audit-policy.json"
        audit.unlink(missing_ok=True)
        policy.write_text(json.dumps(audit_policy()))
        words = (
            f"--audit-policy-file={policy}",
            f"--audit-log-path={audit}",
            "--audit-log-mode=batch",
            "--audit-log-maxsize=100000",  # MB; else there is another file after 100
            # New nodes would be tainted until a controller that is not here sees them ready.
            "--disable-admission-plugins=TaintNodesByCondition",
        )
        running = stack.enter_context(server.running(words))
        manifests = server.ROOT / "manifests" / "install"
        server.install(running.kubeconfig, *(manifests / name for name in INSTALLED))
        scheduler = folder / "scheduler.yaml"
        scheduler.write_text(yaml.safe_dump(scheduler_settings(running.kubeconfig)))
        commands = {
            "kube-scheduler": [
                str(gobuild.TOOLS["kube-scheduler"].binary),
                f"--config={scheduler}",
                "--secure-port=0",
            ],
            "kwok": programs.kwok(running.kubeconfig, STAGES),
        }
        processes = {
            name: stack.enter_context(programs.process(words, logs / name, {}))
            for name, words in commands.items()
        }
        cluster = programs.Cluster(running.kubeconfig, logs, processes)
        yield Scene(cluster, running, audit)


def audit_policy() -> Body:
    """Each write to what a study has, once, when it is answered; who, what, when, no bodies."""
    written = [
        {"group": "", "resources": ["pods", "pods/status", "pods/binding"]},
        {"group": "hyperband.dev", "resources": ["*"]},
        {"group": "events.k8s.io", "resources": ["events"]},
        {"group": "", "resources": ["events"]},
    ]
    verbs = ["create", "update", "patch", "delete", "deletecollection"]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": [
            {"level": "Metadata", "verbs": verbs, "resources": written},
            {"level": "None"},
        ],
    }


def scheduler_settings(kubeconfig: Path) -> Body:
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {
            "kubeconfig": str(kubeconfig),
            "qps": REQUESTS_A_SECOND,
            "burst": REQUESTS_A_SECOND,
        },
    }


def node(number: int) -> Body:
    """A GPU machine that KWOK plays."""
    capacity = {"cpu": "96", "memory": "960Gi", "pods": "110", GPU: str(GPUS_OF_NODE)}
    return {
        "metadata": {"name": f"node-{number}", "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"capacity": capacity, "allocatable": capacity},
    }
