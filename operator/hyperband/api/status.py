"""The status of a study, of bounded size whatever the number of its trials. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hyperband.api import names
from hyperband.core.brackets import in_use
from hyperband.core.decisions import Finish
from hyperband.core.errors import printable
from hyperband.core.records import Spent, TrialState

if TYPE_CHECKING:  # it loads scipy, for which whoever reads a status alone does not wait
    from hyperband.core.engine import Engine

READY, PROGRESSING, SUSPENDED = "Ready", "Progressing", "Suspended"
FINISHED, SUCCEEDED, FAILED = "Finished", "Succeeded", "Failed"
# Reasons.
WAITING = "WaitingForStudies"  # it starts warm from studies that are not finished
WAITING_FOR_NODES = "WaitingForNodes"  # nothing runs, as no node has room for its pods
QUEUED = "Queued"  # nothing runs, as its pods have scheduling gates


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why a study cannot launch anything, and what would help."""

    reason: str
    message: str


def progress(engine: "Engine", spent: Spent) -> dict[str, Any]:
    """Counts, best trial, and the table of brackets and rungs."""
    states = {state: engine.states[state] for state in TrialState}
    return {
        "trials": {
            "total": len(engine.trials),
            **{state.value.lower(): count for state, count in states.items()},
        },
        "allStartedBelow": engine.all_started_below,
        "promotions": engine.promotions,
        "gpuSeconds": round(spent.gpu_seconds, 1),
        "resourceUnits": round(spent.resource_units, 6),
        "best": _best(engine),
        "brackets": [
            _bracket(engine, s) for s in in_use(len(engine.ladder), engine.study.brackets)
        ],
        "seed": engine.study.seed,
    }


def counts_in_words(engine: "Engine") -> str:
    """How many trials there are in each state."""
    counts = ", ".join(f"{engine.states[state]} {state.value.lower()}" for state in TrialState)
    total, most = len(engine.trials), engine.study.max_trials
    if total > most:
        return f"{total} trials, no more as maxTrials is {most}: {counts}"
    return f"{total} of {most} trials: {counts}"


def _best(engine: "Engine") -> dict[str, Any] | None:
    if engine.best is None:
        return None
    _, _, index = engine.best
    trial = engine.trials[index]
    value = min(trial.rungs, key=lambda v: (engine.study.objective.loss(v.value), -v.resource))
    return {
        "trial": names.trial_name(engine.study.name, index),
        "index": index,
        "value": value.value,
        "text": short(value.value),
        "resource": value.resource,
        "parameters": dict(trial.parameters),
    }


def _bracket(engine: "Engine", bracket: int) -> dict[str, Any]:
    rungs = []
    for level in engine.rungs.levels(bracket):
        total = engine.rungs.total(bracket, level)
        row: dict[str, Any] = {
            "resource": engine.ladder[level],
            "trials": total.values,
            "paused": total.paused,
        }
        if total.best is not None:
            row["best"] = engine.study.objective.loss(total.best)  # its own inverse
        rungs.append(row)
    return {"bracket": bracket, "rungs": rungs}


def conditions(
    *,
    blocked: Blocked | None,
    suspended: bool,
    finish: Finish | None,
    running: bool,
    progress_message: str,
    waits_for: str = "",
    generation: int,
    spent: str = "",
    before: list[Mapping[str, Any]],
    now: str,
) -> list[dict[str, Any]]:
    """All conditions of a study; a transition time changes only with the status it belongs to.

    Args:
        running: whether trials run, blocked or not.
        waits_for: the reason for which nothing runs, if that is no trouble.
        spent: the bound of the budget that is reached, in words.
        before: the conditions as they stand in the object.
        now: the time as RFC 3339.
    """
    times = {c["type"]: (c["status"], c.get("lastTransitionTime", now)) for c in before}

    def condition(type_: str, status: bool, reason: str, message: str) -> dict[str, Any]:
        value = "True" if status else "False"
        old_value, since = times.get(type_, ("", now))
        return {
            "type": type_,
            "status": value,
            "reason": reason,
            "message": printable(message)[:1024],
            "observedGeneration": generation,
            "lastTransitionTime": since if old_value == value else now,
        }

    ready = (
        condition(READY, True, "Accepted", "the study is valid and may launch pods")
        if blocked is None
        else condition(READY, False, blocked.reason, blocked.message)
    )
    if finish is not None:
        progressing = condition(PROGRESSING, False, finish.reason, finish.message)
    elif suspended:
        progressing = condition(PROGRESSING, False, "Suspended", progress_message)
    elif blocked is not None:
        # Also while something runs: this is the column STATUS, and what is wrong is what counts.
        text = f"{blocked.message}; {progress_message}" if running else blocked.message
        progressing = condition(PROGRESSING, running, blocked.reason, text)
    elif spent:
        text = f"{spent}; nothing new starts, what runs may end by itself; {progress_message}"
        progressing = condition(PROGRESSING, True, "BudgetReached", text)
    else:
        reason = "TrialsRunning" if running or not waits_for else waits_for
        progressing = condition(PROGRESSING, True, reason, progress_message)
    held = "spec.suspend is true" if suspended else "spec.suspend is false"
    rows = [ready, progressing, condition(SUSPENDED, suspended, "Suspend", held)]
    for type_, true in (
        (FINISHED, finish is not None),
        (SUCCEEDED, finish is not None and finish.succeeded),
        (FAILED, finish is not None and not finish.succeeded),
    ):
        if finish is None:
            rows.append(condition(type_, False, "Running", "the study is not over"))
        else:
            rows.append(condition(type_, true, finish.reason, finish.message))
    return rows


def budget_reached(body: Mapping[str, Any]) -> str:
    """What a study's status says of the budget that its spec has now; empty if nothing."""
    reached = (body.get("status") or {}).get("budgetReached") or {}
    same = reached.get("budget") == body["spec"].get("budget")
    return str(reached.get("message", "")) if same else ""


def suspended_seconds(status: Mapping[str, Any], now: datetime) -> float:
    """For how long a study has been suspended in all, by its status."""
    before = float(status.get("suspendedSeconds", 0.0))
    for row in status.get("conditions") or []:
        if row.get("type") == SUSPENDED and row.get("status") == "True":
            return before + _since(row.get("lastTransitionTime"), now)
    return before


def elapsed_seconds(status: Mapping[str, Any], now: datetime) -> float:
    """The time since a study's start, without that for which it was suspended."""
    return max(0.0, _since(status.get("startTime"), now) - suspended_seconds(status, now))


def _since(moment: str | None, now: datetime) -> float:
    return (now - datetime.fromisoformat(moment)).total_seconds() if moment else 0.0


def short(value: float) -> str:
    """A value for tables, which show all digits of a number."""
    return f"{value:.5g}"


def is_finished(status: Mapping[str, Any]) -> bool:
    """Whether a study's status says that it is over."""
    return any(
        c.get("type") == FINISHED and c.get("status") == "True"
        for c in status.get("conditions") or []
    )
