"""What a pod says about the attempt that it is: waiting, running or over, and how it ended.

Pure. The signs are those of the table in docs/concepts/outcomes.md; the phase is looked at before
any condition, because an eviction marks succeeded pods too.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from hyperband.api import names
from hyperband.api.words import signal_name
from hyperband.backends.kubernetes.objects import ContainerStatus, Pod, Terminated
from hyperband.core.decisions import Outcome
from hyperband.report.sidecar import TEMPORARY_FAILURE

# Refused or lost by the node, without a DisruptionTarget condition and through no fault of the
# training (kubelet: admission failures, shutdown; a container whose status was lost).
_NODE_REASONS = {
    "UnexpectedAdmissionError",
    "TopologyAffinityError",
    "NodeAffinity",
    "NodeShutdown",
    "Terminated",
    "Shutdown",
}
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
# A container that was lost with its node: the kubelet has forgotten it, or its machine went down
# under it, after which containerd says 255 and Unknown.
_LOST_CONTAINER = {"ContainerStatusUnknown", "Unknown"}
BY_SIGNAL = 128  # and its number: the exit code of what a signal has ended
LAST_YEAR = 9000  # of a mark that somebody has forged: times after it cannot be reckoned with
MAX_WORDS = 200  # characters of what a container says at its end
# A pod whose containers are not created after this has a problem that only its events tell.
CREATING = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, in words for the trial's record."""

    outcome: Outcome
    detail: str


def attempt_number(pod: Pod) -> int | None:
    """The attempt that the pod's name gives, or None if its trial's pods are not named so.

    Labels and owner references can be forged, a name exists once.
    """
    owner = pod.metadata.controller
    trial, _, suffix = pod.metadata.name.rpartition("-")
    if owner is None or owner.name != trial or not _NUMBER.fullmatch(suffix):
        return None
    return int(suffix)


def is_over(pod: Pod) -> bool:
    """Whether no container of the pod runs or ever will again."""
    return pod.status.phase in ("Succeeded", "Failed")


def is_ending(pod: Pod) -> bool:
    """Whether its deletion was asked for."""
    return pod.metadata.deletion_timestamp is not None


@dataclass(frozen=True, slots=True)
class Mark:
    """What the operator writes on a pod that it ends but keeps."""

    time: datetime
    why: str

    def __str__(self) -> str:
        return f"{self.time.isoformat(timespec='seconds').replace('+00:00', 'Z')} {self.why}"


def mark(pod: Pod) -> Mark | None:
    """When and why the operator has ended the pod, if it has."""
    time, _, why = pod.metadata.annotations.get(names.ENDED_ANNOTATION, "").partition(" ")
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:  # none, or somebody else's words
        return None
    return Mark(moment, why) if moment.tzinfo and moment.year < LAST_YEAR else None


def training_container(pod: Pod) -> ContainerStatus | None:
    """The status of the container that trains."""
    wanted = pod.metadata.annotations.get(names.CONTAINER_ANNOTATION)
    if wanted is None and pod.spec.containers:
        wanted = pod.spec.containers[0].name
    return next((s for s in pod.status.container_statuses if s.name == wanted), None)


def trains(pod: Pod) -> bool:
    """Whether the training container was seen running."""
    status = training_container(pod)
    if status is None:
        return False
    ended = status.state.terminated
    return status.state.running is not None or (ended is not None and _has_begun(ended))


def _has_begun(ended: Terminated) -> bool:
    """Whether the container has ever run, as far as is known.

    One that could not be started did so in 1970. One whose image never came is said to be lost, of
    unknown status, when its pod is ended.
    """
    if ended.started_at is None:
        return ended.reason not in _LOST_CONTAINER
    return ended.started_at.timestamp() != 0


def ending(pod: Pod) -> Ending:
    """How the attempt of a pod that is over ended."""
    if pod.status.phase == "Succeeded":
        return _success(pod)
    itself = _failed_before_mark(pod)
    if not itself and (why := interrupted(pod)):
        return Ending(Outcome.DISRUPTED, why)
    reason = "" if itself else pod.status.reason
    if reason in _NODE_REASONS or reason.startswith("OutOf"):
        return Ending(Outcome.DISRUPTED, f"{reason}: {pod.status.message}")
    container, terminated = _terminated(pod)
    if terminated is not None and terminated.reason in _LOST_CONTAINER:
        return Ending(Outcome.DISRUPTED, "the container was lost with its node")
    if reason:
        return Ending(Outcome.FAILED, f"{reason}: {pod.status.message}".removesuffix(": "))
    if terminated is None:
        return Ending(Outcome.FAILED, "the pod failed before its container ran")
    return Ending(Outcome.FAILED, f"{container}{_exit(terminated)}")


def _exit(ended: Terminated) -> str:
    """A container's end in words."""
    says_nothing = ended.reason in ("", "Error")
    why = signal_name(ended.exit_code - BY_SIGNAL) if says_nothing else ended.reason
    words = last_words(ended.message)
    return f"exit code {ended.exit_code}{why and f' ({why})'}{words and ': '}{words}"


def is_out_of_memory(reason: str) -> bool:
    """Whether the words of an attempt's end are those of a container that had too little memory.

    containerd may lose the kernel's notice (its issue 8893): then the signal alone tells, which
    nobody else sends as a rule.
    """
    return "(OOMKilled)" in reason or "(SIGKILL)" in reason


def _success(pod: Pod) -> Ending:
    """The training's success; what its reporter says of itself matters if a report is missing."""
    status = next((s for s in pod.status.init_container_statuses if s.name == names.SIDECAR), None)
    ended = status.state.terminated if status is not None else None
    if ended is None or ended.exit_code == 0:
        return Ending(Outcome.SUCCEEDED, "")
    why = f"container {names.SIDECAR}: {_exit(ended)}"
    unreachable = ended.exit_code == TEMPORARY_FAILURE
    return Ending(Outcome.DISRUPTED if unreachable else Outcome.SUCCEEDED, why)


def _failed_before_mark(pod: Pod) -> bool:
    """Whether the training had failed when we ended what else ran in its pod."""
    ended, status = mark(pod), training_container(pod)
    terminated = status.state.terminated if status is not None else None
    if ended is None or terminated is None or terminated.finished_at is None:
        return False
    return terminated.exit_code != 0 and terminated.finished_at < ended.time


def last_words(message: str) -> str:
    """The last line of a termination message, the end of a log as a rule: it names the error."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    return last if len(last) <= MAX_WORDS else f"…{last[-MAX_WORDS:]}"


def interrupted(pod: Pod) -> str | None:
    """Why the pod was asked to end before it was done, if it was.

    A training that obeys SIGTERM may well exit with 0: that is no failure of its own.
    """
    if (ended := mark(pod)) is not None:
        return ended.why
    return disruption(pod) or ("the pod was deleted while it ran" if is_ending(pod) else None)


def disruption(pod: Pod) -> str | None:
    """What the cluster says when it takes a pod away; it is taken back if it does not after all.

    Kueue says TerminationTarget of a pod that it takes back from its queue.
    """
    said = (pod.status.condition(type_) for type_ in ("DisruptionTarget", "TerminationTarget"))
    return next((f"{c.reason}: {c.message}" for c in said if c and c.status == "True"), None)


def failed_early(pod: Pod) -> bool:
    """Whether the training has failed while other containers of its pod go on."""
    status = training_container(pod)
    terminated = status.state.terminated if status is not None else None
    failed = terminated is not None and terminated.exit_code != 0
    # A kubelet tells of the container first and of the pod a moment later. One that waits, for its
    # image say, keeps the pod from ending as well as one that runs.
    others = any(s.state.terminated is None for s in pod.status.container_statuses)
    return failed and others and not is_over(pod)


def waiting_reason(pod: Pod, now: datetime) -> tuple[str, str] | None:
    """Why a pod does not run yet: Kubernetes' word and its sentence; None if nothing is said."""
    if is_over(pod) or is_ending(pod):
        return None
    for status in pod.status.init_container_statuses:
        # A sidecar that keeps failing: a kubelet says that it has ended, not that it waits. Others
        # are not restarted.
        if status.restart_count > 0 and not trains(pod):
            return "CrashLoopBackOff", f"container {status.name} keeps failing before it is ready"
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        if status.state.waiting is not None and status.state.waiting.reason:
            if status.state.waiting.reason in ("ContainerCreating", "PodInitializing"):
                if pod.status.start_time is None or now < pod.status.start_time + CREATING:
                    continue
                name = f"{pod.metadata.name} -n {pod.metadata.namespace}"
                return status.state.waiting.reason, f"kubectl describe pod {name} tells why"
            # The template says nothing of the one that we add.
            which = f"container {names.SIDECAR}: " if status.name == names.SIDECAR else ""
            return status.state.waiting.reason, f"{which}{status.state.waiting.message}"
    scheduled = pod.status.condition("PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        return scheduled.reason, scheduled.message
    return None


@dataclass(frozen=True, slots=True)
class Usage:
    """The time for which a pod held its node's devices."""

    started: datetime | None  # accepted by its node
    trained: datetime | None  # its training container started
    ended: datetime | None  # None also where nobody has said when
    gpus: float

    def gpu_seconds(self, now: datetime) -> float:
        """GPUs times seconds, up to now for a pod that is not over."""
        if self.started is None:
            return 0.0
        return max(0.0, ((self.ended or now) - self.started).total_seconds()) * self.gpus


def usage(pod: Pod, gpu_resources: tuple[str, ...]) -> Usage:
    """What the pod has used; all that its containers ask for of `gpu_resources` counts."""
    status = training_container(pod)
    state = status.state if status else None
    trained = None
    if state is not None and state.running is not None:
        trained = state.running.started_at
    elif state is not None and state.terminated is not None:
        trained = state.terminated.started_at if _has_begun(state.terminated) else None
    ended = _end(pod) if is_over(pod) else None
    return Usage(pod.status.start_time, trained, ended, gpu_count(pod, gpu_resources))


def _end(pod: Pod) -> datetime | None:
    """When the last container of a pod that is over ended; None where nobody has said when.

    One whose containers a node has never heard of was refused, and held nothing.
    """
    finished = []
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        if status.state.terminated is not None and status.state.terminated.finished_at is not None:
            finished.append(status.state.terminated.finished_at)
        elif status.state.terminated is not None or status.state.running is not None:
            return None
    if not finished and pod.status.container_statuses:  # images were pulled, say
        return None
    return max(finished, default=pod.status.start_time)


def gpu_count(pod: Pod, gpu_resources: tuple[str, ...]) -> float:
    """GPUs that the containers are limited to; for extended resources that is what they hold."""
    return sum(
        _quantity(container.resources.limits.get(name, 0))
        for container in pod.spec.containers
        for name in gpu_resources
    )


def _quantity(text: str | int) -> float:
    """A count of devices; extended resources are whole numbers without a suffix as a rule."""
    try:
        return float(Decimal(str(text)))
    except InvalidOperation:
        return 0.0


def _terminated(pod: Pod) -> tuple[str, Terminated | None]:
    """How the training container ended, or whichever failed first, by name, if it did not."""
    status = training_container(pod)
    if status is not None and status.state.terminated is not None:
        return "", status.state.terminated
    # The end of a sidecar fails no pod.
    sidecars = {each.name for each in pod.spec.init_containers if each.is_sidecar}
    for other in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        ended = other.state.terminated
        if ended is not None and ended.exit_code != 0 and other.name not in sidecars:
            return f"container {other.name}: ", ended
    return "", None
