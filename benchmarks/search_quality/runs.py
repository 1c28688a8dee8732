"""One run, one file: what is there and whole is not run again.

A file holds a header (method, version, task, workers, seed, budget), the run as
`hyperband simulate` writes it, and whether it was cut short by the cap on real time. It is written
aside and renamed; one that cannot be read, or has another header, counts as missing.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.search_quality.benchmark import problem
from benchmarks.search_quality.methods import Method

BUDGET = 4.0  # times the mean seconds of a full run of the task


@dataclass(frozen=True, slots=True)
class Run:
    """A method on a task, with a number of workers and a seed."""

    method: Method
    task: str
    workers: int
    seed: int

    @property
    def seconds(self) -> float:
        """The budget, in simulated seconds."""
        return BUDGET * problem(self.task).full_run

    @property
    def header(self) -> dict[str, Any]:
        return {
            "method": self.method.name,
            "version": self.method.version,
            "task": self.task,
            "workers": self.workers,
            "seed": self.seed,
            "budget": self.seconds,
        }

    def path(self, folder: Path) -> Path:
        name = f"w{self.workers}-s{self.seed}.json"
        return folder / self.method.name / self.task.replace("/", "-") / name

    def load(self, folder: Path) -> dict[str, Any] | None:
        """The file's content, or None if there is none that counts."""
        try:
            content: dict[str, Any] = json.loads(self.path(folder).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        header = self.header
        if not isinstance(content, dict) or {k: content.get(k) for k in header} != header:
            return None
        return content if "run" in content else None

    def job(self, folder: Path, cap: float) -> dict[str, Any]:
        """What a driver is told; `cap` is in real seconds."""
        return {
            "method": self.method.name.removeprefix("peer-"),
            "task": self.task,
            "workers": self.workers,
            "seed": self.seed,
            "seconds": self.seconds,
            "cap": cap,
            "out": str(self.path(folder)),
            "header": self.header,
        }


def write(path: Path, content: dict[str, Any]) -> None:
    """Writes a run's file, whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(path)
