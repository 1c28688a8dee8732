"""LCBench and NAS-Bench-301 as benchmarks: what they ask a surrogate, and what they make of it."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import lcbench, nb301, surrogate
from benchmarks.spaces import parameters
from hyperband.api.files import load_manifest
from hyperband.api.parameters import parse_space
from hyperband.api.study import parse_study
from hyperband.backends.simulator.curves import training
from hyperband.core.records import Goal, Objective, Resource
from tests.benchmarks import fakes

STUDIES = Path(__file__).parents[2] / "benchmarks/studies"
CONFIGURATION: dict[str, Any] = {
    "batch_size": 32,
    "learning_rate": 0.25,
    "momentum": 0.9,
    "weight_decay": 0.01,
    "num_layers": 2,
    "max_units": 64,
    "max_dropout": 0.5,
}


def test_lcbench_begins_with_the_second_epoch() -> None:
    curve = lcbench.LCBench(fakes.lcbench_model, 3).curve(CONFIGURATION, 0)
    assert list(curve["resource"]) == list(range(1, 51))
    assert list(curve["metrics"]["val_accuracy"]) == [50.0 + epoch for epoch in range(2, 52)]
    # The task's number and the learning rate are where the model expects them.
    assert list(curve["metrics"]["val_balanced_accuracy"]) == [3.25] * 50


def test_lcbench_never_goes_back_in_time() -> None:
    seconds = list(lcbench.LCBench(fakes.lcbench_model, 3).curve(CONFIGURATION, 0)["seconds"])
    assert (seconds[0], seconds[-1]) == (2.0, 100.0)
    assert all(a <= b for a, b in pairwise(seconds))
    assert seconds[18] == seconds[17] == 36.0  # epoch 20


def test_configurations_in_one_call_are_as_one_by_one() -> None:
    benchmark = lcbench.LCBench(fakes.lcbench_model, 3)
    other = {**CONFIGURATION, "learning_rate": 0.5}
    both = benchmark.outputs([CONFIGURATION, other])
    assert both.shape == (2, 51, 6)
    np.testing.assert_array_equal(both[1], benchmark.outputs([other])[0])


def test_nb301_numbers_choices_and_leaves_out_what_is_inactive() -> None:
    encoding = {"a": {"#na#": 0, "x": 1, "y": 2}, "b": {"#na#": 0, "x": 10}}
    benchmark = nb301.NasBench301(fakes.nb301_model, encoding)
    curve = benchmark.curve({"a": "y"}, 0)
    assert list(curve["resource"]) == list(range(1, 99))
    assert curve["metrics"]["val_accuracy"][-1] == pytest.approx(2.98)
    assert curve["seconds"][-1] == 7.0 * 98
    last = benchmark.outputs([{"a": "y"}, {"a": "x", "b": "x"}], np.array([98]))
    assert last[:, 0, 3].tolist() == [2.0, 11.0]


@pytest.mark.parametrize(
    ("curve", "r_max"),
    [
        (lambda: lcbench.LCBench(fakes.lcbench_model, 3).curve(CONFIGURATION, 0), 50),
        (lambda: nb301.NasBench301(fakes.nb301_model, {"a": {"#na#": 0}}).curve({}, 0), 98),
    ],
)
def test_the_simulator_takes_the_curves(curve: Callable[[], Any], r_max: int) -> None:
    objective = Objective("val_accuracy", Goal.MAXIMIZE)
    steps = training(curve(), objective, Resource("epochs", 1, r_max))
    assert len(steps.reports) == r_max


def test_factories_have_a_name_for_each_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lcbench, "data", lambda *_: {"OpenML_task_id": {"#na#": 0, "7593": 35}})
    monkeypatch.setattr(lcbench, "onnx_model", lambda _: fakes.lcbench_model)
    curve = lcbench.task_7593().curve(CONFIGURATION, 0)
    assert curve["metrics"]["val_balanced_accuracy"][0] == 35.25
    with pytest.raises(KeyError, match="LCBench has no task 1: use one of 7593"):
        lcbench.task_1()
    with pytest.raises(AttributeError, match="has no attribute 'job_7593'"):
        _ = lcbench.job_7593
    assert {"task_7593", "task_189908"} <= set(dir(lcbench))
    assert all(callable(getattr(lcbench, name)) for name in dir(lcbench))


def test_missing_data_say_where_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(surrogate.VARIABLE, raising=False)
    with pytest.raises(surrogate.MissingDataError, match="HYPERBAND_BENCHMARK_DATA is not set: fe"):
        surrogate.data_file("lcbench", "model.onnx")
    monkeypatch.setenv(surrogate.VARIABLE, str(tmp_path))
    with pytest.raises(surrogate.MissingDataError, match=r"there is no .*/lcbench/model\.onnx"):
        surrogate.data_file("lcbench", "model.onnx")


def test_spaces_become_parameters_of_a_study() -> None:
    floats = {"type": "uniform_float", "lower": 0.10000000000000002, "upper": 1.0, "log": True}
    config_space = {
        "hyperparameters": [
            {"name": "p_rate", **floats},
            {"name": "p_size", "type": "uniform_int", "lower": 1, "upper": 9, "log": False},
            {"name": "p_kind", "type": "categorical", "choices": ["a", "b"]},
            {"name": "epoch", "type": "uniform_int", "lower": 1, "upper": 52, "log": False},
        ],
        "conditions": [{"child": "p_size", "parent": "p_kind", "type": "IN", "values": ["b"]}],
    }
    rows = parameters(config_space, ("epoch",), "p_")
    assert rows == [
        {"name": "rate", "type": "Float", "min": 0.1, "max": 1.0, "scale": "Log"},
        {"name": "size", "type": "Integer", "min": 1, "max": 9, "when": {"kind": ["b"]}},
        {"name": "kind", "type": "Categorical", "values": ["a", "b"]},
    ]
    assert parse_space(rows).dimension == 4
    config_space["conditions"][0]["type"] = "GT"
    with pytest.raises(ValueError, match="`when` cannot express"):
        parameters(config_space, ("epoch",), "p_")


@pytest.mark.parametrize(("name", "r_max", "count"), [("lcbench", 50, 7), ("nb301", 98, 34)])
def test_the_studies_of_the_surrogates_are_valid(name: str, r_max: int, count: int) -> None:
    study = parse_study(load_manifest(STUDIES / f"{name}.yaml")).study
    assert (study.resource.max, len(study.space.parameters)) == (r_max, count)
    assert study.objective == Objective("val_accuracy", Goal.MAXIMIZE)
    if name == "nb301":
        # Each of the three inner nodes of two cells chooses two of its inputs, the first none.
        sampled = study.space.sample([0.5] * count)
        assert sum(key.startswith("edge") for key in sampled) == 2 * 4 * 2


def test_every_task_of_lcbench_has_its_reference() -> None:
    references = lcbench.references()
    assert len(references) == 24
    for reference in references.values():
        assert reference.median < reference.best <= 100
        assert reference.full_run > 0
