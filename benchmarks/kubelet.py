"""What a kubelet says of pods that are played."""

from datetime import UTC, datetime
from typing import Any

from hyperband.backends.kubernetes.client import MERGE_PATCH
from hyperband.backends.kubernetes.objects import PODS, Pod
from hyperband.backends.kubernetes.transport import Call

Body = dict[str, Any]


def end_of(pod: Pod, code: int, **said: str) -> Call:
    """The report that the pod's container has ended with this exit code.

    Args:
        said: more of the pod's status, such as its reason.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    started = (pod.status.start_time or datetime.now(UTC)).isoformat()
    terminated = {"exitCode": code, "startedAt": started, "finishedAt": now}
    state = {"terminated": terminated | {"reason": "Error" if code else "Completed"}}
    container = pod.spec.containers[0].name
    row = {"name": container, "image": "", "imageID": "", "restartCount": 0, "ready": False}
    status: Body = {"phase": "Failed" if code else "Succeeded", **said}
    status["containerStatuses"] = [row | {"state": state}]
    body = {"metadata": {"uid": pod.metadata.uid}, "status": status}
    place = (pod.metadata.namespace, pod.metadata.name, "status")
    return Call("patch", PODS, *place, None, body, MERGE_PATCH)
