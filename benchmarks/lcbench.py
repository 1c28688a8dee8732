"""LCBench: a funnel-shaped network on 24 tabular data sets, as a surrogate that answers for epochs.

For `hyperband simulate`: `--benchmark benchmarks.lcbench:task_189908`, one factory a task.
Epoch 1 is the untrained network: resource r = 1 … 50 is epoch r + 1, and its time t(r + 1) - t(1).
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.surrogate import Array, Model, data, onnx_model
from hyperband.backends.simulator.curves import Curve
from hyperband.core.space import Value

R_MAX = 50
METRIC = "val_accuracy"  # percent
CONTINUOUS = (
    "epoch",
    "batch_size",
    "learning_rate",
    "momentum",
    "weight_decay",
    "num_layers",
    "max_units",
    "max_dropout",
)  # in the order of the model's input
OUTPUTS = ("time", METRIC, "val_cross_entropy", "val_balanced_accuracy")  # the first four


class LCBench:
    """One task. Curves depend on the configuration alone: the surrogate knows no noise."""

    def __init__(self, model: Model, number: int) -> None:
        """Args:
        number: the task's number in the model's encoding.
        """
        self._model, self._number = model, number

    def curve(self, parameters: Mapping[str, Value], seed: int) -> Curve:
        """The whole run up to r = 50."""
        outputs = self.outputs([parameters])[0]
        seconds = np.maximum.accumulate(outputs[:, 0] - outputs[0, 0])
        return {
            "resource": np.arange(1, R_MAX + 1),
            "seconds": seconds[1:],
            "metrics": {
                name: outputs[1:, column] for column, name in enumerate(OUTPUTS) if name != "time"
            },
        }

    def outputs(self, configurations: list[Mapping[str, Value]]) -> Array:
        """What the model says of epochs 1 … 51 of n configurations, (n, 51, 6), in one call."""
        epochs = R_MAX + 1
        rows = np.array([[float(c[name]) for name in CONTINUOUS[1:]] for c in configurations])
        continuous = np.empty((len(rows), epochs, len(CONTINUOUS)))
        continuous[:, :, 0] = np.arange(1, epochs + 1)
        continuous[:, :, 1:] = rows[:, None]
        flat = continuous.reshape(-1, len(CONTINUOUS))
        answer = self._model(np.full((len(flat), 1), self._number), flat)
        return answer.reshape(len(rows), epochs, -1)


@dataclass(frozen=True, slots=True)
class Reference:
    """What results of a task are judged by: validation accuracy at r = 50, in percent."""

    best: float  # found by an extensive search of the surrogate, which extrapolates in corners
    median: float  # of random configurations
    full_run: float  # mean seconds of a random configuration up to r = 50


def references() -> dict[str, Reference]:
    """By task, its OpenML number."""
    text = Path(__file__).with_name("lcbench_reference.json").read_text(encoding="utf-8")
    return {
        name: Reference(row["best"], row["median"], row["fullRunSeconds"])
        for name, row in json.loads(text).items()
    }


def task(name: str) -> LCBench:
    """A task by its OpenML number.

    Raises:
        MissingDataError: the data are not there.
        KeyError: there is no such task.
    """
    numbers: Mapping[str, Any] = data("lcbench", "encoding.json")["OpenML_task_id"]
    if name not in numbers:
        known = ", ".join(key for key in numbers if key.isdecimal())
        raise KeyError(f"LCBench has no task {name}: use one of {known}")
    return LCBench(onnx_model("lcbench"), numbers[name])


def __getattr__(name: str) -> Callable[[], LCBench]:
    """`task_189908` and its like: the factories."""
    if not re.fullmatch(r"task_\d+", name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return lambda: task(name.removeprefix("task_"))


def __dir__() -> list[str]:
    """What there is to name as a factory."""
    return [f"task_{name}" for name in references()]
