"""Archives on the real cluster: made, killed in between, unpacked by hand, gone with the study."""

import contextlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hyperband.backends.kubernetes.api_errors import Conflict, Invalid, NotFound
from hyperband.backends.kubernetes.attempts import is_over
from hyperband.backends.kubernetes.objects import ARCHIVES, PODS, STUDIES, TRIALS
from tests.cluster.harness import (
    Bench,
    bench,
    check_records,
    condition,
    eventually,
    often_archiving,
    running_operator,
    study,
)

pytestmark = pytest.mark.cluster

SMALL = "archiver.CHUNK, archiver.BATCH = 2, 1"
TOTAL, KEPT, KILLS = 10, 2, 2


async def _tidy(here: Bench) -> None:
    """Deletes pods that have ended."""
    for pod in await here.pods():
        if is_over(pod):
            with contextlib.suppress(NotFound, Conflict):
                await here.client.delete(
                    PODS, here.namespace, pod.metadata.name, uid=pod.metadata.uid
                )


async def test_trials_are_archived_while_the_operator_is_killed(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    small = {"maxTrials": TOTAL, "retention": {"trials": KEPT}}
    stopping = {"hyperband": {"mode": "Stopping"}}
    killed = 0
    log, program = tmp_path / "operator.log", often_archiving(SMALL)
    with running_operator(namespace, log, program=program) as operator:
        async with bench(kubeconfig, namespace) as here:
            await here.apply(study("archived", **small, **stopping))

            async def left() -> bool:
                nonlocal killed
                assert operator.alive, operator.text()[-1000:]
                await _tidy(here)
                archives = len(await here.objects(ARCHIVES, "archived"))
                if killed < min(archives, KILLS):  # objects of the last one may still be there
                    operator.kill()
                    killed += 1
                    operator.start()
                return len(await here.objects(TRIALS, "archived")) == KEPT and archives > KILLS

            await eventually(left, "all trials but two are archived", 240)
            body = await here.finished("archived")
            trials = await here.trials("archived")
            archives = await here.objects(ARCHIVES, "archived")
            objects = await here.objects(TRIALS, "archived")
    check_records(trials, TOTAL)
    assert killed == KILLS
    assert sum(a["spec"]["trials"] for a in archives) + len(objects) == TOTAL, "each once"
    assert condition(body, "Succeeded") == "True"
    assert body["status"]["trials"]["total"] == TOTAL
    spent = sum(t["status"]["curve"][-1]["resource"] for t in trials)
    assert body["status"]["resourceUnits"] == spent


async def test_a_finished_study_is_archived_unpacked_by_hand_started_from_and_deleted(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with running_operator(namespace, tmp_path / "operator.log", program=often_archiving()):
        async with bench(kubeconfig, namespace) as here:
            await here.apply(study("old", retention={"trials": 0}))
            await here.finished("old")
            before = await here.trials("old")
            assert len(await here.objects(TRIALS, "old")) == 9, "their pods are there, and logs"

            async def archived() -> bool:
                await _tidy(here)
                return not await here.objects(TRIALS, "old")

            await eventually(archived, "no trial has an object of its own")
            shown = _kubectl("get", "hba", "-n", namespace)
            by_hand = _unpack(namespace, "old-archive-0")
            await here.apply(
                study("new", warmStart={"fromStudies": ["old"]}, maxTrials=2, parallelism=2)
            )
            new = await here.finished("new")
            with pytest.raises(Invalid, match="never changes"):
                await here.client.patch(
                    ARCHIVES, namespace, "old-archive-0", {"spec": {"last": 99}}, dict
                )
            await here.client.delete(STUDIES, namespace, "old")

            async def gone() -> bool:
                return not await here.objects(ARCHIVES, "old")

            await eventually(gone, "the archive has gone with its study")
    assert [line.split()[:5] for line in shown.splitlines()] == [
        ["NAME", "STUDY", "CHUNK", "TRIALS", "FIRST"],
        ["old-archive-0", "old", "0", "9", "0"],
    ]
    for trial in before:
        for key in ("managedFields", "ownerReferences", "namespace", "generation"):
            trial["metadata"].pop(key)
    assert by_hand == [{k: t[k] for k in ("metadata", "spec", "status")} for t in before]
    values = sum(len(t["status"]["rungs"]) for t in before)
    assert new["status"]["warmStart"]["values"] == values


def _unpack(namespace: str, name: str) -> Any:
    """As docs/concepts/archives.md says."""
    command = (
        f"kubectl get hba {name} -n {namespace} -o jsonpath='{{.spec.data}}' | base64 -d | gunzip"
    )
    done = subprocess.run(["sh", "-c", command], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def _kubectl(*words: str) -> str:
    done = subprocess.run(["kubectl", *words], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout
