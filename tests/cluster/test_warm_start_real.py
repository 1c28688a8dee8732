"""One study after another on the real cluster: points given, values taken over."""

from pathlib import Path

import pytest

from tests.cluster.harness import (
    Bench,
    bench,
    check_records,
    condition,
    eventually,
    running_operator,
    study,
    trainer,
)

pytestmark = pytest.mark.cluster

SMALL = {"resource": {"name": "epochs", "min": 1, "max": 3}, "parallelism": 3}
# The loss of GOOD is least at 0.3: of the values that the second study allows, at 0.4.
POINTS = [{"x": 0.95}, {"x": 0.4}, {"x": 0.6}]
NARROW = [{"name": "x", "type": "Float", "min": 0.35, "max": 0.8}]


async def test_points_first_and_then_the_best_of_the_study_before(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    quick = trainer(pause=0.01)
    first = study("first", quick, **SMALL, maxTrials=3, initialParameters=POINTS)
    warm = {"warmStart": {"fromStudies": ["first"]}, "parameters": NARROW, "maxTrials": 2}
    second = study("second", quick, **SMALL, **warm, initialParameters=[{"x": 0.5}])
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            await here.apply(second)
            await waits(here, "there is no study first")
            await here.apply(first)
            await waits(here, "waits until first is finished")
            await here.finished("first")
            body = await here.finished("second")
            before, trials = await here.trials("first"), await here.trials("second")

    check_records(before, 3)
    assert [t["spec"]["parameters"] for t in before] == POINTS
    assert {t["spec"]["suggestion"]["origin"] for t in before} == {"Initial"}
    check_records(trials, 2)
    suggested = [(t["spec"]["suggestion"]["origin"], t["spec"]["parameters"]["x"]) for t in trials]
    assert suggested == [("Initial", 0.5), ("Earlier", 0.4)]
    (row,) = body["status"]["warmStart"]["studies"]
    inside = [t for t in before if t["spec"]["parameters"]["x"] < 0.8]
    assert row["trials"] == 2
    assert row["values"] == sum(len(t["status"]["rungs"]) for t in inside)
    assert row["message"] == (
        "2 of 3 trials with values are taken over; "
        "the searcher tries the best of them and learns nothing from the others; "
        "left out: 1 with x outside of 0.35 … 0.8"
    )


async def waits(here: Bench, message: str) -> None:
    async def said() -> bool:
        body = await here.study("second")
        right = condition(body, "Progressing", "reason") == "WaitingForStudies"
        return right and message in condition(body, "Progressing", "message")

    await eventually(said, f"the second study says: {message}")
