"""How many pods a study has, and what they are at; counted as news of them come."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from hyperband.api import names
from hyperband.backends.kubernetes.attempts import is_over
from hyperband.backends.kubernetes.objects import Pod

_WAITING = "Pending"  # the phase of a pod of which no container has started


class PodState(StrEnum):
    """What a living pod of a trial is at."""

    GATED = "gated"  # a scheduling gate keeps it from the scheduler, as in a queue
    UNSCHEDULED = "unscheduled"  # it has no node
    STARTING = "starting"  # it has one, and its images, volumes or init containers are not ready
    RUNNING = "running"


def state(pod: Pod) -> PodState:
    """What the pod is at, if it is not over."""
    if pod.status.phase not in ("", _WAITING):
        return PodState.RUNNING
    if pod.spec.node_name:
        return PodState.STARTING
    return PodState.GATED if pod.spec.scheduling_gates else PodState.UNSCHEDULED


class PodFigures:
    """The living pods of all studies' trials, by study."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._pods: dict[tuple[str, str], dict[str, tuple[PodState, datetime | None]]] = {}

    def see(self, old: Pod | None, new: Pod | None) -> None:
        """A pod has changed, as an informer tells it."""
        if old is not None and (key := _study(old)) is not None:
            living = self._pods.get(key, {})
            living.pop(old.metadata.uid, None)
            if not living:
                self._pods.pop(key, None)
        if new is not None and not is_over(new) and (key := _study(new)) is not None:
            known = state(new), new.metadata.creation_timestamp
            self._pods.setdefault(key, {})[new.metadata.uid] = known

    def counts(self, namespace: str, study: str) -> Counter[PodState]:
        """How many there are in each state."""
        return Counter(state for state, _ in self._pods.get((namespace, study), {}).values())

    def longest_wait(self, namespace: str, study: str) -> float:
        """Seconds since the oldest of those that do not run was made; 0 if there is none."""
        made = [
            since
            for state, since in self._pods.get((namespace, study), {}).values()
            if state is not PodState.RUNNING and since is not None
        ]
        return max(0.0, (self._now() - min(made)).total_seconds()) if made else 0.0


def _study(pod: Pod) -> tuple[str, str] | None:
    """Whose it is; None for a pod that is of no trial."""
    owner = pod.metadata.controller
    if owner is None or owner.kind != names.TRIAL_KIND:
        return None
    study, _, _ = owner.name.rpartition("-")  # labels may be anything
    return pod.metadata.namespace, study
