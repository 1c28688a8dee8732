"""kind's configuration of the cluster: its nodes, what they mount, the API server's audit log."""

import json
from pathlib import Path
from typing import Any, Final

from hack.cluster import paths

WORKERS: Final = 2
AUDIT_LOG: Final = "/var/log/kubernetes/audit.log"
AUDIT_POLICY: Final = paths.RECIPES / "kind" / "audit-policy.yaml"


def config(official: bool) -> dict[str, Any]:
    """kind's configuration; JSON is YAML too."""
    checkpoints = {"hostPath": str(paths.CHECKPOINTS), "containerPath": "/checkpoints"}
    audit = {
        "hostPath": str(paths.CLUSTER / "audit"),
        "containerPath": "/etc/kubernetes/audit",
        "readOnly": True,
    }
    control_plane = {
        "role": "control-plane",
        "extraMounts": [checkpoints, audit],
        "kubeadmConfigPatches": [json.dumps(_audit_patch())],
    }
    workers = [{"role": "worker", "extraMounts": [checkpoints]} for _ in range(WORKERS)]
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        # kindnetd comes with the official image alone; `network` does its work otherwise.
        "networking": {"ipFamily": "ipv4", "disableDefaultCNI": not official},
        "nodes": [control_plane, *workers],
    }


def _audit_patch() -> dict[str, Any]:
    def volume(name: str, path: Path, kind: str, read_only: bool) -> dict[str, Any]:
        return {
            "name": name,
            "hostPath": str(path),
            "mountPath": str(path),
            "readOnly": read_only,
            "pathType": kind,
        }

    return {
        "kind": "ClusterConfiguration",
        "apiServer": {
            "extraArgs": {
                "audit-policy-file": "/etc/kubernetes/audit/policy.yaml",
                "audit-log-path": AUDIT_LOG,
                "audit-log-maxsize": "50",
                "audit-log-maxbackup": "1",
            },
            "extraVolumes": [
                volume("audit-policy", Path("/etc/kubernetes/audit"), "DirectoryOrCreate", True),
                volume("audit-log", Path(AUDIT_LOG).parent, "DirectoryOrCreate", False),
            ],
        },
    }
