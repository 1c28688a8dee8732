"""The digits examples as a trial runs them, on synthetic data of the same format."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.examples.trainings import Training

# Deep enough to have one of everything that a checkpoint must hold.
CONFIGS: dict[str, dict[str, Any]] = {
    "train.py": {
        "learning_rate": 0.01,
        "batch_size": 64,
        "layers": 2,
        "units": 16,
        "activation": "tanh",
        "dropout": 0.2,
        "momentum": 0.9,
        "weight_decay": 1e-4,
    },
    "architecture.py": {
        "learning_rate": 0.01,
        "stem": "convolution",
        "filters": 4,
        "pool": 2,
        "layers": 2,
        "units_1": 16,
        "activation_1": "tanh",
        "units_2": 8,
        "activation_2": "relu",
        "skip": True,
        "skip_from": "stem",
        "normalization": "batch",
        "batch_memory": 0.9,
    },
}


@pytest.mark.parametrize("script", CONFIGS)
def test_a_resumed_run_equals_one_that_was_not_interrupted(
    digits: Path, tmp_path: Path, script: str
) -> None:
    whole = Training(script, CONFIGS[script], digits, tmp_path / "whole")
    parts = Training(script, CONFIGS[script], digits, tmp_path / "parts")
    whole.run(0, 4)
    first, second = parts.run(0, 1), parts.run(1, 4)
    assert "resumed" not in first and "resumed from epoch 1 (" in second
    assert [each["epochs"] for each in parts.reports(1)] == [2, 3, 4]
    for one, other in zip(whole.reports(0), parts.reports(0) + parts.reports(1), strict=True):
        assert other == pytest.approx(one, abs=1e-9)
    assert whole.reports(0)[-1]["val_loss"] < whole.reports(0)[0]["val_loss"]
    assert whole.reports(0)[-1]["accuracy"] > 0.5
    assert re.search(r"^epoch 4 val_loss \d\.\d+ accuracy \d\.\d+$", second, re.MULTILINE)


def test_an_attempt_that_had_only_not_reported_trains_and_reports_again(
    digits: Path, tmp_path: Path
) -> None:
    training = Training("train.py", CONFIGS["train.py"], digits, tmp_path)
    training.run(0, 1)
    training.run(1, 1)
    assert training.reports(1) == training.reports(0)


@pytest.mark.parametrize("script", CONFIGS)
def test_a_training_that_diverges_says_so(digits: Path, tmp_path: Path, script: str) -> None:
    config = CONFIGS[script] | {"learning_rate": 1e30}
    training = Training(script, config, digits, tmp_path)
    training.run(0, 1)
    assert not np.isfinite(training.reports(0)[-1]["val_loss"])


def test_sigterm_ends_it_at_once(digits: Path, tmp_path: Path) -> None:
    process = Training("train.py", CONFIGS["train.py"], digits, tmp_path).start(0, 27000)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("epoch 1 ")
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert list((tmp_path / "checkpoints").glob("*-0.npz"))
