"""What became of trials: how many went on from each rung, and which pods ran where and when."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hyperband.plots.figure import (
    MAX_ITEMS,
    Axis,
    Figure,
    Item,
    Mark,
    Panel,
    Series,
    number,
    thin,
    thinned,
    time_unit,
)
from hyperband.plots.moments import begin
from hyperband.plots.records import Attempt, Records, Run

MAX_ROWS = 60
WENT_ON, RUNS_ON, HERE = "went on", "running on", "last value here"
ENDS = {"Completed": "completed", "Paused": "paused", "Stopped": "stopped", "Failed": "failed"}
FATES = (WENT_ON, "completed", RUNS_ON, "paused", "stopped", "failed", HERE)
NO_VALUE = -1  # the level of trials that have none
OUTCOMES = ("Succeeded", "Ended", "Disrupted", "Failed")
HOUR = 3600.0


def rungs(records: Records) -> Figure:
    """How many trials went on from each rung, and what became of the others."""
    counts: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    resources: dict[int, float] = {}
    for run in records.runs:
        for value in run.values:
            resources[value.level] = min(value.resource, resources.get(value.level, value.resource))
            last = value is run.last
            counts[run.bracket, value.level][_fate(run) if last else WENT_ON] += 1
        if not run.values:
            counts[run.bracket, NO_VALUE][_fate(run)] += 1
    # Top down: the largest bracket first, and in it the lowest rung.
    keys = sorted(counts, key=lambda key: (-key[0], key[1]), reverse=True)
    brackets = len({bracket for bracket, _ in keys}) > 1
    labels = [_label(key, resources, records.resource, brackets) for key in keys]
    series = tuple(each for fate in FATES if (each := _stack(fate, keys, labels, counts)).items)
    return Figure(
        f"{records.study}: what became of trials at each rung",
        (Panel(Axis("trials"), Axis("", ticks=tuple(enumerate(labels))), series, _counts(series)),),
        records.cautions(),
        ("rung", *(each.name for each in series)),
        tuple(
            (label, *(counts[key][each.name] for each in series))
            for key, label in reversed(list(zip(keys, labels, strict=True)))
        ),
    )


def _counts(series: Sequence[Series]) -> tuple[tuple[float, float, str], ...]:
    """How many there are, in the middle of each bar that is wide enough."""
    items = [item for each in series for item in each.items]
    most = max((item.xs[1] for item in items), default=0.0)
    return tuple(
        (sum(item.xs) / 2, item.ys[0], f"{item.xs[1] - item.xs[0]:.0f}")
        for item in items
        if item.xs[1] - item.xs[0] >= 0.03 * most
    )


def _fate(run: Run) -> str:
    return ENDS.get(run.state, RUNS_ON) if run.state else HERE


def _label(key: tuple[int, int], resources: Mapping[int, float], unit: str, brackets: bool) -> str:
    bracket, level = key
    rung = "no value" if level == NO_VALUE else f"{unit} {number(float(resources[level]))}"
    return f"bracket {bracket}, {rung}" if brackets else rung


def _stack(
    fate: str,
    keys: Sequence[tuple[int, int]],
    labels: Sequence[str],
    counts: Mapping[tuple[int, int], Counter[str]],
) -> Series:
    """The part of one fate in each row, behind those of the fates before it."""
    items = []
    for row, (key, label) in enumerate(zip(keys, labels, strict=True)):
        before = sum(counts[key][each] for each in FATES[: FATES.index(fate)])
        if many := counts[key][fate]:
            ends, place = (float(before), float(before + many)), float(row)
            items.append(Item(f"{label}: {many} {fate}", ends, (place, place)))
    return Series(fate, Mark.SPANS, tuple(items), fate in ("stopped", "failed"))


@dataclass(frozen=True, slots=True)
class Pod:
    """An attempt that a node has taken, in seconds since the first one."""

    run: Run
    attempt: Attempt
    start: float
    end: float


def timeline(records: Records) -> Figure:
    """Pods on slots of nodes over time, with disruptions."""
    pods = _pods(records)
    lanes = _lanes(pods)
    shown_lanes = thin(lanes, MAX_ROWS)
    there = sum(len(pods) for _, pods in shown_lanes)
    size, unit = time_unit(max((pod.end for pod in pods), default=0.0))
    by_outcome: dict[str, list[Item]] = defaultdict(list)
    rows, share = [], 1.0 if there <= MAX_ITEMS else MAX_ITEMS / there
    for i, (node, lane) in enumerate(reversed(shown_lanes)):
        for pod in thin(lane, max(round(len(lane) * share), 1)):
            outcome = pod.attempt.outcome or "running"
            said = f"{pod.attempt.pod or pod.run.name} on {node}: {outcome}"
            ends = (pod.start / size, pod.end / size)
            by_outcome[outcome].append(Item(said, ends, (float(i), float(i))))
            rows.append((pod.attempt.pod, node, *ends, outcome, pod.attempt.gpu_seconds / HOUR))
    order = [*OUTCOMES, *sorted(set(by_outcome) - set(OUTCOMES))]
    series = [
        Series(o.lower(), Mark.SPANS, tuple(by_outcome[o]), o == "Ended")
        for o in order
        if by_outcome[o]
    ]
    ticks = tuple((float(i), node) for i, (node, _) in enumerate(reversed(shown_lanes)))
    drawn = sum(len(items) for items in by_outcome.values())
    return Figure(
        f"{records.study}: pods on slots of nodes",
        (Panel(Axis(f"{unit} since the first pod started"), Axis("", ticks=ticks), tuple(series)),),
        (
            *_costs(records),
            *thinned(len(shown_lanes), len(lanes), "slots"),
            *thinned(drawn, there, "pods"),
            *records.cautions(),
        ),
        ("pod", "slot", f"start, {unit}", f"end, {unit}", "outcome", "GPU-hours"),
        tuple(rows),
    )


def _pods(records: Records) -> list[Pod]:
    """By start; those that run go on to the last moment that is known."""
    first = begin(records) or 0.0
    started = [(r, a, a.start) for r in records.runs for a in r.attempts if a.start is not None]
    latest = max(
        (t for _, a, start in started for t in (start, a.training, a.end) if t), default=0.0
    )
    pods = [
        Pod(run, attempt, start - first, max(start, attempt.end or latest) - first)
        for run, attempt, start in started
    ]
    return sorted(pods, key=lambda pod: (pod.start, pod.run.index))


def _lanes(pods: Sequence[Pod]) -> list[tuple[str, list[Pod]]]:
    """The slots of each node: a pod takes the first of its node that is free."""
    nodes: dict[str, list[list[Pod]]] = defaultdict(list)
    for pod in pods:
        lanes = nodes[pod.attempt.node or "node unknown"]
        free = next((lane for lane in lanes if lane[-1].end <= pod.start), None)
        if free is None:
            lanes.append([pod])
        else:
            free.append(pod)
    return [
        (f"{node} {i}" if len(nodes[node]) > 1 else node, lane)
        for node in sorted(nodes)
        for i, lane in enumerate(nodes[node])
    ]


def _costs(records: Records) -> tuple[str, ...]:
    """What disruptions took."""
    attempts = [attempt for run in records.runs for attempt in run.attempts]
    lost = [each for each in attempts if each.outcome == "Disrupted"]
    total = sum(each.gpu_seconds for each in attempts)
    hours = sum(each.gpu_seconds for each in lost)
    share = f" ({hours / total:.0%} of all)" if total else ""
    told = (
        f"{len(lost):,} of {len(attempts):,} pods were disrupted: "
        f"{hours / HOUR:.3g} GPU-hours in them"
    )
    told += f"{share}; what they trained after their last checkpoint was trained again"
    listed = sum(run.gpu_seconds for run in records.runs)
    gone = f"{(listed - total) / HOUR:.3g} GPU-hours are of pods that are no longer listed"
    return (
        told if lost else f"none of {len(attempts):,} pods was disrupted",
        *((gone,) if listed > total * 1.001 + 1 else ()),
    )
