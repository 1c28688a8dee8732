"""The samples as a user applies them, with fewer trials, followed by `hyperband watch`."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.harness import Bench, bench, check_records, condition, running_operator
from tests.manifests import load_manifest

pytestmark = pytest.mark.cluster

SAMPLES = Path(__file__).resolve().parents[2] / "manifests/samples"
TRIALS = {
    "digits": 8,
    "digits-stopping": 8,
    "digits-synchronous": 9,
    "shell": 8,
    "sidecar": 8,
    "digits-abohb": 16,
    "architecture": 16,
}


def sample(name: str) -> dict[str, Any]:
    body = load_manifest(SAMPLES / f"{name}.yaml")
    body["spec"]["maxTrials"] = TRIALS[name]
    return body


def check_suggestions(trials: list[dict[str, Any]]) -> None:
    """The process proposes from the sixth value on, and says what it expects."""
    proposed = [t["spec"] for t in trials if t["spec"]["suggestion"]["origin"] != "Random"]
    assert proposed, "all trials were started before there were enough values"
    for spec in proposed:
        assert spec["suggestion"]["origin"] == "GaussianProcess"
        assert spec["suggestion"]["detail"]["values"] >= 6
        assert spec["suggestion"]["detail"]["deviation"] > 0


async def watch(here: Bench, name: str) -> tuple[int | None, str]:
    """Follows a study with the command line, as a person would."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hyperband.cli", "watch", name, "-n", here.namespace),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"COLUMNS": "200"},
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


@pytest.mark.usefixtures("sidecar_image")
@pytest.mark.parametrize("name", TRIALS)
async def test_sample(kubeconfig: str, namespace: str, tmp_path: Path, name: str) -> None:
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            await here.apply(sample(name))
            code, said = await watch(here, name)
            body, trials = await here.study(name), await here.trials(name)
            resumed = [t for t in trials if t["status"]["attempt"] > 0]
            logs = [
                await here.log(f"{t['metadata']['name']}-{t['status']['attempt']}") for t in resumed
            ]

    assert code == 0
    assert condition(body, "Succeeded") == "True"
    check_records(trials, TRIALS[name])
    for line in ("Exhausted: ", "Best: val_loss ", "Trained: ", "GPU-seconds: "):
        assert line in said
    # It learns: guessing one of ten digits costs 2.3.
    assert body["status"]["best"]["value"] < 1.0
    if body["spec"]["searcher"]["type"] == "GaussianProcess":
        check_suggestions(trials)
    if name == "digits-stopping":
        assert body["status"]["trials"]["stopped"] > 0
        assert not resumed
    else:
        assert body["status"]["promotions"] > 0
        for trial, log in zip(resumed, logs, strict=True):
            before = trial["status"]["rungs"][-2]["resource"]
            assert f"resumed from epoch {before:g}" in log
            assert f"\nepoch {before:g} " not in log, "nothing is trained twice"
