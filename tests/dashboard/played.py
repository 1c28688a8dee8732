"""Simulated studies as a run's folder has them, for the page to show."""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

from hyperband.backends.local.store import Store
from hyperband.dashboard.snapshot import Live, Snapshot
from tests.cli.plot_studies import played

Body = dict[str, Any]


def objects(trials: int = 36, seconds: float = 1e9) -> tuple[Body, list[Body]]:
    """A study with a status, and its trials with curves, as they were after so many seconds."""
    study, *others = copy.deepcopy(played("digits", trials, seconds))
    states = [each["status"]["state"] for each in others]
    best = min(
        (
            (rung["value"], rung["resource"], each["metadata"]["name"])
            for each in others
            for rung in each["status"]["rungs"]
        ),
        default=None,
    )
    study["spec"]["maxTrials"] = trials
    study["status"] = {
        "trials": {
            "total": len(others),
            **{
                state.lower(): states.count(state)
                for state in ("Pending", "Running", "Paused", "Stopped", "Completed", "Failed")
            },
        },
        "gpuSeconds": sum(each["status"].get("gpuSeconds", 0.0) for each in others),
        "startTime": "2026-01-01T00:00:00Z",
        "conditions": [
            {
                "type": "Progressing",
                "status": "True",
                "reason": "TrialsRunning",
                "message": f"{len(others)} of {trials} trials",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
        ],
    }
    if best is not None:
        study["status"]["best"] = {
            "value": best[0],
            "text": f"{best[0]:.5g}",
            "resource": best[1],
            "trial": best[2],
            "index": int(best[2].rpartition("-")[2]),
            "parameters": {},
        }
    for each in others:
        each["metadata"]["uid"] = f"uid-{each['spec']['index']}"
        _add_curve(each["status"])
    return study, others


def _add_curve(status: Body) -> None:
    """A report at each unit of the resource, on a line through the values at rungs."""
    rungs = status.get("rungs") or []
    curve, before = [], (0.0, 2.5)
    for rung in rungs:
        there = (float(rung["resource"]), rung["value"])
        steps = max(int(there[0] - before[0]), 1)
        for i in range(1, steps + 1):
            at = before[0] + (there[0] - before[0]) * i / steps
            value = before[1] + (there[1] - before[1]) * i / steps
            curve.append({"resource": at, "value": value})
        before = there
    if curve:
        status["curve"] = curve
        status["latest"] = {**curve[-1], "text": f"{curve[-1]['value']:.5g}"}


def enlarged(study: Body, others: list[Body], trials: int) -> tuple[Body, list[Body]]:
    """So many trials: those of a study again and again, each a little different."""
    study["spec"]["maxTrials"] = study["status"]["trials"]["total"] = trials
    most = 1 + max(rung["sequence"] for each in others for rung in each["status"]["rungs"])
    made = []
    for index in range(trials):
        turn, which = divmod(index, len(others))
        body = copy.deepcopy(others[which])
        body["spec"]["index"], body["metadata"]["name"] = index, f"digits-{index}"
        for rung in body["status"]["rungs"]:
            rung["sequence"] += turn * most
            rung["value"] *= 1 + 0.001 * (index % 97)
        for attempt in body["status"]["attempts"]:
            attempt["pod"] = f"digits-{index}-{attempt['number']}"
        made.append(body)
    return study, made


def seen(study: Body, others: list[Body]) -> Live:
    """All of it, seen."""
    made = Live()
    study["metadata"]["namespace"] = "default"
    made.see_study(study)
    for each in others:
        made.see_trial(each)
    return made


def live(trials: int = 36, seconds: float = 1e9) -> Live:
    """What `objects` gives, seen."""
    return seen(*objects(trials, seconds))


@cache
def snapshot(trials: int = 36, seconds: float = 1e9) -> Snapshot:
    """The same at one moment; not to be changed."""
    return live(trials, seconds).snapshot()[0]


def write_run(folder: Path, trials: int = 36, seconds: float = 1e9) -> None:
    """Makes the folder of such a run, or brings it to that moment."""
    study, others = objects(trials, seconds)
    folder.mkdir(parents=True, exist_ok=True)
    begun = (folder / "study.db").exists()
    store = Store.open(folder) if begun else Store.create(folder, study, {})
    try:
        # All at once: who reads meanwhile is to find no study that is ahead of its trials.
        with store._connection as connection:
            connection.execute(
                "UPDATE run SET study = ?, elapsed = ?", (json.dumps(study), seconds)
            )
            connection.executemany(
                "INSERT INTO trials (idx, body) VALUES (?, ?) "
                "ON CONFLICT (idx) DO UPDATE SET body = excluded.body",
                [(each["spec"]["index"], json.dumps(each)) for each in others],
            )
    finally:
        store.close()
