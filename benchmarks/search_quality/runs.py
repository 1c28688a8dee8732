"""One run, one file: what is there and whole is not run again.

A file holds a header (method, version, task, workers, seed, budget), the run as
`hyperband simulate` writes it, and whether it was cut short by the cap on real time. It is written
aside and renamed; one that cannot be read, or has another header, counts as missing.
"""

import json
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

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
    def title(self) -> str:
        return f"{self.method.name} {self.task} w{self.workers} s{self.seed}"

    @property
    def family(self) -> Literal["ours", "peer"]:
        return self.method.family

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
        content = load(self.path(folder), self.header)
        return content if content and "run" in content else None

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


def load(path: Path, header: Mapping[str, Any]) -> dict[str, Any] | None:
    """A file's content, or None if it cannot be read or has another header."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(content, dict) or {k: content.get(k) for k in header} != header:
        return None
    return content


def serve(
    run: Callable[[Mapping[str, Any]], Mapping[str, Any]], jobs: Iterable[str], answers: TextIO
) -> None:
    """A driver's loop: for each job, one JSON object a line, a file and a line that says so.

    Args:
        run: what a file holds beside the header, by the job.
    """
    for line in jobs:
        job = json.loads(line)
        try:
            write(Path(job["out"]), {**job["header"], **run(job)})
        except Exception:
            answer = {"error": traceback.format_exc()}
        else:
            answer = {"written": job["out"]}
        print(json.dumps(answer), file=answers, flush=True)
