"""What came of a study: best configuration, decisions, and what it cost against full training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import linear_regression
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hyperband.api.words import condition


@dataclass(frozen=True, slots=True)
class Cost:
    """GPU-seconds that a study used and that training every trial in full would have used."""

    used: float
    full: float
    start: float  # of one pod, before and after its training


def estimate_cost(body: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> Cost | None:
    """Fits gpuSeconds = a + b·units to the ended attempts: a is a pod's start-up, b the training.

    Training in full costs one start-up a trial and r_max units. None without two different points.
    """
    anew = promotes(body) and not body["spec"].get("resume", True)
    points = [point for trial in trials for point in _attempts(trial, anew)]
    if len({units for units, _ in points}) < 2:
        return None
    slope, start = linear_regression(*zip(*points, strict=True))
    used = sum((trial.get("status") or {}).get("gpuSeconds", 0.0) for trial in trials)
    r_max = body["spec"]["resource"]["max"]
    start, slope = max(start, 0.0), max(slope, 0.0)
    return Cost(used, len(trials) * (start + slope * r_max), start)


def _attempts(trial: Mapping[str, Any], anew: bool) -> list[tuple[float, float]]:
    """(resource units, GPU-seconds) of each attempt that reported.

    Args:
        anew: whether each begins from scratch; else one goes on from the other.
    """
    points, reached = [], 0.0
    for attempt in (trial.get("status") or {}).get("attempts") or []:
        resource = attempt.get("resource")
        if resource is not None and resource > reached and attempt.get("gpuSeconds"):
            points.append((resource - (0 if anew else reached), attempt["gpuSeconds"]))
            reached = resource
    return points


Logs = Callable[[Mapping[str, Any]], str]  # of a trial: how to see its last attempt's log


def summarize(
    body: Mapping[str, Any], trials: Sequence[Mapping[str, Any]], logs: Logs | None = None
) -> RenderableType:
    """The closing lines of `hyperband watch`, and of `hyperband run`."""
    status = body.get("status") or {}
    resource, metric = body["spec"]["resource"]["name"], body["spec"]["objective"]["metric"]
    finished = condition(body, "Finished")
    lines = [Text(f"{finished.get('reason', '?')}: {finished.get('message', '')}")]
    failures = _failures(trials, logs or partial(_pod_logs, body))
    best = status.get("best")
    if best is None:
        return Group(*lines, Text("There is no result."), *failures)
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in best["parameters"].items():
        shown = f"{value:.6g}" if isinstance(value, float) else str(value)
        table.add_row(Text(f"  {name}"), Text(shown))  # text, so that no markup is read in it
    lines.append(
        Text(
            f"Best: {metric} {best['value']:.6g} at {resource} {best['resource']:g}, "
            f"trial {best_trial(best, trials)}"
        )
    )
    return Group(*lines, table, _decisions(body), *failures, *_costs(body, trials))


def best_trial(best: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> str:
    """The name of the best trial and, while its object is there, where it came from."""
    name: str = best["trial"]
    origins = (t["spec"]["suggestion"]["origin"] for t in trials if t["metadata"]["name"] == name)
    origin = next(origins, None)
    return name if origin is None else f"{name} ({origin})"


def promotes(body: Mapping[str, Any]) -> bool:
    """Whether trials of the study pause and are promoted."""
    mode: str = body["spec"].get("hyperband", {}).get("mode", "Promotion")
    return mode in ("Promotion", "Synchronous")


def _decisions(body: Mapping[str, Any]) -> Text:
    status = body["status"]
    counts = status.get("trials") or {}
    text = f"{counts.get('total', 0)} trials: {counts.get('completed', 0)} trained in full, "
    text += f"{counts.get('stopped', 0)} stopped, "
    if promotes(body):
        text += f"{counts.get('paused', 0)} paused for good, "
    text += f"{counts.get('failed', 0)} failed"
    if promotes(body):
        text += f"; {status.get('promotions', 0)} promotions"
    return Text(text)


def _failures(trials: Sequence[Mapping[str, Any]], logs: Logs) -> list[Text]:
    """The last of the trials that failed, and where to look."""
    failed = [t for t in trials if (t.get("status") or {}).get("state") == "Failed"]
    if not failed:
        return []
    last = max(failed, key=lambda trial: trial["spec"]["index"])
    name, status = last["metadata"]["name"], last["status"]
    return [
        Text(f"{len(failed)} failed, the last one {name}: {status['message']}"),
        Text(f"  {logs(last)}"),
    ]


def _pod_logs(body: Mapping[str, Any], trial: Mapping[str, Any]) -> str:
    pod = f"{trial['metadata']['name']}-{trial['status']['attempt']}"
    return f"kubectl logs -n {body['metadata']['namespace']} {pod}"


def _costs(body: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> list[Text]:
    status, resource = body["status"], body["spec"]["resource"]
    total = (status.get("trials") or {}).get("total", len(trials))
    units, full = status["resourceUnits"], total * resource["max"]
    share = f" ({units / full:.0%})" if full else ""
    lines = [Text(f"Trained: {units:g} {resource['name']} of {full:g} in full{share}")]
    if len(trials) < total:
        lines.append(Text(f"The records of {total - len(trials)} trials are gone."))
    cost = estimate_cost(body, trials)
    if cost is None or len(trials) < total:
        return lines
    return [
        *lines,
        Text(
            f"GPU-seconds: {cost.used:.0f} used; training all {len(trials)} trials in full would "
            f"have taken about {cost.full:.0f} ({cost.used / cost.full:.0%}); a pod's "
            f"start-up alone takes {cost.start:.1f}"
        ),
    ]
