"""Each scheduler with each searcher completes a small study on the real cluster.

A run of all tests takes four pairs, one for each scheduler and each searcher; `make test-methods`
takes them all.
"""

import os
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from hyperband.core.schedulers import SCHEDULERS
from hyperband.core.searchers import SEARCHERS
from tests.cluster.harness import (
    bench,
    census,
    check_promotions,
    check_records,
    condition,
    running_operator,
    study,
    trainer,
)

pytestmark = pytest.mark.cluster

FOUR = [
    ("Promotion", "GaussianProcess"),
    ("Stopping", "Evolution"),
    ("Synchronous", "KernelDensity"),
    ("None", "Random"),
]
PAIRS = list(product(SCHEDULERS, SEARCHERS)) if os.environ.get("ALL_METHODS") else FOUR
TRIALS = 16


@pytest.mark.parametrize(("mode", "searcher"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
async def test_method(
    kubeconfig: str, namespace: str, tmp_path: Path, mode: str, searcher: str
) -> None:
    name = f"{mode}-{searcher}".lower()
    settings: dict[str, Any] = {"type": searcher, "seed": 3}
    if searcher == "Evolution":
        settings["population"] = 4
    body = study(
        name,
        trainer(),
        hyperband={"mode": mode},
        searcher=settings,
        parameters=[
            {"name": "x", "type": "Float", "min": 0, "max": 1},
            {"name": "kind", "type": "Categorical", "values": ["a", "b"]},
            {"name": "depth", "type": "Integer", "min": 1, "max": 3, "when": {"kind": ["a"]}},
        ],
        maxTrials=TRIALS,
    )
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here, census(here) as counted:
            await here.apply(body)
            done = await here.finished(name)
            trials = await here.trials(name)

    assert condition(done, "Succeeded", "reason") == "Exhausted"
    check_records(trials, TRIALS)
    assert counted.most <= 4
    assert not counted.twice
    assert done["status"]["trials"]["completed"] >= 1
    assert done["status"]["best"]["resource"] == 9
    if mode == "Promotion":
        check_promotions(trials, eta=3)
    origins = {trial["spec"]["suggestion"]["origin"] for trial in trials}
    assert searcher in origins  # not only the random start
    modelled = [t["spec"]["suggestion"] for t in trials if "fit" in t["spec"]["suggestion"]]
    assert bool(modelled) is (searcher == "GaussianProcess")
    assert all(each["detail"]["deviation"] > 0 for each in modelled)
