"""Studies from `kubectl apply` to the best configuration, on the real cluster."""

import re
from pathlib import Path
from typing import Any

import pytest

from hyperband.backends.kubernetes.objects import STUDIES
from tests.cluster.harness import (
    bench,
    census,
    check_promotions,
    check_records,
    condition,
    eventually,
    running_operator,
    study,
    trainer,
)

pytestmark = pytest.mark.cluster


async def test_promotion_from_start_to_best(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here, census(here) as counted:
            await here.apply(study("promotion"))
            body = await here.finished("promotion")
            trials = await here.trials("promotion")
            promoted = next(t for t in trials if t["status"]["attempt"] > 0)
            log = await here.log(f"{promoted['metadata']['name']}-{promoted['status']['attempt']}")

    assert condition(body, "Succeeded") == "True"
    assert condition(body, "Succeeded", "reason") == "Exhausted"
    check_records(trials, 9)
    status = body["status"]
    assert status["trials"]["completed"] >= 1
    assert status["promotions"] >= 2
    # The loss is that of GOOD: at full resource it tells the parameter.
    best = status["best"]
    assert best["resource"] == 9
    assert best["value"] == pytest.approx((best["parameters"]["x"] - 0.3) ** 2 + 1 / 9)
    assert counted.most <= 4
    assert not counted.twice
    # A promoted trial goes on from its checkpoint, and does not train an epoch twice.
    before = promoted["status"]["rungs"][promoted["status"]["attempt"] - 1]["resource"]
    assert f"resumed from epoch {before:g}" in log
    assert f"epoch {before:g}\n" not in re.sub("resumed from.*\n", "", log)
    check_promotions(trials, eta=3)
    assert status["gpuSeconds"] > 0


async def test_stopping_ends_pods_that_are_not_good_enough(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here, census(here) as counted:
            slow = trainer(pause=1.0)  # so that a stop comes before the end
            # Random ones might come from worst to best, and none would be stopped.
            good_first = [{"x": x} for x in (0.3, 0.32, 0.34, 0.36, 0.9, 0.92, 0.94, 0.96, 0.98)]
            changes: dict[str, Any] = {"hyperband": {"mode": "Stopping"}}
            changes["initialParameters"] = good_first
            await here.apply(study("stopping", slow, **changes))
            body = await here.finished("stopping")
            trials = await here.trials("stopping")

    assert condition(body, "Succeeded") == "True"
    check_records(trials, 9)
    counts = body["status"]["trials"]
    assert counts["stopped"] >= 3
    assert counts["completed"] >= 1
    assert counts["stopped"] + counts["completed"] == 9
    assert all(t["status"]["attempt"] == 0 for t in trials)
    assert counted.most <= 4
    stopped = next(t for t in trials if t["status"]["state"] == "Stopped")
    assert stopped["status"]["reason"] == "NotGoodEnough"
    evidence = stopped["status"]["evidence"]
    assert evidence["rank"] > evidence["limit"]


async def test_brackets_and_float_resources(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    resource = {"name": "epochs", "type": "Float", "min": 1, "max": 9}
    hyperband = {"mode": "Promotion", "brackets": 3, "eta": 3}
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            await here.apply(study("brackets", resource=resource, hyperband=hyperband))
            body = await here.finished("brackets")
            trials = await here.trials("brackets")
    check_records(trials, 9)
    assert {t["spec"]["bracket"] for t in trials} == {0, 1, 2}
    assert [len(b["rungs"]) for b in body["status"]["brackets"]] == [3, 2, 1]


async def test_suspend_and_resume_and_more_parallelism(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here, census(here) as counted:
            await here.apply(study("paused", trainer(pause=0.5), parallelism=2))

            async def some_run() -> bool:
                return len(counted.alive) == 2

            await eventually(some_run, "two pods run")
            await _change(here, "paused", {"suspend": True})

            async def none_run() -> bool:
                suspended = condition(await here.study("paused"), "Suspended") == "True"
                return suspended and not counted.alive

            await eventually(none_run, "the suspended study has no pods")
            before = len(await here.trials("paused"))
            await _change(here, "paused", {"suspend": False, "parallelism": 4})
            body = await here.finished("paused")
            trials = await here.trials("paused")
    assert before < 9
    check_records(trials, 9)
    assert condition(body, "Succeeded") == "True"
    assert 2 < counted.most <= 4
    # Suspension is nobody's failure.
    assert all(t["status"]["failures"] == 0 for t in trials)


async def test_deleting_a_study_ends_its_pods_at_once(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with running_operator(namespace, tmp_path / "operator.log") as operator:
        async with bench(kubeconfig, namespace) as here, census(here) as counted:
            await here.apply(study("doomed", trainer(pause=30)))

            async def full() -> bool:
                return len(counted.alive) == 4

            await eventually(full, "four pods are alive")
            await here.client.delete(STUDIES, namespace, "doomed")

            async def gone() -> bool:
                return not await here.pods("doomed") and not await here.trials("doomed")

            await eventually(gone, "pods and trials are gone")

            async def told() -> bool:
                return "deleted, its pods are ended" in operator.text()

            await eventually(told, "the operator has ended them, too")


async def test_deleting_a_study_while_no_operator_runs(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with running_operator(namespace, tmp_path / "operator.log") as operator:
        async with bench(kubeconfig, namespace) as here, census(here) as counted:
            await here.apply(study("orphans", trainer(pause=30)))

            async def full() -> bool:
                return len(counted.alive) == 4

            await eventually(full, "four pods are alive")
            operator.kill()
            await here.client.delete(STUDIES, namespace, "orphans")

            async def gone() -> bool:
                return not await here.pods("orphans") and not await here.trials("orphans")

            await eventually(gone, "owner references have taken pods and trials away")


async def _change(here: object, name: str, spec: dict[str, object]) -> None:
    client, namespace = here.client, here.namespace  # type: ignore[attr-defined]
    await client.patch(STUDIES, namespace, name, {"spec": spec}, dict)
