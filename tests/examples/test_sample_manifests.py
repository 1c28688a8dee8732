"""The sample manifests are valid studies, and the example trains what they suggest."""

import importlib.util
from pathlib import Path

import pytest

from hyperband.api.study import StudyResource, parse_study
from hyperband.core.rungs import Ladder
from hyperband.core.searchers.random import Random
from tests.manifests import load_manifest

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "manifests/samples").glob("*.yaml"))


def load(path: Path) -> StudyResource:
    body = load_manifest(path)
    body["metadata"]["uid"] = "00000000-0000"
    return parse_study(body)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_are_valid(path: Path) -> None:
    study = load(path)
    assert study.name == path.stem
    (container,) = study.template.spec["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1


@pytest.mark.parametrize("name", ["digits", "digits-stopping", "digits-synchronous"])
def test_the_example_takes_every_configuration(name: str) -> None:
    spec = importlib.util.spec_from_file_location("train", ROOT / "examples/digits/train.py")
    assert spec is not None and spec.loader is not None
    train = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train)
    study = load(ROOT / f"manifests/samples/{name}.yaml").study
    searcher = Random(study, Ladder.of(study))
    for index in range(36):
        train.Network(train.Config(**searcher.suggest(index).parameters))
