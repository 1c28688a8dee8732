"""Scripts of docs/how-to/libraries.md as trials, with the environment that the operator sets."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hyperband.api import names
from hyperband.api.environment import training_environment
from hyperband.api.study import parse_study
from hyperband.core.records import Suggestion, Trial, TrialState
from hyperband.core.rungs import Ladder
from tests.studies import good_study

ROOT = Path(__file__).parents[2]
TARGETS = (1, 3, 9)  # of the rungs
DIES = """
import os
import hyperband.report._span as span
def report(sent=span.report, **metrics):
    if metrics["epochs"] == %d:
        os._exit(1)
    sent(**metrics)
span.report = report
"""


def script(library: str) -> str:
    """The library's script in the documentation."""
    page = (ROOT / "docs/how-to/libraries.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {library}\n")[1].split("\n## ")[0]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None, library
    return found[1]


@dataclass(frozen=True)
class Trained:
    """What came of an attempt."""

    reports: list[dict[str, Any]]
    output: str

    @property
    def epochs(self) -> list[int]:
        return [each["epochs"] for each in self.reports]

    def values(self, metric: str) -> list[float]:
        return [each[metric] for each in self.reports]


@dataclass(frozen=True)
class Training:
    """A trial that trains with a script, in a folder of its own.

    Attributes:
        metric: the study's objective.
        mode: of the study: what the target of an attempt is.
    """

    folder: Path
    script: str
    metric: str
    parameters: dict[str, Any]
    mode: str = "Promotion"

    def attempt(self, number: int, rung: int, *, dies_at: int | None = None) -> Trained:
        """Runs an attempt to its end.

        Args:
            number: of the attempt.
            rung: that is its target.
            dies_at: its process ends between the checkpoint of this epoch and its report.
        """
        body = good_study()
        spec = body["spec"]
        spec["resource"]["max"] = TARGETS[-1]
        spec["objective"]["metric"] = self.metric
        spec["hyperband"]["mode"] = self.mode
        study = parse_study(body)
        ladder = Ladder.of(study.study)
        trial = Trial(0, Suggestion(self.parameters, "Random"), 2, TrialState.RUNNING, rung)
        variables = training_environment(study, replace(trial, attempt=number), ladder, "uid")
        reports = self.folder / f"reports-{number}.jsonl"
        path = self.folder / "train.py"
        path.write_text((DIES % dies_at if dies_at else "") + self.script, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, path],
            cwd=self.folder,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("HYPERBAND_")},
                **variables,
                names.ENV_CHECKPOINT_DIR: str(self.folder / "checkpoints"),
                names.ENV_REPORT_FILE: str(reports),
                "PYTHONPATH": str(ROOT / "operator"),
                "OMP_NUM_THREADS": "1",  # threads that wait for one another spin on a busy machine
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=500,
            check=False,
        )
        lines = reports.read_text().splitlines() if reports.exists() else []
        assert (dies_at is None) == (done.returncode == 0), done.stdout
        return Trained([json.loads(line) for line in lines], done.stdout)
