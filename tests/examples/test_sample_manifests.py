"""The sample manifests are valid studies, and the example trains what they suggest."""

import importlib
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


@pytest.mark.parametrize(
    "path",
    [path for path in SAMPLES if path.stem not in ("shell", "sidecar")],
    ids=lambda path: path.stem,
)
def test_the_example_takes_every_configuration(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = load(path)
    python, script = resource.template.spec["containers"][0]["command"]
    assert python == "python3"
    monkeypatch.syspath_prepend(str(ROOT / "examples/digits"))
    module = importlib.import_module(Path(script).stem)
    searcher = Random(resource.study, Ladder.of(resource.study))
    for index in range(resource.study.max_trials):
        module.Network(module.Config(**searcher.suggest(index).parameters))
