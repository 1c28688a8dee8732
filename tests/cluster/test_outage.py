"""The API server goes away in the middle of a study, and comes back."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hack.cluster.paths import CLUSTER_NAME
from tests.cluster.harness import (
    bench,
    census,
    check_records,
    condition,
    eventually,
    running_operator,
    study,
    trainer,
)

pytestmark = pytest.mark.cluster

CONTROL_PLANE = f"{CLUSTER_NAME}-control-plane"
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
ASIDE = "/etc/kubernetes/kube-apiserver.yaml"


def on_control_plane(*command: str) -> None:
    words = [sys.executable, "-m", "hack.cluster", "docker", "exec", CONTROL_PLANE, *command]
    subprocess.run(words, check=True)


@contextmanager
def no_api_server() -> Iterator[None]:
    """The kubelet ends the API server when its manifest goes, and starts it when it returns."""
    on_control_plane("mv", MANIFEST, ASIDE)
    try:
        yield
    finally:
        on_control_plane("mv", ASIDE, MANIFEST)


async def test_a_study_outlives_an_outage_of_the_api_server(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    # A new API server refuses everybody until it has read the roles.
    with running_operator(namespace, tmp_path / "operator.log", may_be_refused=True) as operator:
        async with bench(kubeconfig, namespace) as here, census(here) as counted:
            await here.apply(study("outage", trainer(pause=2.0), maxTrials=6))

            async def some_run() -> bool:
                return len(counted.alive) == 4

            await eventually(some_run, "four pods are alive")
            with no_api_server():

                async def noticed() -> bool:  # some ten seconds
                    return operator.text().count("Cannot connect") >= 8

                await eventually(noticed, "the operator has tried to reach it for a while")
                assert operator.alive

            async def answers() -> bool:
                done = subprocess.run(["kubectl", "get", "--raw", "/readyz"], capture_output=True)
                return done.returncode == 0

            await eventually(answers, "the API server is back")
            body = await here.finished("outage")
            trials = await here.trials("outage")
    assert condition(body, "Succeeded") == "True"
    check_records(trials, 6)
    assert counted.most <= 4
    # Reports wait in their pods for the API server to come back.
    assert all(t["status"]["failures"] == 0 for t in trials)
