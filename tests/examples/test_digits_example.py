"""The digits example as a trial runs it, on synthetic data of the same format."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
CONFIG = {
    "learning_rate": 0.01,
    "batch_size": 64,
    "layers": 2,
    "units": 16,
    "activation": "tanh",
    "dropout": 0.2,
    "momentum": 0.9,
    "weight_decay": 1e-4,
}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten noisy prototypes, 30 rows each: 64 integers from 0 to 16, and the label."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 10
    pixels = rng.integers(0, 17, (10, 64))[labels] + rng.integers(-4, 5, (300, 64))
    rows = np.column_stack([pixels.clip(0, 16), labels])
    path = tmp_path_factory.mktemp("data") / "digits.csv.gz"
    text = "\n".join(",".join(map(str, row)) for row in rows)
    path.write_bytes(gzip.compress(text.encode()))
    return path


def start(digits: Path, folder: Path, attempt: int, target: int, **config: Any) -> Any:
    """An attempt of a trial, whose checkpoints are in the folder."""
    environment: Mapping[str, str] = {
        **{key: value for key, value in os.environ.items() if not key.startswith("HYPERBAND_")},
        "PYTHONPATH": str(ROOT / "operator"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "DIGITS": str(digits),
        "HYPERBAND_PARAMETERS": json.dumps({**CONFIG, **config}),
        "HYPERBAND_RESOURCE_NAME": "epochs",
        "HYPERBAND_METRIC": "val_loss",
        "HYPERBAND_RESOURCE_TO": str(target),
        "HYPERBAND_POD_NAME": f"digits-0-{attempt}",
        "HYPERBAND_ATTEMPT": str(attempt),
        "HYPERBAND_CHECKPOINT_DIR": str(folder / "checkpoints"),
        "HYPERBAND_REPORT_FILE": str(folder / f"reports-{attempt}.jsonl"),
    }
    return subprocess.Popen(
        [sys.executable, str(ROOT / "examples/digits/train.py")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(digits: Path, folder: Path, attempt: int, target: int, **config: Any) -> str:
    """Runs an attempt to its end; its log."""
    folder.mkdir(exist_ok=True)
    process = start(digits, folder, attempt, target, **config)
    log, _ = process.communicate(timeout=60)
    assert process.returncode == 0, log
    return str(log)


def reports(folder: Path, attempt: int) -> list[dict[str, float]]:
    """What an attempt has reported."""
    lines = (folder / f"reports-{attempt}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_resumed_run_equals_one_that_was_not_interrupted(digits: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(digits, whole, 0, 4)
    first, second = run(digits, parts, 0, 1), run(digits, parts, 1, 4)
    assert "resumed" not in first and "resumed from epoch 1 (" in second
    assert [each["epochs"] for each in reports(parts, 1)] == [2, 3, 4]
    for one, other in zip(reports(whole, 0), [*reports(parts, 0), *reports(parts, 1)], strict=True):
        assert other == pytest.approx(one, abs=1e-9)
    assert reports(whole, 0)[-1]["accuracy"] > 0.5
    assert re.search(r"^epoch 4 val_loss \d\.\d+ accuracy \d\.\d+$", second, re.MULTILINE)


def test_an_attempt_that_had_only_not_reported_trains_and_reports_again(
    digits: Path, tmp_path: Path
) -> None:
    run(digits, tmp_path, 0, 1)
    run(digits, tmp_path, 1, 1)
    assert reports(tmp_path, 1) == reports(tmp_path, 0)


def test_a_training_that_diverges_says_so(digits: Path, tmp_path: Path) -> None:
    run(digits, tmp_path, 0, 1, learning_rate=1e9, activation="relu", layers=3)
    assert not np.isfinite(reports(tmp_path, 0)[-1]["val_loss"])


def test_sigterm_ends_it_at_once(digits: Path, tmp_path: Path) -> None:
    process = start(digits, tmp_path, 0, 27000)
    assert process.stdout.readline().startswith("epoch 1 ")
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert list((tmp_path / "checkpoints").glob("*-0.npz"))
