"""A study and its trials as runs of MLflow: what is to be logged of each. Pure."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hyperband.api.status import is_finished
from hyperband.api.times import timestamp
from hyperband.api.words import condition
from hyperband.backends.kubernetes.objects import CustomObject
from hyperband.core.parameters import show

# What every tracking server takes (mlflow/utils/validation.py): longer texts are cut.
MAX_PARAMETER: Final = 6000
MAX_TAG: Final = 5000
MAX_KEY: Final = 250
PREFIX: Final = "hyperband."  # of our tags
STUDY, TRIAL, LOGGED = f"{PREFIX}study_uid", f"{PREFIX}trial", f"{PREFIX}logged"
PARENT, NAME = "mlflow.parentRunId", "mlflow.runName"
THOUSANDTHS = 1000  # steps of a unit, of a resource that is no whole number

# A paused trial may go on as long as its study does.
STATUSES: Final = {
    "Pending": "SCHEDULED",
    "Running": "RUNNING",
    "Paused": "SCHEDULED",
    "Stopped": "FINISHED",
    "Completed": "FINISHED",
    "Failed": "FAILED",
}


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a metric; `time` in milliseconds since the epoch."""

    key: str
    value: float
    step: int
    time: int


@dataclass(frozen=True, slots=True)
class Run:
    """What is logged of a study, or of a trial.

    Attributes:
        trial: its index; None of the study.
        status: one of MLflow's.
        start, end: in milliseconds since the epoch.
    """

    name: str
    trial: int | None
    status: str
    start: int
    end: int | None
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    points: Sequence[Point] = ()

    @property
    def digest(self) -> str:
        """Tells whether anything has changed since it was logged."""
        points = [(each.key, each.value, each.step) for each in self.points]
        text = json.dumps([self.status, self.end, self.parameters, self.tags, points])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def over(self) -> bool:
        """Whether it has ended for good."""
        return self.status in ("FINISHED", "FAILED")


def study_run(body: Mapping[str, Any], trials: Sequence[CustomObject]) -> Run:
    """The study: its method as parameters, the best value so far as a metric."""
    spec, status = body["spec"], body.get("status") or {}
    objective, uid = spec["objective"], str(body["metadata"]["uid"])
    best = status.get("best") or {}
    hyperband = spec.get("hyperband") or {}
    start = _time(body["metadata"].get("creationTimestamp") or status.get("startTime"))
    parameters = {
        "metric": objective["metric"],
        "goal": objective.get("goal", "Minimize"),
        "resource": spec["resource"]["name"],
        "min": spec["resource"]["min"],
        "max": spec["resource"]["max"],
        "mode": hyperband.get("mode", "Promotion"),
        "eta": hyperband.get("eta", 3),
        "brackets": hyperband.get("brackets", 1),
        "searcher": (spec.get("searcher") or {}).get("type", "Random"),
    }
    progress = condition(body, "Progressing")
    # What may still change is a tag: MLflow's parameters never do.
    tags = {
        "namespace": body["metadata"].get("namespace"),
        "step": _step_words(spec),
        "trials": len(trials),
        "best_trial": best.get("trial"),
        "best_parameters": json.dumps(best["parameters"]) if best else None,
        "gpu_seconds": status.get("gpuSeconds"),
        "reason": progress.get("reason"),
        "message": progress.get("message"),
    }
    finished = is_finished(status)
    failed = condition(body, "Failed").get("status") == "True"
    return Run(
        str(body["metadata"]["name"]),
        None,
        ("FAILED" if failed else "FINISHED") if finished else "RUNNING",
        start,
        _time(status.get("completionTime")) or None,
        _texts(parameters, MAX_PARAMETER),
        {STUDY: uid, **_texts({f"{PREFIX}{k}": v for k, v in tags.items()}, MAX_TAG)},
        tuple(_best_so_far(objective, trials, start)),
    )


def _best_so_far(
    objective: Mapping[str, Any], trials: Sequence[CustomObject], start: int
) -> Iterator[Point]:
    """Each improvement, over the number of values that had been recorded by then."""
    sign = 1 if objective.get("goal", "Minimize") == "Minimize" else -1
    found = [rung for trial in trials for rung in trial.status.get("rungs") or ()]
    best: float | None = None
    for rung in sorted(found, key=lambda each: int(each["sequence"])):
        value = rung.get("value")
        if _is_number(value) and (best is None or sign * value < sign * best):
            best = value
            yield Point(_key(f"best_{objective['metric']}"), value, int(rung["sequence"]), start)


def trial_run(body: Mapping[str, Any], trial: CustomObject, parent: str) -> Run:
    """A trial: its configuration, its learning curve, and its values at rungs.

    Args:
        parent: the id of the study's run.
    """
    spec, status = trial.spec, trial.status
    study, attempts = body["spec"], status.get("attempts") or []
    state = str(status.get("state", "Pending"))
    start = next((_time(each["startTime"]) for each in attempts if each.get("startTime")), 0)
    start = start or _time(body["metadata"].get("creationTimestamp"))
    ends = [_time(each["endTime"]) for each in attempts if each.get("endTime")]
    tags = {
        "state": state,
        "reason": status.get("reason"),
        "message": status.get("message"),
        "bracket": spec["bracket"],
        "origin": spec["suggestion"]["origin"],
        "attempts": int(status.get("attempt", -1)) + 1,
        "failures": status.get("failures", 0),
        "disruptions": status.get("disruptions", 0),
        "gpu_seconds": status.get("gpuSeconds", 0.0),
    }
    over = state in ("Stopped", "Completed", "Failed")
    over |= state == "Paused" and is_finished(body.get("status") or {})
    return Run(
        trial.metadata.name,
        int(spec["index"]),
        "FINISHED" if over and state != "Failed" else STATUSES.get(state, "RUNNING"),
        start,
        max(ends, default=start) if over else None,
        _texts(spec["parameters"], MAX_PARAMETER),
        {
            STUDY: str(body["metadata"]["uid"]),
            TRIAL: str(spec["index"]),
            PARENT: parent,
            **_texts({f"{PREFIX}{k}": v for k, v in tags.items()}, MAX_TAG),
        },
        tuple(_points(study, status, start)),
    )


def _points(study: Mapping[str, Any], status: Mapping[str, Any], start: int) -> Iterator[Point]:
    metric, whole = str(study["objective"]["metric"]), _is_whole(study)
    for key, values in ((metric, "curve"), (f"{metric}.rung", "rungs")):
        for each in status.get(values) or ():
            if _is_number(each.get("value")):
                resource = float(each["resource"])
                step = round(resource if whole else resource * THOUSANDTHS)
                yield Point(_key(key), float(each["value"]), step, start)


def _is_whole(study: Mapping[str, Any]) -> bool:
    return bool(study["resource"].get("type", "Integer") == "Integer")


def _step_words(study: Mapping[str, Any]) -> str:
    name = study["resource"]["name"]
    return str(name) if _is_whole(study) else f"{name} / {THOUSANDTHS}"


def _is_number(value: object) -> bool:
    """Whether it can be charted: NaN and infinities come to nothing there."""
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    )


def _key(name: str) -> str:
    """A name that MLflow takes: letters, digits, and some signs."""
    kept = "".join(c if (c.isascii() and c.isalnum()) or c in "_-. :/" else "_" for c in name)
    return kept[:MAX_KEY]


def _texts(given: Mapping[str, Any], most: int) -> dict[str, str]:
    """Values as texts, cut to what is taken; what is not known is left out."""
    return {
        _key(name): (value if isinstance(value, str) else show(value))[:most]
        for name, value in given.items()
        if value not in (None, "")
    }


def _time(moment: str | None) -> int:
    """Milliseconds since the epoch; 0 if it is not known."""
    return round((timestamp(moment) or 0.0) * 1000)
