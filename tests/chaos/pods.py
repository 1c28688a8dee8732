"""What happens to a pod, in the place of a kubelet and a training. Pure.

The value that a training reports is a function of its parameters and its resource, so that an
attempt that is repeated reports what the one before it reported, or would have.
"""

import json
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hyperband.api import names

Body = dict[str, Any]
FINALIZER = "hyperband.dev/chaos"  # keeps a real pod while it "ends"


@dataclass(frozen=True, slots=True)
class Fates:
    """How often a pod that runs meets each fate, at each of its steps."""

    fails: float = 0.0
    is_deleted: float = 0.0
    is_evicted: float = 0.0
    vanishes: float = 0.0  # without its end being told


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to it next; what is None stays.

    Attributes:
        deleted: somebody deletes it.
        gone: it is not there any more.
    """

    status: Body | None = None
    reports: list[Body] | None = None
    deleted: bool = False
    gone: bool = False

    @property
    def is_trouble(self) -> bool:
        """Whether it ends an attempt before it is done."""
        failed = self.status is not None and self.status["phase"] == "Failed"
        return self.deleted or self.gone or failed


def environment(pod: Body) -> dict[str, str]:
    return {e["name"]: e.get("value", "") for e in pod["spec"]["containers"][0]["env"]}


def loss(x: float, epochs: float) -> float:
    """Falls with the epochs; which configuration leads changes on the way."""
    return round((x - 0.3) ** 2 + 1 / epochs + 0.2 * x * (epochs > 1), 9)


def levels(pod: Body) -> list[float]:
    """The rung levels that the attempt reports at, up to its target."""
    env = environment(pod)
    start, end = float(env[names.ENV_RESOURCE_FROM]), float(env[names.ENV_RESOURCE_TO])
    return [level for level in json.loads(env[names.ENV_RUNGS]) if start < level <= end]


def reports(pod: Body) -> list[Body]:
    text = pod["metadata"].get("annotations", {}).get(names.METRICS_ANNOTATION, "[]")
    made: list[Body] = json.loads(text)
    return made


def is_trainer(pod: Body) -> bool:
    """Whether it is a trial's; others remove checkpoints."""
    return names.ATTEMPT_LABEL in pod["metadata"]["labels"]


def removes(pod: Body) -> set[int]:
    """The trials whose checkpoints a clean-up pod is to remove."""
    return {int(word) for word in pod["metadata"]["annotations"][names.REMOVES_ANNOTATION].split()}


def phase(pod: Body) -> str:
    return str(pod.get("status", {}).get("phase", "Pending"))


def is_alive(pod: Body) -> bool:
    return phase(pod) in ("Pending", "Running")


def is_ending(pod: Body) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def started(pod: Body, moment: str) -> Step:
    """It is accepted by its node, and its training begins."""
    running = {"running": {"startedAt": moment}}
    return Step(status=_status("Running", running) | {"startTime": moment})


def trained(pod: Body) -> Step:
    """It reports the next of its levels; a checkpoint makes it pass over those before."""
    made = reports(pod)
    level = levels(pod)[len(made)]
    value = loss(float(environment(pod)["HYPERBAND_PARAM_X"]), level)
    return Step(reports=[*made, {"epochs": level, "loss": value}])


def ended(pod: Body, moment: str, code: int, **more: Any) -> Step:
    """Its container has ended with this exit code."""
    begun = pod["status"]["startTime"]
    terminated = {"startedAt": begun, "finishedAt": moment, "exitCode": code}
    terminated["reason"] = "Error" if code else "Completed"
    status = _status("Failed" if code else "Succeeded", {"terminated": terminated})
    return Step(status=status | {"startTime": begun} | more)


def _status(phase: str, state: Body) -> Body:
    row = {"name": "train", "state": state, "ready": "running" in state, "restartCount": 0}
    row |= {"image": "trainer", "imageID": "", "lastState": {}}
    return {"phase": phase, "containerStatuses": [row]}


def done(pod: Body) -> bool:
    """Whether it has reported all that it was asked for."""
    return len(reports(pod)) == len(levels(pod))


def end_of_deleted(pod: Body, moment: str) -> Step:
    """A pod whose deletion was asked for gets SIGTERM, ends, and goes."""
    return ended(pod, moment, 143) if phase(pod) == "Running" else Step(gone=True)


def next_step(pod: Body, moment: str, dice: random.Random, fates: Fates) -> Step | None:
    """What happens to a pod of which nobody knows what comes, or None if nothing ever will."""
    if is_ending(pod):
        return end_of_deleted(pod, moment)
    if phase(pod) == "Pending":
        return started(pod, moment)
    if not is_alive(pod):
        return None
    if is_overdue(pod, moment):
        return expired(pod, moment)
    if dice.random() < fates.fails:
        return ended(pod, moment, 1)
    disrupted = disruption(pod, moment, dice, fates)
    if disrupted is not None:
        return disrupted
    return ended(pod, moment, 0) if done(pod) else trained(pod)


def cleaning(pod: Body, moment: str, dice: random.Random, fates: Fates) -> Step | None:
    """What happens next to a pod that removes checkpoints."""
    if is_ending(pod):
        return end_of_deleted(pod, moment)
    if phase(pod) == "Pending":
        return started(pod, moment)
    return ended(pod, moment, int(dice.random() < fates.fails)) if is_alive(pod) else None


def is_overdue(pod: Body, moment: str) -> bool:
    """Whether it runs, and its deadline is over."""
    limit = pod["spec"].get("activeDeadlineSeconds")
    if limit is None or phase(pod) != "Running":
        return False
    start = datetime.fromisoformat(pod["status"]["startTime"])
    return datetime.fromisoformat(moment) >= start + timedelta(seconds=limit)


def expired(pod: Body, moment: str) -> Step:
    """The kubelet ends it at its deadline."""
    return ended(pod, moment, 143, reason="DeadlineExceeded", message="by the operator")


def disruption(pod: Body, moment: str, dice: random.Random, fates: Fates) -> Step | None:
    """What the cluster, or somebody, may do to a pod that runs."""
    if dice.random() < fates.is_deleted:
        return Step(deleted=True)
    if dice.random() < fates.is_evicted:
        return evicted(pod, moment)
    if dice.random() < fates.vanishes:
        return Step(gone=True)
    return None


def text(made: list[Body]) -> str:
    """The annotation for these reports."""
    return json.dumps(made)


def evicted(pod: Body, moment: str) -> Step:
    """Its node takes it away, with a condition that says so."""
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    condition |= {"message": "by chance", "lastTransitionTime": moment}
    return ended(pod, moment, 143, conditions=[condition])
