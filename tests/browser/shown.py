"""The studies that browsers look at: simulated ones, at any moment and of any size."""

from typing import Any

from tests.dashboard.played import objects

Body = dict[str, Any]
Shown = tuple[Body, list[Body]]
KEY = ("default", "digits")
OVER = 1e9
SECONDS = 4000.0  # after which all have begun and some still train


def study(trials: int = 36, seconds: float = OVER, name: str = "digits") -> Shown:
    """A study and its trials after so many seconds."""
    body, others = objects(trials, seconds)
    body["metadata"] |= {"namespace": "default", "name": name, "uid": f"uid-{name}"}
    if seconds >= OVER:
        body["status"]["completionTime"] = "2026-01-01T01:52:00Z"
        body["status"]["conditions"][0] |= {"status": "False", "reason": "Exhausted"}
    return body, others


def record(value: float, resource: int = 27) -> Any:
    """An edit of a trial: a value at its next rung, after which it has ended."""

    def edit(trial: Body) -> None:
        known = trial["status"]
        rungs = known.setdefault("rungs", [])
        level = rungs[-1]["level"] + 1 if rungs else 0
        rungs.append(
            {"level": level, "resource": resource, "value": value, "sequence": 10**6, "text": ""}
        )
        known["state"] = "Completed"

    return edit
