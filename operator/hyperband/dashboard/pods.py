"""Pods and events as a trial's page has them. Pure."""

from collections.abc import Mapping
from typing import Any

from hyperband.api import names
from hyperband.core.errors import all_printable

Body = Mapping[str, Any]


def row(pod: Body) -> dict[str, Any]:
    """A pod, and why it is as it is; no environment, no volumes."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    rows = status.get("conditions") or []
    unscheduled: Body = next(
        (each for each in rows if each["type"] == "PodScheduled" and each["status"] == "False"), {}
    )
    containers = [
        _container(each)
        for key in ("initContainerStatuses", "containerStatuses")
        for each in status.get(key) or []
    ]
    ends = [each["ended"] for each in containers if each["ended"]]
    labels = metadata.get("labels") or {}
    attempt = str(labels.get(names.ATTEMPT_LABEL, ""))
    shown: dict[str, Any] = all_printable(
        {
            "name": metadata["name"],
            "attempt": int(attempt) if attempt.isdecimal() and attempt.isascii() else None,
            "node": spec.get("nodeName", ""),
            "phase": "Terminating" if metadata.get("deletionTimestamp") else status.get("phase"),
            "reason": status.get("reason") or unscheduled.get("reason", ""),
            "message": status.get("message") or unscheduled.get("message", ""),
            "started": status.get("startTime"),
            "ended": max(ends) if ends and status.get("phase") in ("Succeeded", "Failed") else None,
            "containers": containers,
        }
    )
    return shown


def _container(status: Body) -> dict[str, Any]:
    kind, state = next(iter((status.get("state") or {"waiting": {}}).items()))
    return {
        "name": status["name"],
        "state": kind,
        "reason": state.get("reason", ""),
        "message": state.get("message", ""),
        "exitCode": state.get("exitCode"),
        "restarts": status.get("restartCount", 0),
        "ended": state.get("finishedAt"),
    }


def event(given: Body) -> dict[str, Any]:
    """An event: of the old kind, or of the new one, which has other fields for the same."""
    series = given.get("series") or {}
    time = given.get("lastTimestamp") or series.get("lastObservedTime") or given.get("eventTime")
    shown: dict[str, Any] = all_printable(
        {
            "type": given.get("type", ""),
            "reason": given.get("reason", ""),
            "message": given.get("message", ""),
            "count": given.get("count") or series.get("count") or 1,
            "first": given.get("firstTimestamp") or given.get("eventTime"),
            "last": time or given["metadata"].get("creationTimestamp"),
            "object": (given.get("involvedObject") or {}).get("name", ""),
        }
    )
    return shown


def training(pod: Body) -> str:
    """The container that trains."""
    annotations = pod["metadata"].get("annotations") or {}
    default: str = (
        annotations.get(names.CONTAINER_ANNOTATION) or pod["spec"]["containers"][0]["name"]
    )
    return default
