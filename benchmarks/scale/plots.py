"""Figures of points: each against its size, and what one does over time."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import figure, save

Point = Mapping[str, Any]  # a setting with its figures and samples, as it is kept in a file

SPACE_SECONDS: Final = 5.0
BY_SIZE: Final[dict[str, dict[str, Callable[[Point], float]]]] = {
    "a second": {
        "launches": lambda p: p["launches"],
        "launches, bare client": lambda p: p["bare"]["launches"],
        "until all run": lambda p: p["running"],
        "until all run, bare client": lambda p: p["bare"]["running"],
        "decisions": lambda p: p["decisions"],
        "ends": lambda p: p["ends"],
        "ends, bare client": lambda p: p["bare"]["ends"],
    },
    "answers, s": {
        "p50": lambda p: p["answers"][0],
        "p99": lambda p: p["answers"][1],
        "API server, p50": lambda p: p["server"][0],
        "API server, p99": lambda p: p["server"][1],
    },
    "memory of the operator, MiB": {
        "at most": lambda p: p["memory"] / 2**20,
        "idle": lambda p: p["memory_idle"] / 2**20,
    },
    "restart, s": {"until all is answered": lambda p: p["restarted"]},
    "writes a trial": {"all": lambda p: sum(p["writes"].values())},
    "cores while reports come": {
        "operator": lambda p: p["cpu"]["operator"],
        "API server": lambda p: p["cpu"]["kube-apiserver"],
        "etcd": lambda p: p["cpu"]["etcd"],
    },
}


def by_size(points: Sequence[Point], path: Path) -> Path:
    """Each figure against how many pods are live; points of many studies apart from those of one.

    Raises:
        MissingDataError: matplotlib is not installed.
    """
    drawn = figure(12, 9)
    axes = drawn.subplots(2, 3).flat
    for axis, (title, lines) in zip(axes, BY_SIZE.items(), strict=True):
        for number, (name, value) in enumerate(lines.items()):
            for many, style in ((False, "o-"), (True, "s--")):
                part = sorted(
                    (p for p in points if (p["studies"] > 1) is many), key=lambda p: p["pods"]
                )
                if part:
                    label = f"{name} (many studies)" if many else name
                    sizes = [p["pods"] for p in part]
                    values = [value(p) for p in part]
                    axis.plot(sizes, values, style, label=label, color=f"C{number}")
        axis.set(title=title, xlabel="live pods", xscale="log")
        axis.set_ylim(bottom=0)
        axis.legend(fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    return save(drawn, path)


def _spaced(samples: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that are far enough apart for rates between them to mean something."""
    kept = [samples[0]]
    for sample in samples:
        if sample["moment"] - kept[-1]["moment"] >= SPACE_SECONDS:
            kept.append(sample)
    return kept


def over_time(point: Point, path: Path) -> Path:
    """Memory, CPU time, requests and slow answers of one point, from its beginning on.

    Raises:
        MissingDataError: matplotlib is not installed.
    """
    samples = _spaced(point["samples"])
    start = samples[0]["moment"]
    drawn = figure(10, 9)
    memory, cores, requests, answers = drawn.subplots(4, 1, sharex=True)
    for name in sorted({name for sample in samples for name in sample["memory"]}):
        part = [sample for sample in samples if name in sample["memory"]]
        moments = [sample["moment"] - start for sample in part]
        memory.plot(moments, [s["memory"][name] / 2**20 for s in part], label=name)
        used = [
            max(0.0, b["cpu"][name] - a["cpu"][name]) / max(1e-3, b["moment"] - a["moment"])
            for a, b in pairwise(part)
        ]
        cores.plot(moments[1:], used, label=name)
    told = [sample for sample in samples if sample["requests"]]
    asked = [
        max(0.0, b["requests"] - a["requests"]) / max(1e-3, b["moment"] - a["moment"])
        for a, b in pairwise(told)
    ]
    requests.plot([s["moment"] - start for s in told[1:]], asked)
    memory.set(ylabel="memory, MiB")
    cores.set(ylabel="cores")
    requests.set(ylabel="operator's requests a second")
    answers.plot(*zip(*((t - start, late) for t, late in point["slowest"]), strict=True), ".")
    answers.set(ylabel="slowest answer of a second, s", xlabel="seconds")
    memory.legend(fontsize=7)
    return save(drawn, path)
