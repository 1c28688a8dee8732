"""kill -9 of the operator, at random, in the middle of a study."""

import asyncio
import random
from pathlib import Path

import pytest

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

KILLS = 5


@pytest.mark.parametrize(("mode", "seed"), [("Promotion", 1), ("Stopping", 2)])
async def test_kill_dash_nine(
    kubeconfig: str, namespace: str, tmp_path: Path, mode: str, seed: int
) -> None:
    dice = random.Random(seed)
    # Each kill comes at a number of trial writes drawn beforehand: moments of the study's life,
    # not of a clock.
    moments = sorted(dice.sample(range(3, 30), KILLS))
    with running_operator(namespace, tmp_path / "operator.log") as operator:
        async with bench(kubeconfig, namespace) as here, census(here) as counted:
            await here.apply(
                study("killed", trainer(pause=0.3), maxTrials=12, hyperband={"mode": mode})
            )
            killed_at_work = 0
            for moment in moments:

                async def reached(moment: int = moment) -> bool:
                    return operator.text().count(" (") >= moment  # a line for each decision

                await eventually(reached, f"{moment} decisions were made")
                await asyncio.sleep(dice.random() * 0.2)  # anywhere between two API calls
                operator.kill()
                killed_at_work += condition(await here.study("killed"), "Finished") != "True"
                operator.start()
            body = await here.finished("killed")
            trials = await here.trials("killed")
            pods = await here.pods("killed")

    assert killed_at_work == KILLS
    assert condition(body, "Succeeded") == "True"
    check_records(trials, 12)
    assert counted.most <= 4
    assert not counted.twice
    # Nothing is left behind, and every pod belongs to a trial.
    owners = {t["metadata"]["uid"] for t in trials}
    assert all(p.metadata.controller and p.metadata.controller.uid in owners for p in pods)
    assert all(p.status.phase in ("Succeeded", "Failed") for p in pods)
    assert all(t["status"]["failures"] == 0 for t in trials), "a kill is nobody's failure"
