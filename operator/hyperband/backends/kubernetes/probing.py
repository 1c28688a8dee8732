"""Whether a study's template works at all, judged by its first pods. Pure.

A template that never works would burn the study's trials, and GPUs that its pods hold while they
wait. So while nothing of a study has ever worked, its trouble is taken for the template's:

- No container that trains has started, and a pod is kept from it: no node can take it, and none has
  come for a while that can; its image cannot be pulled; its container cannot be made.
- No trial has reported anything, and several of them have ended alike.

Then a few trials go on as probes and the others wait, so that the study goes on by itself when
what is missing is there. All this is derived from records and pods, so a new process finds it too.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hyperband.api import names
from hyperband.api.status import Blocked
from hyperband.api.trial import AttemptRecord, TrialResource
from hyperband.backends.kubernetes.attempts import (
    is_out_of_memory,
    is_over,
    trains,
    waiting_reason,
)
from hyperband.backends.kubernetes.objects import Pod
from hyperband.backends.kubernetes.waits import UNSCHEDULABLE
from hyperband.core.decisions import Finish, Outcome, Reason
from hyperband.core.records import TrialState

# A node that an autoscaler has ordered comes within this, or is given up: cluster-autoscaler and
# Karpenter both wait for 15 min.
NODES = timedelta(minutes=15)
PROBES = 2  # trials whose pods go on trying to start
ALIKE = 3  # trials that have failed alike; a few configurations may do that by themselves
MAX_WORDS = 400  # characters of what Kubernetes says

_IMAGE = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
}
_CONTAINER = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "PreCreateHookError",
    "PreStartHookError",
    "PostStartHookError",
    "CrashLoopBackOff",  # of a sidecar that has to run before the training does
}
_CREATING = {"ContainerCreating", "PodInitializing"}
# What the scheduler says where no node could take the pod even if it were empty: also of the first
# pods on a cluster that has scaled its nodes to zero.
_NOWHERE = re.compile(r"preemption: 0/(\d+) nodes are available: \1 Preemption is not helpful")
_NO_CLAIM = re.compile(r"persistentvolumeclaim \".*\" not found")
_FIXED = "the template is fixed: if it is wrong, delete the study and create it anew"
_MENDS = {
    "ImagePullFailed": f"it goes on by itself when the image can be pulled; {_FIXED}",
    "ContainerCreationFailed": f"it goes on by itself when what is missing is there; {_FIXED}",
    UNSCHEDULABLE: "no node could take it, full or empty; it goes on by itself when one is added "
    f"that can. An autoscaler's own words are in `kubectl describe pod`; {_FIXED}",
}
_SIDECAR_MEND = (
    "its image is that of the operator's option --sidecar-image (sidecar.image of the chart), or "
    "spec.reporting.image; it goes on by itself when that image can be pulled. To change it, also "
    "delete the pods that wait: they keep the old one"
)
_IDENTIFIER = re.compile(r"[0-9a-f][0-9a-f-]{7,}")  # of a pod or a container, in a runtime's words


@dataclass(frozen=True, slots=True)
class Hold:
    """What keeps a study's pods from working, and what is done about it.

    Attributes:
        blocked: for the study's conditions.
        probes: trials whose pods are still made; None if it is of no use to hold back the others.
        withdrawn: uids of pods to be taken back, as they hold their nodes' devices for nothing.
        finish: the end of the study, once the probes have used up their retries.
    """

    blocked: Blocked
    probes: frozenset[int] | None = None
    withdrawn: frozenset[str] = frozenset()
    finish: Finish | None = None

    def keeps_back(self, index: int) -> bool:
        """Whether this trial has to wait for the probes."""
        return self.probes is not None and index not in self.probes


def judge(
    resources: Mapping[int, TrialResource],
    pods_of: Callable[[str], Sequence[Pod]],
    reports: Callable[[Pod], bool],
    now: datetime,
) -> Hold | None:
    """What is wrong with the study's template, or None as far as is known.

    Args:
        resources: all trials of the study, by index, ascending.
        pods_of: the pods in sight of the trial with this uid.
        reports: whether the pod has reported anything.
    """
    if any(_reported(resource) for resource in resources.values()):
        return None
    active = [resource for resource in resources.values() if resource.trial.state.active]

    def living() -> Iterator[Pod]:
        return (pod for r in active for pod in pods_of(r.uid) if not is_over(pod))

    hold = _failing(resources)
    if hold is None:
        trained = any(a.training_time for r in resources.values() for a in r.attempts)
        if trained or any(map(trains, living())):
            return None
        return _not_starting({r.trial.index: list(pods_of(r.uid)) for r in active}, now)
    if any(map(reports, living())):
        return None
    if hold.finish is not None and any(map(trains, living())):
        return Hold(hold.blocked, hold.probes)  # one that runs may still prove it right
    return hold


def _reported(resource: TrialResource) -> bool:
    trial = resource.trial
    return bool(trial.rungs or resource.curve or trial.reason == Reason.DIVERGED)


def _not_starting(pods: Mapping[int, Sequence[Pod]], now: datetime) -> Hold | None:
    """Looks at what pods wait for, before any has started; the first in trouble is quoted."""
    troubles: dict[str, tuple[Pod, str, str]] = {}
    for pod in (pod for each in pods.values() for pod in each):
        if (found := _trouble(pod, now)) is not None:
            troubles[pod.metadata.uid] = (pod, *found)
    if not troubles:
        return None
    # Pods that a node has taken tell more.
    pod, reason, words = min(troubles.values(), key=lambda each: each[1] == UNSCHEDULABLE)
    blocked = Blocked(
        reason,
        f"no pod of the study has started; {pod.metadata.name}: {words[:MAX_WORDS]}; "
        f"{_SIDECAR_MEND if names.SIDECAR in words else _MENDS[reason]}",
    )
    if reason == UNSCHEDULABLE:  # an autoscaler may still make room for the pods that it sees
        return Hold(blocked)
    probes = frozenset(sorted(pods)[:PROBES])
    withdrawn = {
        pod.metadata.uid for index, each in pods.items() if index not in probes for pod in each
    }
    return Hold(blocked, probes, frozenset(withdrawn & troubles.keys()))


def _trouble(pod: Pod, now: datetime) -> tuple[str, str] | None:
    """What keeps a pod from starting, if it is nothing that passes by itself: reason and words."""
    waiting = waiting_reason(pod, now)
    if waiting is None:
        return None
    reason, message = waiting
    words = f"{reason}: {message}" if message else reason
    if reason in _IMAGE:
        return "ImagePullFailed", words
    if reason in _CONTAINER:
        return "ContainerCreationFailed", words
    if reason == UNSCHEDULABLE and _fits_nowhere(pod, message, now):
        return UNSCHEDULABLE, words
    ready = pod.status.condition("PodReadyToStartContainers")
    # False: its volumes or its network are not there. True: an image is pulled, which takes time.
    if reason in _CREATING and ready is not None and ready.status == "False":
        return "ContainerCreationFailed", f"{words} (a volume, ConfigMap or Secret, as a rule)"
    return None


def _fits_nowhere(pod: Pod, message: str, now: datetime) -> bool:
    """Whether more nodes are no help, or should have come by now."""
    if _NO_CLAIM.search(message):
        return True
    scheduled = pod.status.condition("PodScheduled")
    since = scheduled.last_transition_time if scheduled is not None else None
    waited = since is not None and now >= since + NODES
    return waited and _NOWHERE.search(message) is not None


def _failing(resources: Mapping[int, TrialResource]) -> Hold | None:
    """Looks for trials whose attempts have ended alike."""
    alike: dict[tuple[str, str], dict[int, str]] = {}  # the same end: by trial, in its own words
    for index, resource in resources.items():
        for attempt in resource.attempts:
            if tells(attempt):
                alike.setdefault(_end(attempt), {})[index] = _words(attempt)
    ends = max(alike.values(), key=len, default={})
    if len(ends) < ALIKE:
        return None
    failed = [i for i in ends if resources[i].trial.state is TrialState.FAILED]
    said = f"no trial has reported anything, and {len(ends)} have ended alike: {ends[min(ends)]}"
    blocked = Blocked(
        "TemplateFails", f"{said}; the first {ALIKE} of them go on trying, the others wait"
    )
    finish = Finish(
        False, "TemplateFails", f"{said}; {len(failed)} have used up their retries; {_FIXED}"
    )
    return Hold(
        blocked,
        frozenset(sorted(ends)[:ALIKE]),
        finish=finish if len(failed) >= ALIKE else None,
    )


def tells(attempt: AttemptRecord) -> bool:
    """Whether the attempt's end may be the template's fault.

    Running out of memory is the configuration's as a rule: another one may be smaller.
    """
    failed = attempt.outcome in (Outcome.FAILED, Outcome.SUCCEEDED)
    return failed and not is_out_of_memory(attempt.reason)


def _end(attempt: AttemptRecord) -> tuple[str, str]:
    """The end without what differs from pod to pod."""
    words = attempt.reason.replace(attempt.pod, "…") if attempt.pod else attempt.reason
    return attempt.outcome, _IDENTIFIER.sub("…", words)


def _words(attempt: AttemptRecord) -> str:
    if attempt.outcome == Outcome.SUCCEEDED:
        what = "exited with 0 without a report"
        return f"{what}; {attempt.reason}" if attempt.reason else what
    return attempt.reason[:MAX_WORDS]
