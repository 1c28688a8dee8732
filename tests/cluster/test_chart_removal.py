"""What an uninstallation leaves: on an API server of its own, as definitions are the cluster's.

Without nodes no operator runs there; `test_chart_releases` has one that does.
"""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import server
from hyperband.api import names
from tests.cluster.harness import eventually, study
from tests.cluster.releases import BESIDE_OTHERS, SYSTEM, Release, kubectl, objects

pytestmark = pytest.mark.cluster

DEFINITIONS = {
    f"{plural}.{names.GROUP}"
    for plural in ("hyperbandarchives", "hyperbandstudies", "hyperbandtrials")
}
# What trials report by that run on without an operator.
OF_REPORTERS = {
    "ClusterRole hyperband-reporter",
    "ValidatingAdmissionPolicy hyperband-reporter",
    "ValidatingAdmissionPolicyBinding hyperband-reporter",
}
POLICIES = "validatingadmissionpolicy,validatingadmissionpolicybinding"
OF_THE_CLUSTER = f"crd,clusterrole,clusterrolebinding,{POLICIES}"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everybody's KUBECONFIG leads to a bare API server with no definitions of ours."""
    with server.running() as bare:
        monkeypatch.setenv("KUBECONFIG", str(bare.kubeconfig))
        kubectl("delete", "crd", "--all")
        yield


def installed(name: str, namespace: str, *words: str) -> Release:
    release = Release(name, namespace)
    release.helm("install", name, str(release.chart), "--create-namespace", *words)
    return release


def ours() -> set[str]:
    """What the cluster has of us apart from what is in a namespace."""
    kinds: list[dict[str, Any]] = objects(OF_THE_CLUSTER)["items"]
    named = {f"{body['kind']} {body['metadata']['name']}" for body in kinds}
    return {each for each in named if "hyperband" in each}


def definitions() -> set[str]:
    return {each.partition(" ")[2] for each in ours() if each.startswith("CustomResource")}


async def make_study() -> None:
    """Once the server has found out what the definitions define, which Helm does not wait for."""
    words = ["kubectl", "get", "--all-namespaces", ",".join(sorted(DEFINITIONS))]

    async def served() -> bool:
        return subprocess.run(words, capture_output=True).returncode == 0

    await eventually(served, "the kinds of the definitions are served")
    kubectl("apply", "-n", "team", "-f", "-", stdin=json.dumps(study("kept")))


async def test_studies_outlive_an_uninstallation_and_are_adopted_again(api: None) -> None:
    kubectl("create", "namespace", "team")
    team = "--set=reporter.namespaces={team}"
    release = installed("hyperband-operator", SYSTEM, team)
    await make_study()
    before = objects("hbs", "kept", "-n", "team")
    release.helm("uninstall", release.name)
    assert definitions() == DEFINITIONS
    assert ours() - OF_REPORTERS == {f"CustomResourceDefinition {each}" for each in DEFINITIONS}
    assert ours() >= OF_REPORTERS
    kept = objects("sa,rolebinding", "hyperband-reporter", "-n", "team")["items"]
    assert len(kept) == 2
    assert objects("deploy,sa,svc,role,rolebinding", "-n", SYSTEM)["items"] == []
    assert objects("hbs", "kept", "-n", "team") == before
    again = installed("hyperband-operator", SYSTEM, team)
    assert objects("hbs", "kept", "-n", "team") == before
    # Until they are no longer to be kept.
    words = ("--reuse-values", "--set=crds.keep=false")
    again.helm("upgrade", again.name, str(again.chart), *words)
    again.helm("uninstall", again.name)
    kubectl("wait", "crd", "--all", "--for=delete", "--timeout=300s")
    assert ours() == set()
    assert objects("rolebinding", "-n", "team")["items"] == []


def test_a_second_installation_takes_nothing_from_the_first(api: None) -> None:
    installed("hyperband-operator", SYSTEM)
    whole = ours()
    with pytest.raises(AssertionError, match="cannot be imported into the current release"):
        installed("second", "ops")
    kubectl("create", "namespace", "team")
    second = installed("second", "ops", *BESIDE_OTHERS, "--set=namespaces={team}")
    assert ours() == whole, "it has no rights, definitions or policies in the whole cluster"
    granted = objects("role,rolebinding", "-n", "team")["items"]
    assert {body["metadata"]["name"] for body in granted} == {second.full_name}
    second.helm("uninstall", second.name)
    assert ours() == whole
    assert objects("role,rolebinding", "-n", "team")["items"] == []
    assert objects("deploy,role", "-n", SYSTEM)["items"], "the first has lost nothing there either"
