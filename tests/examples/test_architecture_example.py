"""The networks that the architecture sample's parameters describe."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyperband.core.rungs import Ladder
from hyperband.core.searchers.random import Random
from hyperband.core.space import Value
from hyperband.report.testing import capture
from tests.examples.test_sample_manifests import load

ROOT = Path(__file__).parents[2]


@pytest.fixture
def architecture(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "examples/digits"))
    return importlib.import_module("architecture")


def configurations(count: int) -> list[Mapping[str, Value]]:
    """What random search tries first."""
    study = load(ROOT / "manifests/samples/architecture.yaml").study
    searcher = Random(study, Ladder.of(study))
    return [searcher.suggest(index).parameters for index in range(count)]


def test_conditions_are_nested() -> None:
    found = configurations(40)
    for each in found:
        assert ("filters" in each) == ("pool" in each) == (each["stem"] == "convolution")
        assert ("units_3" in each) == (each["layers"] == 3)
        assert ("skip" in each) == (each["layers"] != 1)
        assert ("skip_from" in each) == each.get("skip", False)
        assert ("batch_memory" in each) == (each["normalization"] == "batch")
    assert len({tuple(each) for each in found}) > 15, "sets of active parameters"


@pytest.mark.parametrize("parameters", configurations(25), ids=lambda each: each["stem"])
def test_gradients(architecture: Any, parameters: Mapping[str, Value]) -> None:
    """Against differences along a random direction, in double precision."""
    train = importlib.import_module("train")
    rng = np.random.default_rng(0)
    images, labels = rng.random((7, 64)), rng.integers(0, 10, 7)
    network = architecture.Network(architecture.Config(**parameters))
    layers = network.layers
    place = [
        [each + 0.1 * rng.standard_normal(each.shape) for each in own.variables] for own in layers
    ]
    direction = [[rng.standard_normal(each.shape) for each in own] for own in place]

    def scores(step: float) -> Any:
        for layer, starts, ways in zip(layers, place, direction, strict=True):
            layer.variables = [a + step * b for a, b in zip(starts, ways, strict=True)]
        return network.forward(images, training=True)

    def loss(step: float) -> float:
        return float(-train.log_softmax(scores(step))[np.arange(7), labels].mean())

    network.backward(train.cross_entropy_slope(scores(0.0), labels))
    slope = sum(
        float((gradient * way).sum())
        for layer, ways in zip(layers, direction, strict=True)
        for gradient, way in zip(layer.gradients, ways, strict=True)
    )
    assert slope == pytest.approx((loss(1e-6) - loss(-1e-6)) / 2e-6, rel=1e-3, abs=1e-4)


def test_training_improves_and_architectures_differ(
    architecture: Any, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITS", str(digits))
    monkeypatch.setenv("HYPERBAND_RESOURCE_TO", "3")
    last = []
    for index, parameters in enumerate(configurations(6)):
        monkeypatch.setenv("HYPERBAND_CHECKPOINT_DIR", str(tmp_path / str(index)))
        config = architecture.Config(**{**parameters, "learning_rate": 0.01})
        with capture() as reports:
            architecture.train(architecture.Network(config), config.batch_size, config.seed)
        assert [each["epochs"] for each in reports] == [1, 2, 3]
        assert reports[-1]["val_loss"] < reports[0]["val_loss"] < 2.5
        last.append(reports[-1]["val_loss"])
    assert max(last) > 1.5 * min(last)
