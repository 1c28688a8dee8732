"""What is measured: a method at a number of observations, one file each.

A file holds the header below and either `latency` or `profile`, see `own_driver`. One that cannot
be read, or has another header, is made again: raise VERSION when that is wanted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.decision_latency.tasks import SPACES
from benchmarks.search_quality.runs import load

VERSION = "3"
PENDING = 8
CAP = 60.0  # CPU seconds: what takes longer is measured no more than LEAST times
LEAST = 3
SEED = 0

SIZES = (50, 100, 200, 500, 1_000, 2_000, 5_000)
PEER_SIZES = (50, 100, 200, 500, 1_000)
QUICK = (100, 500, 1_000)
PEER_QUICK = (100, 500)
WIDE_SIZES = (100, 300, 1_000)  # over NAS-Bench-301's space
PROFILED = 1_000

# Searcher and, of GaussianProcess, resource model.
OURS: Mapping[str, tuple[str, str]] = {
    "random": ("Random", ""),
    "kernel-density": ("KernelDensity", ""),
    "evolution": ("Evolution", ""),
    "gp-exponential-decay": ("GaussianProcess", "ExponentialDecay"),
    "gp-coregionalized": ("GaussianProcess", "Coregionalized"),
    "gp-independent": ("GaussianProcess", "Independent"),
}
DEFAULT = "gp-exponential-decay"
MOBSTER = "peer-mobster-promotion"
PEER = ("peer-asha-promotion", "peer-bohb", f"{MOBSTER}-fast", MOBSTER)


@dataclass(frozen=True, slots=True)
class Measurement:
    """Suggestions of one method while a study goes on from a number of observations."""

    method: str
    task: str
    observations: int
    kind: Literal["latency", "profile"] = "latency"

    @property
    def suggestions(self) -> int:
        """How many are measured: enough for a fit to be among them, as fits are an eighth apart."""
        return max(20, self.observations // 8)

    @property
    def family(self) -> Literal["ours", "peer"]:
        return "peer" if self.method.startswith("peer-") else "ours"

    @property
    def title(self) -> str:
        profile = " profile" if self.kind == "profile" else ""
        return f"{self.method} {self.task} n{self.observations}{profile}"

    @property
    def header(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "version": VERSION,
            "task": self.task,
            "observations": self.observations,
            "suggestions": self.suggestions,
            "pending": PENDING,
        }

    def path(self, folder: Path) -> Path:
        name = "profile" if self.kind == "profile" else "n"
        return folder / self.method / self.task / f"{name}{self.observations}.json"

    def load(self, folder: Path) -> dict[str, Any] | None:
        """What was measured, or None if there is nothing that counts."""
        content = load(self.path(folder), self.header)
        return content.get(self.kind) if content else None

    def job(self, folder: Path, cap: float) -> dict[str, Any]:
        """What a driver is told; `cap` is in CPU seconds."""
        return {
            **self.header,
            "method": self.method.removeprefix("peer-"),
            "kind": self.kind,
            "seed": SEED,
            "cap": cap,
            "out": str(self.path(folder)),
            "header": self.header,
        }


def measurements(tasks: Mapping[str, str], quick: bool) -> Iterator[Measurement]:
    """All of them, small ones first.

    Args:
        tasks: by space.
    """
    small, wide = (tasks[space] for space in SPACES)
    sizes, peer_sizes = (QUICK, PEER_QUICK) if quick else (SIZES, PEER_SIZES)
    for size in sizes:
        yield from (Measurement(name, small, size) for name in OURS)
    yield Measurement(DEFAULT, small, PROFILED, "profile")
    for size in WIDE_SIZES[: 1 if quick else None]:
        yield Measurement(DEFAULT, wide, size)
    if not quick:
        yield Measurement(DEFAULT, wide, PROFILED, "profile")
    for size in peer_sizes:
        yield from (Measurement(name, small, size) for name in PEER)
