"""Studies as the page lists them, and the ladder of rungs of one. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from hyperband.api.words import condition, state, status, status_word
from hyperband.core.errors import all_printable, printable
from hyperband.dashboard.snapshot import Snapshot
from hyperband.plots.figure import finite

Body = Mapping[str, Any]
STATES = ("pending", "running", "paused", "stopped", "completed", "failed")
ACTIVE = ("Pending", "Running")


def listed(found: Sequence[Body]) -> dict[str, Any]:
    """All studies of the list, by namespace and name."""
    rows = sorted(map(row, found), key=lambda each: (each["namespace"], each["name"]))
    return {"studies": rows}


def row(body: Body) -> dict[str, Any]:
    """A study in one line of the list."""
    metadata, spec, known = body["metadata"], body["spec"], body.get("status") or {}
    counts = known.get("trials") or {}
    message = condition(body, "Progressing").get("message", "")
    return {
        "namespace": metadata.get("namespace", "default"),
        "name": metadata["name"],
        "uid": metadata.get("uid", ""),
        "phase": printable(status_word(body)),
        "mode": (spec.get("hyperband") or {}).get("mode", "Promotion"),
        "searcher": (spec.get("searcher") or {}).get("type", "Random"),
        "metric": printable(str(spec["objective"]["metric"])),
        "goal": spec["objective"].get("goal", "Minimize"),
        "unit": printable(str(spec["resource"]["name"])),
        "trials": {"total": counts.get("total", 0), **{s: counts.get(s, 0) for s in STATES}},
        "maxTrials": spec["maxTrials"],
        "parallelism": spec.get("parallelism", 1),
        "best": _best(known.get("best")),
        "gpuHours": round(float(known.get("gpuSeconds", 0.0)) / 3600, 4),
        "started": known.get("startTime"),
        "finished": known.get("completionTime"),
        "message": printable(str(message)),
    }


def _best(given: Body | None) -> dict[str, Any] | None:
    if given is None:
        return None
    keys = ("value", "trial", "index", "resource", "parameters")
    return {key: all_printable(given[key]) for key in keys if key in given}


def page(snapshot: Snapshot) -> dict[str, Any]:
    """All of a study but what its figures show."""
    body = snapshot.body
    rows = (body.get("status") or {}).get("conditions") or []
    return {
        **row(body),
        "version": snapshot.version,
        "trouble": printable(snapshot.trouble),
        "brackets": ladder(snapshot),
        "parameters": [_parameter(each) for each in body["spec"]["parameters"]],
        "conditions": [
            {
                "type": each["type"],
                "status": each["status"],
                "reason": each.get("reason", ""),
                "message": printable(each.get("message", "")),
                "at": each.get("lastTransitionTime"),
            }
            for each in rows
        ],
    }


def _parameter(given: Body) -> dict[str, Any]:
    keys = ("name", "type", "scale", "distribution", "min", "max", "step", "values", "value")
    return {key: all_printable(given[key]) for key in keys if key in given}


# -- the ladder ----------------------------------------------------------------------------------


class _Rung:
    def __init__(self) -> None:
        self.losses: list[float] = []
        self.running = self.promoted = self.paused = 0


def ladder(snapshot: Snapshot) -> list[dict[str, Any]]:
    """The rungs of each bracket as the trials' records have them now, the largest bracket first."""
    study, levels = snapshot.study, snapshot.ladder
    rungs: dict[tuple[int, int], _Rung] = defaultdict(_Rung)
    for trial in snapshot.trials.values():
        _count(trial, rungs, study.objective.loss, levels.first(int(trial["spec"]["bracket"])))
    known = (snapshot.body.get("status") or {}).get("brackets") or []
    brackets = {bracket for bracket, _ in rungs} | {int(each["bracket"]) for each in known}
    return [
        {
            "bracket": bracket,
            "rungs": [
                _rung(snapshot, level, rungs[bracket, level])
                for level in range(max(levels.first(bracket), 0), len(levels))
            ],
        }
        for bracket in sorted(brackets, reverse=True)
    ]


def _count(trial: Body, rungs: dict[tuple[int, int], _Rung], loss: Any, first: int) -> None:
    bracket, known = int(trial["spec"]["bracket"]), status(trial)
    values: Sequence[Body] = [
        each for each in known.get("rungs") or () if finite(each.get("value"))
    ]
    now = state(trial)
    target = int(known.get("targetLevel", first))
    for i, each in enumerate(values):
        rung = rungs[bracket, int(each["level"])]
        rung.losses.append(loss(float(each["value"])))
        last = i == len(values) - 1
        rung.promoted += not last or (now in ACTIVE and target > int(each["level"]))
        rung.paused += last and now == "Paused"
    if now in ACTIVE:
        # Where stopping, the next level is what it works for, and its target is the last one.
        goal = int(values[-1]["level"]) + 1 if values else first
        rungs[bracket, min(goal, target)].running += 1


def _rung(snapshot: Snapshot, level: int, rung: _Rung) -> dict[str, Any]:
    losses, signed = sorted(rung.losses), snapshot.study.objective.loss
    compared = snapshot.study.mode in ("Promotion", "Stopping") and level < snapshot.ladder.top
    threshold = None
    if compared and losses:
        threshold = signed(losses[snapshot.ladder.limit(level, len(losses)) - 1])
    return {
        "resource": snapshot.ladder[level],
        "recorded": len(losses),
        "running": rung.running,
        "promoted": rung.promoted,
        "paused": rung.paused,
        "best": signed(losses[0]) if losses else None,  # its own inverse
        "threshold": threshold,
    }
