"""Seconds of suggestions, and what is said of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.player import Cost


@dataclass(frozen=True, slots=True)
class Samples:
    """One number a suggestion, in the order in which they were made."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    fit: list[float] = field(default_factory=list)  # of the CPU time, that of fitting a surrogate

    def add(self, cost: Cost, fit: float = 0.0) -> None:
        self.cpu.append(cost.cpu)
        self.wall.append(cost.wall)
        self.fit.append(fit)

    def enough(self, least: int, cap: float) -> bool:
        """Whether so many CPU seconds have been spent, on at least so many suggestions."""
        return len(self.cpu) >= least and sum(self.cpu) > cap

    def record(self) -> dict[str, list[float]]:
        """What a file keeps of them."""
        return {"cpu": self.cpu, "wall": self.wall, "fit": self.fit}


@dataclass(frozen=True, slots=True)
class Summary:
    """Milliseconds of CPU time a suggestion where nothing else is said, megabytes of memory."""

    count: int
    mean: float  # fits included, as they come while a study goes on
    p50: float
    p99: float
    worst: float
    fits: int  # among the suggestions
    fit: float  # what fits add to the mean
    wall: float  # mean of real time
    first: float  # the first one after the records were read, whose fit starts from nothing
    memory: float  # the most that the process had
    own: float  # of it, what came on top of the libraries


def summary(latency: Mapping[str, Any]) -> Summary:
    """What a file's samples come to."""
    cpu, wall, fit = (1e3 * np.array(latency[name]) for name in ("cpu", "wall", "fit"))
    p50, p99 = np.quantile(cpu, [0.5, 0.99]).tolist()
    return Summary(
        count=len(cpu),
        mean=float(cpu.mean()),
        p50=p50,
        p99=p99,
        worst=float(cpu.max()),
        fits=int(np.count_nonzero(fit)),
        fit=float(fit.mean()),
        wall=float(wall.mean()),
        first=1e3 * latency["first"],
        memory=latency["memory"] / 1e6,
        own=(latency["memory"] - latency["memoryBefore"]) / 1e6,
    )
