"""The report of runs made by hand, pictures included."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.search_quality import report, runs
from benchmarks.search_quality.methods import method
from benchmarks.search_quality.runs import Run, write
from tests.benchmarks import fakes

COSTS = {"count": 1, "seconds": 0.5, "p50": 0.5, "p99": 0.5}
RUNS = [
    Run(method(name), task, 4, seed)
    for name in ("asha-stopping", "peer-asha-stopping", "peer-mobster-stopping")
    for task in ("a", "b")
    for seed in (0, 1)
]


def content(run: Run) -> dict[str, Any]:
    record = {
        "incumbent": [[1.0, 0.6], [20.0, 0.7 + 0.1 * run.seed]],
        "trials": 5,
        "resourceUnits": 20.0,
        "stoppedUnits": 5.0,
        "utilization": 1.0,
        "decisions": COSTS,
        "suggestions": COSTS,
    }
    return {**run.header, "run": record, "cut": run.method.name == "peer-mobster-stopping"}


def test_a_report_shows_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (runs, report):
        monkeypatch.setattr(module, "problem", fakes.problem)
    for run in RUNS[:-1]:  # the slow method lacks one
        run.path(tmp_path).parent.mkdir(parents=True, exist_ok=True)
        write(run.path(tmp_path), content(run))
    first, *pictures = report.write_report(RUNS, tmp_path, tmp_path / "out", "the command")
    text = first.read_text(encoding="utf-8")
    assert text.count("\n## 2 tasks, 4 runs of each method\n") == 1
    assert text.count("\n## 2 tasks, 3 runs of each method\n") == 1
    assert "| asha-stopping (4) | 0.8000 | 0.5000 | 0.5000 |" in text
    assert "| peer-mobster-stopping (4) †3 |" in text
    assert "`the command`" in text
    assert len(pictures) == 4  # the slow one has a picture with no other method
    for picture in pictures:
        assert f"({picture.name})" in text
        assert picture.read_text(encoding="utf-8").startswith("<?xml")
