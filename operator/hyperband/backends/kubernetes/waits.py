"""What a study's pods wait for, for people to read. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from hyperband.api.status import QUEUED, WAITING_FOR_NODES
from hyperband.backends.kubernetes.attempts import is_over, mark, trains, waiting_reason
from hyperband.backends.kubernetes.objects import Pod

UNSCHEDULABLE, GATED = "Unschedulable", "SchedulingGated"

LONGEST_GRACE = timedelta(days=365)
# A pod is this late before it is called stuck: kubelets take a moment after the grace period.
LATE = timedelta(seconds=15)

Waits = dict[str, tuple[int, str]]  # for each reason how many pods, and one of them in words


def waits_for(waits: Waits) -> str:
    """In a word, what pods wait for that only take their time; empty where there are none."""
    if UNSCHEDULABLE in waits:
        return WAITING_FOR_NODES
    return QUEUED if GATED in waits else ""


class WaitCounter:
    """Counts pods by what they wait for."""

    def __init__(self) -> None:
        self.found: Waits = {}

    def add(self, reason: str, example: str) -> None:
        count, first = self.found.get(reason, (0, example))
        self.found[reason] = (count + 1, first)

    def look_at(self, pods: Iterable[Pod], now: datetime) -> None:
        """Adds the pods that wait to run, or should be gone by now."""
        for pod in pods:
            if is_stuck(pod, now):
                self.add("Terminating", _stuck(pod))
            elif (why := waiting_reason(pod, now)) is not None:
                name, (reason, message) = pod.metadata.name, why
                self.add(reason, f"{name}: {message}" if message else name)


def is_quiet(pod: Pod) -> bool:
    """Whether nothing is to be said of a pod as long as it does not change."""
    statuses = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    waiting = any(status.state.waiting is not None for status in statuses)
    return is_over(pod) or (trains(pod) and not waiting and _due(pod) is None)


def grace(pod: Pod) -> timedelta:
    """How long its containers may go on after SIGTERM, at most what can be reckoned with."""
    return min(
        LONGEST_GRACE, timedelta(seconds=min(pod.spec.termination_grace_period_seconds, 1e9))
    )


def is_stuck(pod: Pod, now: datetime) -> bool:
    """Whether a pod that was ended runs on after its grace period: a dead node, say."""
    due = _due(pod)
    return due is not None and not is_over(pod) and now > due + LATE


def seconds_until_stuck(pods: Iterable[Pod], now: datetime) -> float | None:
    """Seconds until one of these pods should have ended, if it is still there by then."""
    due = [_due(pod) for pod in pods if not is_over(pod)]
    rest = [(moment + LATE - now).total_seconds() for moment in due if moment is not None]
    return min((seconds for seconds in rest if seconds >= 0), default=None)


def _due(pod: Pod) -> datetime | None:
    """When the grace period of a pod that was told to end is over."""
    if pod.metadata.deletion_timestamp is not None:
        return pod.metadata.deletion_timestamp
    ended = mark(pod)
    return None if ended is None else ended.time + grace(pod)


def _stuck(pod: Pod) -> str:
    """What an administrator can do: the pod may still write, so nobody else decides it is lost."""
    name, node = pod.metadata.name, pod.spec.node_name
    if not node:
        return f"{name} does not end"
    return (
        f"{name} on {node} does not end; it holds its slot until {node} answers again or is known "
        f"to be off: kubectl delete node {node}, or taint it "
        "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"
    )
