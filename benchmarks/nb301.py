"""NAS-Bench-301: cells of DARTS on CIFAR-10, as a surrogate that answers for epochs 1 to 98.

For `hyperband simulate`: `--benchmark benchmarks.nb301:benchmark`. A configuration chooses the two
inputs of each node and an operation for each chosen edge; the edges that are not chosen are
inactive. Names are the last part of the data's, `edge_normal_0` or `inputs_node_reduce_5`.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from benchmarks.surrogate import Array, Model, data, onnx_model
from hyperband.backends.simulator.curves import Curve
from hyperband.core.space import Value

R_MAX = 98
METRIC = "val_accuracy"  # percent
PREFIX = "NetworkSelectorDatasetInfo_COLON_darts_COLON_"
INACTIVE = "#na#"

Encoding = Mapping[str, Mapping[str, int]]


class NasBench301:
    """The benchmark. Curves depend on the configuration alone: the surrogate knows no noise."""

    def __init__(self, model: Model, encoding: Encoding) -> None:
        """Args:
        encoding: the number of each choice, by parameter, in the order of the model's input.
        """
        self._model, self._encoding = model, encoding

    def curve(self, parameters: Mapping[str, Value], seed: int) -> Curve:
        """The whole run up to epoch 98."""
        outputs = self.outputs([parameters])[0]
        return {
            "resource": np.arange(1, R_MAX + 1),
            "seconds": np.maximum.accumulate(np.maximum(outputs[:, 2], 0.0)),
            "metrics": {METRIC: outputs[:, 0], "val_cross_entropy": outputs[:, 1]},
        }

    def outputs(
        self, configurations: list[Mapping[str, Value]], epochs: Array | None = None
    ) -> Array:
        """What the model says of n configurations, (n, len(epochs), 4), in one call."""
        epochs = np.arange(1, R_MAX + 1) if epochs is None else epochs
        rows = np.array(
            [
                [numbers[str(c.get(name, INACTIVE))] for name, numbers in self._encoding.items()]
                for c in configurations
            ]
        )
        answer = self._model(
            np.repeat(rows, len(epochs), axis=0), np.tile(epochs, len(rows))[:, None]
        )
        return answer.reshape(len(rows), len(epochs), -1)


@cache
def benchmark() -> NasBench301:
    """The factory; raises MissingDataError."""
    encoding: Mapping[str, Any] = data("nb301", "encoding.json")
    named = {name.removeprefix(PREFIX): numbers for name, numbers in encoding.items()}
    return NasBench301(onnx_model("nb301"), named)
