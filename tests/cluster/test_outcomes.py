"""What trainers and people do wrong: each has one outcome, the one in docs/concepts/outcomes.md."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hyperband.api import names
from hyperband.backends.kubernetes.attempts import is_over
from hyperband.backends.kubernetes.objects import PODS, TRIALS, Pod
from tests.bad_studies import SERVER_CANNOT_KNOW
from tests.cluster.harness import (
    GOOD,
    Bench,
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

# What trial 0 does differently; the others train as they should.
ONLY_TRIAL_0 = """
import os, time
if os.environ["HYPERBAND_TRIAL"].endswith("-0"):
    FAULT
    raise SystemExit(0)
"""


# The first attempt of trial 0 trains for ever; the next one as it should.
STUCK_ONCE = """
import os, time
if os.environ["HYPERBAND_TRIAL"].endswith("-0") and os.environ["HYPERBAND_ATTEMPT"] == "0":
    time.sleep(3600)
"""


def faulty(fault: str) -> list[str]:
    return trainer(ONLY_TRIAL_0.replace("FAULT", fault) + GOOD)


async def run(here: Bench, name: str, command: list[str], **changes: Any) -> dict[str, Any]:
    """Runs a study to its end; gives trial 0."""
    changes = {"failurePolicy": {"retries": 1, "maxFailedTrials": 3}, "maxTrials": 5} | changes
    await here.apply(study(name, command, **changes))
    body = await here.finished(name)
    assert condition(body, "Succeeded") == "True", "one bad trial is not the study's end"
    trials = await here.trials(name)
    check_records(trials, 5)
    return trials[0]


@pytest.mark.parametrize(
    ("name", "fault", "state", "reason", "message"),
    [
        ("silent", "pass", "Failed", "RetriesExhausted", "without reporting loss at epochs 1"),
        ("crash", "raise SystemExit(3)", "Failed", "RetriesExhausted", "exit code 3"),
        (
            "nan",
            "from hyperband.report import report; report(epochs=1, loss=float('nan'))",
            "Failed",
            "Diverged",
            "loss was nan at epochs 1",
        ),
        (
            "wrong-metric",
            # The reporter itself refuses a report without the metric, where it is told its name.
            "os.environ['HYPERBAND_METRIC'] = 'los'; "
            "from hyperband.report import report; report(epochs=1, los=0.5)",
            "Failed",
            "RetriesExhausted",
            'has no "loss", only',
        ),
    ],
)
async def test_a_bad_trainer(
    kubeconfig: str,
    namespace: str,
    tmp_path: Path,
    name: str,
    fault: str,
    state: str,
    reason: str,
    message: str,
) -> None:
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            trial = await run(here, name, faulty(fault))
    status = trial["status"]
    assert (status["state"], status["reason"]) == (state, reason)
    assert message in status["message"]
    if reason == "RetriesExhausted":
        assert status["failures"] == 2
        assert status["attempt"] == 1
    else:
        assert status["attempt"] == 0, "a divergence is not repeated"


async def test_reports_out_of_order_are_left_out(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    fault = (
        "from hyperband.report import report; report(epochs=3, loss=0.5); report(epochs=1, loss=9)"
    )
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            trial = await run(here, "backwards", faulty(fault))
    # The first report at or above a level is its value: 3 epochs answer for 1 as well.
    first = trial["status"]["rungs"][0]
    assert (first["level"], first["resource"], first["value"]) == (0, 3, 0.5)


async def test_deleting_the_pod_of_a_running_trial(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here, census(here) as counted:
            await here.apply(study("robbed", trainer(STUCK_ONCE + GOOD), maxTrials=5))
            pod = await _running_pod(here, "robbed", "robbed-0-0")
            await here.client.delete(PODS, namespace, pod.metadata.name)
            body = await here.finished("robbed")
            trials = await here.trials("robbed")
    assert condition(body, "Succeeded") == "True"
    check_records(trials, 5)
    assert trials[0]["status"]["disruptions"] == 1
    assert trials[0]["status"]["failures"] == 0, "a disruption is no failure"
    assert counted.most <= 4
    assert not counted.twice


async def test_garbage_in_the_annotation(kubeconfig: str, namespace: str, tmp_path: Path) -> None:
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            await here.apply(study("garbage", trainer(STUCK_ONCE + GOOD), maxTrials=5))
            pod = await _running_pod(here, "garbage", "garbage-0-0")
            garbage = {"metadata": {"annotations": {names.METRICS_ANNOTATION: "{[not json"}}}
            await here.client.patch(PODS, namespace, pod.metadata.name, garbage, Pod)
            trial_name = pod.metadata.name.rpartition("-")[0]

            async def noticed() -> bool:
                trial = await here.client.get(TRIALS, namespace, trial_name, dict)
                return "is not JSON" in trial.get("status", {}).get("reportError", "")

            await eventually(noticed, "the trial says what is wrong with its annotation")
            mended = {"metadata": {"annotations": {names.METRICS_ANNOTATION: "[]"}}}
            await here.client.patch(PODS, namespace, pod.metadata.name, mended, Pod)

            async def cleared() -> bool:
                trial = await here.client.get(TRIALS, namespace, trial_name, dict)
                return "reportError" not in trial["status"]

            await eventually(cleared, "nothing is wrong any more")
            await here.client.delete(PODS, namespace, pod.metadata.name)
            body = await here.finished("garbage")
            trials = await here.trials("garbage")
    assert condition(body, "Succeeded") == "True"
    check_records(trials, 5)


async def test_pods_with_forged_labels_are_nobodys(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    """Neither counted, nor listened to, nor deleted."""
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            await here.client.create(PODS, namespace, _forged("forger", "forged"), Pod)
            await here.apply(study("forged", trainer(pause=0.3), maxTrials=5))
            body = await here.finished("forged")
            trials = await here.trials("forged")
            forged = await here.client.get(PODS, namespace, "forger", Pod)
    assert not is_over(forged)
    assert forged.metadata.deletion_timestamp is None
    assert body["status"]["best"]["value"] > 0, "the forged report of -1 counts for nothing"
    check_records(trials, 5)


async def test_a_foreign_pod_in_the_way_is_named_and_left_alone(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            await here.client.create(PODS, namespace, _forged("taken-0-0", "other"), Pod)
            await here.apply(study("taken", maxTrials=5))

            async def said() -> bool:
                return "pod taken-0-0" in condition(await here.study("taken"), "Ready", "message")

            await eventually(said, "the study names the pod that is in its way")
            await here.client.delete(PODS, namespace, "taken-0-0", grace_period_seconds=0)
            body = await here.finished("taken")
            trials = await here.trials("taken")
    assert condition(body, "Succeeded") == "True"
    check_records(trials, 5)


async def test_a_pod_that_loses_its_labels_is_ended_and_repeated(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with running_operator(namespace, tmp_path / "operator.log") as operator:
        async with bench(kubeconfig, namespace) as here:
            await here.apply(study("stripped", trainer(STUCK_ONCE + GOOD), maxTrials=5))
            pod = await _running_pod(here, "stripped", "stripped-0-0")
            labels = {"metadata": {"labels": {names.STUDY_LABEL: None}}}
            await here.client.patch(PODS, namespace, pod.metadata.name, labels, Pod)
            body = await here.finished("stripped")
            trials = await here.trials("stripped")
            log = operator.text()
    assert condition(body, "Succeeded") == "True"
    check_records(trials, 5)
    assert trials[0]["status"]["disruptions"] == 1
    assert trials[0]["status"]["failures"] == 0
    assert "stripped-0-0: deleting the pod: it has lost its labels" in log


async def test_too_many_failed_trials_fail_the_study(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    policy = {"retries": 0, "maxFailedTrials": 1}
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            await here.apply(study("broken", ["false"], failurePolicy=policy))
            body = await here.finished("broken")
            pods = await here.pods("broken")
    assert condition(body, "Failed") == "True"
    assert condition(body, "Failed", "reason") == "TooManyFailedTrials"
    assert "maxFailedTrials" in condition(body, "Failed", "message")
    assert all(is_over(pod) for pod in pods)


async def test_without_the_right_to_report_nothing_starts_until_it_is_given(
    kubeconfig: str, bare_namespace: str, tmp_path: Path
) -> None:
    namespace = bare_namespace
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            await here.apply(study("mute", maxTrials=3))

            async def said() -> str:
                body = await here.study("mute")
                right = condition(body, "Ready", "reason") == "ReporterNotPermitted"
                return condition(body, "Ready", "message") if right else ""

            message = await eventually(said, "the study says that its pods may not report")
            assert "manifests/namespace/reporter.yaml" in message
            assert not await here.trials("mute")
            mended = await asyncio.create_subprocess_exec(
                "kubectl", "apply", "-n", namespace, "-f", "manifests/namespace/reporter.yaml"
            )
            assert await mended.wait() == 0
            body = await here.finished("mute")
    assert condition(body, "Succeeded") == "True"


@pytest.mark.parametrize(
    ("name", "template", "reason", "message"),
    [
        ("unknown-field", {"imagePullPolice": "Always"}, "InvalidSpec", "imagePullPolice"),
        ("bad-quantity", {"resources": {"limits": {"cpu": "much"}}}, "InvalidSpec", "quantit"),
    ],
)
async def test_a_template_that_can_never_work_fails_the_study(
    kubeconfig: str,
    namespace: str,
    tmp_path: Path,
    name: str,
    template: dict[str, Any],
    reason: str,
    message: str,
) -> None:
    bad = study(name)
    bad["spec"]["trialTemplate"]["spec"]["containers"][0] |= template
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            await here.apply(bad)
            body = await here.finished(name)
            assert not await here.trials(name)
    assert condition(body, "Failed", "reason") == reason
    said = condition(body, "Failed", "message")
    assert "spec.trialTemplate" in said
    assert message in said


async def test_what_the_server_cannot_know_becomes_a_failed_condition(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            for number, bad in enumerate(SERVER_CANNOT_KNOW):
                name = f"bad-{number}"
                await here.apply(bad.manifest(name, namespace))
                body = await here.finished(name)
                message = condition(body, "Failed", "message")
                assert condition(body, "Failed", "reason") == "InvalidSpec", bad.title
                for part in bad.says:
                    assert part in message, bad.title


async def _running_pod(here: Bench, study: str, name: str = "") -> Pod:
    async def running() -> Pod | None:
        pods = [pod for pod in await here.pods(study) if pod.status.phase == "Running"]
        return next((pod for pod in pods if name in ("", pod.metadata.name)), None)

    found: Pod = await eventually(running, "a pod runs")
    return found


def _forged(name: str, study: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {names.STUDY_LABEL: study, names.TRIAL_LABEL: "0", names.ATTEMPT_LABEL: "0"},
            "annotations": {names.METRICS_ANNOTATION: '{"epochs": 1, "loss": -1}'},
        },
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "sleep",
                    "image": "hyperband.dev/digits:dev",
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sleep", "600"],
                }
            ],
        },
    }
