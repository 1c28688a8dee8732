"""A trial's page: parameters, where they came from, its curve, its story and its pods. Pure."""

from typing import Any

from hyperband.api.environment import study_folder
from hyperband.api.story import Step, story
from hyperband.api.words import number, status
from hyperband.core.errors import all_printable
from hyperband.core.origins import describe
from hyperband.core.records import Suggestion
from hyperband.dashboard.snapshot import Body, Snapshot
from hyperband.dashboard.trials import row

_TIMES = {"attempt": "startTime", "end": "endTime"}


def page(snapshot: Snapshot, index: int, *, local: bool = False) -> dict[str, Any]:
    """All that is recorded of a trial.

    Args:
        local: whether attempts are processes of a machine without a cluster.

    Raises:
        KeyError: there is none of that index.
    """
    trial = snapshot.trials[index]
    known = status(trial)
    curve = snapshot.runs[index].curve
    made = {
        **row(trial),
        "version": snapshot.version,
        "local": local,
        "suggestion": _suggestion(snapshot, trial),
        "curve": {
            "x": [resource for resource, _ in curve],
            "y": [value for _, value in curve],
        },
        "rungs": [
            {key: each.get(key) for key in ("level", "resource", "value", "sequence")}
            for each in known.get("rungs") or ()
        ],
        "story": [_step(each) for each in _story(snapshot, trial, local)],
        "attempts": [_attempt(each) for each in known.get("attempts") or ()],
        "gpuSeconds": known.get("gpuSeconds", 0.0),
        "failures": known.get("failures", 0),
        "disruptions": known.get("disruptions", 0),
        "checkpoint": _checkpoint(snapshot, trial, local),
    }
    shown: dict[str, Any] = all_printable(made)
    return shown


def _suggestion(snapshot: Snapshot, trial: Body) -> dict[str, Any]:
    given = trial["spec"].get("suggestion") or {}
    detail = given.get("detail") or {}
    suggestion = Suggestion(trial["spec"]["parameters"], given.get("origin", ""), detail)
    amount = snapshot.study.resource.amount
    words = describe(suggestion, (), lambda level: amount(snapshot.ladder[level]))
    return {
        "origin": suggestion.origin,
        "words": words,
        "detail": {key: number(float(value)) for key, value in detail.items()},
    }


def _story(snapshot: Snapshot, trial: Body, local: bool) -> list[Step]:
    return story(snapshot.body, trial, snapshot.past, None, local=local)


def _step(step: Step) -> dict[str, Any]:
    return {
        "at": step.numbers.get(_TIMES.get(step.what, "")),
        "what": step.what,
        "why": step.text,
    }


def _attempt(given: Body) -> dict[str, Any]:
    """Its phase as a pod's, as far as the record tells."""
    ended, outcome = given.get("endTime"), given.get("outcome", "")
    phase = outcome or ("Running" if given.get("startTime") else "Pending")
    return {
        "number": given["number"],
        "name": given.get("pod", ""),
        "node": given.get("node", ""),
        "phase": phase,
        "started": given.get("startTime"),
        "training": given.get("trainingTime"),
        "ended": ended,
        "outcome": outcome,
        "reason": given.get("reason", ""),
        "resource": given.get("resource"),
        "gpuSeconds": given.get("gpuSeconds", 0.0),
    }


def _checkpoint(snapshot: Snapshot, trial: Body, local: bool) -> str | None:
    """Its folder, in the training's container or the run's folder.

    Without resume, that of each promotion is in it.
    """
    if local:
        return f"trials/{trial['spec']['index']}/checkpoints"
    uid = str(trial["metadata"].get("uid", ""))
    if not snapshot.body["spec"].get("checkpoint") or not uid:
        return None
    return f"{study_folder(snapshot.resource)}/{trial['spec']['index']}-{uid[:8]}"
