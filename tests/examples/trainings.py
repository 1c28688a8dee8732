"""Attempts of a trial of the digits examples, run as their pods would."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Training:
    """A trial whose checkpoints and reports are in a folder."""

    script: str  # in examples/digits
    config: Mapping[str, object]
    digits: Path  # the data
    folder: Path

    def start(self, attempt: int, target: int) -> "subprocess.Popen[str]":
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("HYPERBAND_")},
            "PYTHONPATH": str(ROOT / "operator"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "DIGITS": str(self.digits),
            "HYPERBAND_PARAMETERS": json.dumps(self.config),
            "HYPERBAND_RESOURCE_NAME": "epochs",
            "HYPERBAND_METRIC": "val_loss",
            "HYPERBAND_RESOURCE_TO": str(target),
            "HYPERBAND_POD_NAME": f"digits-0-{attempt}",
            "HYPERBAND_ATTEMPT": str(attempt),
            "HYPERBAND_CHECKPOINT_DIR": str(self.folder / "checkpoints"),
            "HYPERBAND_REPORT_FILE": str(self.folder / f"reports-{attempt}.jsonl"),
        }
        return subprocess.Popen(
            [sys.executable, str(ROOT / "examples/digits" / self.script)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, attempt: int, target: int) -> str:
        """Runs an attempt to its end; its log."""
        self.folder.mkdir(exist_ok=True)
        process = self.start(attempt, target)
        log, _ = process.communicate(timeout=60)
        assert process.returncode == 0, log
        return log

    def reports(self, attempt: int) -> list[dict[str, float]]:
        """What an attempt has reported."""
        lines = (self.folder / f"reports-{attempt}.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]
