"""The container that reports for a training which only writes a file (`hyperband.report.sidecar`).

Pure. A native sidecar: an init container that a kubelet restarts always, starts before the training
and ends after it.
"""

import copy
from collections.abc import Mapping
from typing import Any, Final

from hyperband.api import names
from hyperband.version import VERSION

SIDECAR_IMAGE: Final = f"hyperband.dev/hyperband-sidecar:{VERSION}"

_MEMORY: Final = "32Mi"
_CPU: Final = "10m"  # a look at the file twice a second
_CPU_LIMIT: Final = "100m"
# A training that fills it is evicted, in place of one that fills its node's disk.
_REPORT_BYTES: Final = "1Gi"
_MAX_FLUSH_SECONDS: Final = 20.0
# What of the training's environment the sidecar needs too.
_SHARED: Final = (
    names.ENV_RESOURCE_NAME,
    names.ENV_METRIC,
    names.ENV_RUNGS,
    names.ENV_REPORT_FILE,
    names.ENV_POD_NAME,
    names.ENV_POD_NAMESPACE,
)


def sidecar_container(image: str, training: Mapping[str, Any], grace: float) -> dict[str, Any]:
    """The sidecar, which has no token yet.

    Args:
        training: the container that trains, with its environment.
        grace: seconds from SIGTERM to SIGKILL.
    """
    shared = [each for each in training["env"] if each.get("name") in _SHARED]
    flush = {"name": names.ENV_FLUSH_SECONDS, "value": f"{flush_seconds(grace):g}"}
    return {
        "name": names.SIDECAR,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "env": [*copy.deepcopy(shared), flush],
        "volumeMounts": [{"name": names.REPORT_VOLUME, "mountPath": names.REPORT_MOUNT}],
        # It has started when it has made the file: no training begins with one that cannot.
        "startupProbe": {
            "exec": {"command": ["python3", "-ISc", f"open('{names.REPORT_FILE}')"]},
            "periodSeconds": 1,
            "timeoutSeconds": 10,
            "failureThreshold": 60,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": _resources(training),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def report_volume() -> dict[str, Any]:
    """Where training and sidecar both see the file."""
    return {"name": names.REPORT_VOLUME, "emptyDir": {"sizeLimit": _REPORT_BYTES}}


def flush_seconds(grace: float) -> float:
    """How long the sidecar may take at its end: a kubelet kills it after the grace period."""
    return max(1.0, min(grace - 1, _MAX_FLUSH_SECONDS))


def _resources(training: Mapping[str, Any]) -> dict[str, Any]:
    """CPU is limited where that of the training is: a quota may ask for it, or Guaranteed pods."""
    resources = training.get("resources")
    limits = resources.get("limits") if isinstance(resources, Mapping) else None
    if isinstance(limits, Mapping) and "cpu" in limits:
        amounts = {"cpu": _CPU_LIMIT, "memory": _MEMORY}
        return {"requests": amounts, "limits": dict(amounts)}
    return {"requests": {"cpu": _CPU, "memory": _MEMORY}, "limits": {"memory": _MEMORY}}
