"""kubeconform on what the chart makes, on the plain manifests and on the samples."""

from pathlib import Path

import pytest

from hack.chart import conformance, helm
from hack.cluster.paths import REPOSITORY

SETS = sorted((Path(__file__).parent / "values").glob("*.yaml"))
FOLDERS = ("crds", "manifests/install", "manifests/namespace", "manifests/samples")


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """Built now where they are not yet, outside of any one test's time."""
    helm.program()
    conformance.program()
    conformance.schemas()


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_what_the_chart_makes(values: Path) -> None:
    assert conformance.check(helm.template(f"--values={values}")) == ""


@pytest.mark.parametrize("folder", FOLDERS)
def test_plain_manifests(folder: str) -> None:
    for path in sorted((REPOSITORY / folder).glob("*.yaml")):
        assert conformance.check(path.read_text(encoding="utf-8")) == "", path.name


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("replicas: 1", "replica: 1", "additional properties 'replica' not allowed"),
        ("replicas: 1", "replicas: one", "got string, want integer"),
        ("kind: Deployment", "kind: Deploy", "could not find schema for Deploy"),
        ("periodSeconds: 10", "periodSecond: 10", "'periodSecond' not allowed"),
        ("verbs:", "verb:", "'verb' not allowed"),
        ("memory: 1Gi", "memory: [1]", "got array, want"),
    ],
)
def test_a_fault_is_found(right: str, wrong: str, said: str) -> None:
    text = helm.template("--set=crds.install=false,policies.install=false")
    assert right in text
    assert said in conformance.check(text.replace(right, wrong))


def test_a_fault_of_a_study_is_found() -> None:
    text = (REPOSITORY / "manifests/samples/digits.yaml").read_text(encoding="utf-8")
    assert "'maxTrial' not allowed" in conformance.check(text.replace("maxTrials", "maxTrial"))
