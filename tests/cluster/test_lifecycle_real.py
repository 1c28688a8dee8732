"""How studies end, and what is kept of them, on the real cluster."""

from pathlib import Path
from typing import Any

import pytest

from hack.cluster.paths import CHECKPOINTS
from hyperband.backends.kubernetes.api_errors import NotFound
from hyperband.backends.kubernetes.objects import STUDIES
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

SLOW = 0.6  # seconds an epoch
# As harness.GOOD, but first attempts take so long that none ends before all four run.
PAUSE = '2.4 if os.environ["HYPERBAND_ATTEMPT"] == "0" else 0.1'
FIRST_SLOW = "import os" + GOOD.replace("PAUSE", PAUSE)

# As harness.GOOD, with a second metric that grows with the epochs.
ACCURATE = """
import time
from hyperband.report import parameters, report, resource_target
x = parameters()["x"]
for epoch in range(1, int(resource_target()) + 1):
    time.sleep(PAUSE)
    report(epochs=epoch, loss=(x - 0.3) ** 2 + 1 / epoch, accuracy=epoch / 10)
time.sleep(30)
"""


def of(trials: list[dict[str, Any]], state: str) -> list[dict[str, Any]]:
    return [t for t in trials if t.get("status", {}).get("state") == state]


async def patch(here: Bench, name: str, **spec: Any) -> None:
    await here.client.patch(STUDIES, here.namespace, name, {"spec": spec}, dict)


async def runs(here: Bench, name: str, least: int) -> None:
    async def there() -> bool:
        return len(of(await here.trials(name), "Running")) >= least

    await eventually(there, f"{least} trials run")


async def logged(here: Bench, pod: str, text: str) -> None:
    async def said() -> bool:
        return text in await here.log(pod)

    await eventually(said, f"{pod} has written {text!r}")


def check_bill(body: dict[str, Any], trials: list[dict[str, Any]]) -> float:
    """The study's GPU time is that of its attempts, each of which has one GPU; returns it."""
    attempts = [a for t in trials for a in t["status"].get("attempts", [])]
    assert all("endTime" in attempt for attempt in attempts)
    total = sum(attempt["gpuSeconds"] for attempt in attempts)
    assert body["status"]["gpuSeconds"] == pytest.approx(total, abs=0.1)
    return float(total)


async def test_a_stopped_trial_leaves_its_log(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            await here.apply(study("logs", trainer(pause=SLOW), hyperband={"mode": "Stopping"}))
            body = await here.finished("logs")
            trials, pods = await here.trials("logs"), await here.pods("logs")
            stopped = of(trials, "Stopped")
            ended = {p.metadata.name for p in pods if p.status.reason == "DeadlineExceeded"}
            logs = [await here.log(f"{t['metadata']['name']}-0") for t in stopped]
    assert condition(body, "Succeeded", "reason") == "Exhausted"
    attempts = {t["metadata"]["name"] + "-0": t["status"]["attempts"][0] for t in stopped}
    # The others had trained to their end before a slow kubelet heard of it.
    cut_short = {name for name, attempt in attempts.items() if attempt["resource"] < 9}
    assert cut_short <= ended <= attempts.keys()
    assert cut_short
    assert all("epoch 1" in log for log in logs)
    assert {attempts[name]["outcome"] for name in cut_short} == {"Ended"}
    assert all(t["status"]["failures"] == 0 for t in trials)
    check_bill(body, trials)


async def test_a_target_ends_all_trials(kubeconfig: str, namespace: str, tmp_path: Path) -> None:
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            await here.apply(
                study(
                    "target",
                    trainer(ACCURATE, pause=SLOW),
                    hyperband={"mode": "None"},
                    resource={"name": "epochs", "min": 1, "max": 81},  # nobody gets there
                    earlyStopping=[{"metric": "accuracy", "goal": "Maximize", "value": 0.4}],
                )
            )
            body = await here.finished("target")
            trials, pods = await here.trials("target"), await here.pods("target")
    assert condition(body, "Succeeded") == "True"
    assert condition(body, "Succeeded", "reason") == "TargetReached"
    best = [t for t in trials if t["status"]["reason"] == "TargetReached"]
    assert best
    name = best[0]["metadata"]["name"]
    message = condition(body, "Succeeded", "message")
    assert message.startswith(f"{name}: accuracy 0.4 at epochs 4 reaches the target 0.4")
    assert {t["status"]["state"] for t in trials} == {"Stopped"}
    assert len(trials) == 4, "none was started after it"
    assert all(p.status.phase in ("Succeeded", "Failed") for p in pods)


@pytest.mark.parametrize("on_budget", ["Stop", "Finish"])
async def test_gpu_hours(kubeconfig: str, namespace: str, tmp_path: Path, on_budget: str) -> None:
    """Over after a quarter of the time that they are for one pod: all four train, and none ends."""
    seconds, pause = {"Stop": (40, 20.0), "Finish": (80, 4.0)}[on_budget]
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            await here.apply(
                study(
                    "bill",
                    trainer(pause=pause),
                    hyperband={"mode": "None"},
                    budget={"gpuHours": seconds / 3600},
                    onBudget=on_budget,
                )
            )
            body = await here.finished("bill")
            trials = await here.trials("bill")
    kind = "Succeeded" if on_budget == "Finish" else "Failed"  # stopped before any result
    assert condition(body, kind, "reason") == "BudgetReached"
    assert f"budget.gpuHours is {seconds / 3600:.6g}" in condition(body, kind, "message")
    spent = check_bill(body, trials)
    if on_budget == "Stop":
        assert 38 <= spent < 40 + 4 * 30, "the grace period and a kubelet's pauses, of four pods"
    assert len(trials) == 4
    ends = {"Stop": {"Stopped"}, "Finish": {"Completed"}}[on_budget]
    assert {t["status"]["state"] for t in trials} == ends


async def test_stop_and_time_to_live(kubeconfig: str, namespace: str, tmp_path: Path) -> None:
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            # So slow that none has ended when the last of four begins.
            slow = trainer(pause=10 * SLOW)
            await here.apply(study("stopped", slow, hyperband={"mode": "None"}))
            await runs(here, "stopped", 4)
            await patch(here, "stopped", stop=True)
            body = await here.finished("stopped")
            kind = "Failed" if "best" not in body["status"] else "Succeeded"
            assert condition(body, kind, "reason") == "Stopped"
            pods = await here.pods("stopped")
            assert all(p.status.phase in ("Succeeded", "Failed") for p in pods)
            await patch(here, "stopped", ttlAfterFinished="1s")

            async def gone() -> bool:
                try:
                    await here.study("stopped")
                except NotFound:
                    return not await here.trials("stopped") and not await here.pods("stopped")
                return False

            await eventually(gone, "the study, its trials and its pods are gone")


async def test_suspended_and_resumed_with_other_limits(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here, census(here) as counted:
            modes = {"mode": "None"}  # early stopping might not let four run at once
            await here.apply(
                study("pause", trainer(FIRST_SLOW), hyperband=modes, budget={"duration": "1h"})
            )
            await runs(here, "pause", 4)
            await logged(here, "pause-0-0", "epoch 1")
            await patch(here, "pause", suspend=True)

            async def quiet() -> bool:
                body = await here.study("pause")
                suspended = condition(body, "Suspended") == "True" and not counted.alive
                # A pod's end is written down after it was seen.
                return suspended and not of(await here.trials("pause"), "Running")

            await eventually(quiet, "nothing runs any more")
            await patch(here, "pause", suspend=False, parallelism=2, maxTrials=6)
            body = await here.finished("pause")
            trials, pods = await here.trials("pause"), await here.pods("pause")
            attempts = {p.metadata.name: await here.log(p.metadata.name) for p in pods}
    assert condition(body, "Succeeded", "reason") == "Exhausted"
    check_records(trials, 6)
    assert all(t["status"]["failures"] == 0 for t in trials)
    assert all(t["status"].get("disruptions", 0) == 0 for t in trials)
    assert body["status"]["suspendedSeconds"] > 0
    assert "epoch 1" in attempts["pause-0-0"], "logs of before are there"
    assert any("resumed from epoch" in log for log in attempts.values())
    check_bill(body, trials)


async def test_without_resume_promoted_trials_start_from_scratch(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            await here.apply(study("scratch", trainer(), resume=False))
            body = await here.finished("scratch")
            trials = await here.trials("scratch")
            top = of(trials, "Completed")[0]["metadata"]["name"]
            logs = [await here.log(f"{top}-{attempt}") for attempt in range(3)]
    check_records(trials, 9)
    for log, epochs in zip(logs, (1, 3, 9), strict=True):
        assert log.split("\n")[:2] == ["epoch 1", "epoch 2" if epochs > 1 else ""]
    assert body["status"]["promotions"] > 0


async def test_checkpoints_that_nobody_can_want_are_removed(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    volume = {"hostPath": {"path": "/checkpoints", "type": "Directory"}}
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            checkpoint = {"volume": volume, "cleanUp": "Remove"}
            await here.apply(study("clean", trainer(), checkpoint=checkpoint))

            async def cleaned() -> dict[str, Any] | None:
                body = await here.study("clean")
                return body if "checkpointsRemoved" in body.get("status", {}) else None

            body = await eventually(cleaned, "checkpoints are removed")
            trials = await here.trials("clean")
    kept = {t["spec"]["index"] for t in of(trials, "Completed")}
    kept.add(body["status"]["best"]["index"])
    assert body["status"]["checkpointsRemoved"] == 9 - len(kept)
    root = CHECKPOINTS / namespace / f"clean-{body['metadata']['uid'][:8]}"
    assert {int(folder.name.partition("-")[0]) for folder in root.iterdir()} == kept
