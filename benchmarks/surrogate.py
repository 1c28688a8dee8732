"""Surrogate models of benchmarks, run with onnxruntime, and where their files lie.

The files are no part of the project: https://github.com/slds-lmu/yahpo_data (Apache-2.0) has them.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

VARIABLE = "HYPERBAND_BENCHMARK_DATA"

Array = npt.NDArray[Any]


class MissingDataError(RuntimeError):
    """The files of a benchmark, or what runs them, are not there; the message says what to do."""


class Model(Protocol):
    """A surrogate: many rows at once."""

    def __call__(self, categorical: Array, continuous: Array) -> npt.NDArray[np.float64]:
        """Args:
        categorical: (n, c) numbers of the choices.
        continuous: (n, d) on their natural scales.

        Returns: (n, k).
        """


def data_file(benchmark: str, name: str) -> Path:
    """A file of a benchmark, in the folder that HYPERBAND_BENCHMARK_DATA names.

    Raises:
        MissingDataError: the variable is not set, or the file is not there.
    """
    folder = os.environ.get(VARIABLE)
    fetch = (
        f"fetch {benchmark} from https://github.com/slds-lmu/yahpo_data and set {VARIABLE} to the "
        f"folder that holds {benchmark}/{name}"
    )
    if not folder:
        raise MissingDataError(f"{VARIABLE} is not set: {fetch}")
    path = Path(folder) / benchmark / name
    if not path.is_file():
        raise MissingDataError(f"{VARIABLE}: there is no {path}: {fetch}")
    return path


@cache
def data(benchmark: str, name: str) -> dict[str, Any]:
    """A JSON file of a benchmark; raises as `data_file`."""
    content: dict[str, Any] = json.loads(data_file(benchmark, name).read_text(encoding="utf-8"))
    return content


@cache
def onnx_model(benchmark: str) -> Model:
    """The surrogate of a benchmark, on one thread: runs are what goes on in parallel.

    Raises:
        MissingDataError: as `data_file`; or onnxruntime is not installed.
    """
    path = data_file(benchmark, "model.onnx")
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDataError(
            "onnxruntime is not installed: pip install '.[benchmarks]' in this repository"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(categorical: Array, continuous: Array) -> npt.NDArray[np.float64]:
        inputs = {
            "x_cat": np.ascontiguousarray(categorical, dtype=np.int32),
            "x_cont": np.ascontiguousarray(continuous, dtype=np.float32),
        }
        return np.asarray(session.run(None, inputs)[0], dtype=np.float64)

    return run
