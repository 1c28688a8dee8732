"""Killed anywhere, a resumed run loses nothing, starts nothing twice and leaves nothing behind."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hyperband.api.study import StudyResource
from hyperband.api.trial import TrialResource
from hyperband.backends.local import attempts, keeper
from hyperband.backends.local.store import FILE, Store, is_begun
from hyperband.core.decisions import Outcome, Reason
from hyperband.core.seeds import uniform
from tests.local import runs

SHARE = 0.12  # of the moments before and after a write
WAITING = """
echo "$HYPERBAND_TRIAL $HYPERBAND_ATTEMPT" >> "$NOTES/started"
(trap '' TERM; while :; do sleep 0.05; done) &
while [ ! -e "$NOTES/go" ]; do sleep 0.02; done
echo "{\\"epochs\\": $HYPERBAND_RESOURCE_TO, \\"loss\\": 0.5}" >> "$HYPERBAND_REPORT_FILE"
"""


def killer(seed: int, life: int) -> type[Store]:
    """A store that kills this process at some of its writes, other ones in each life."""

    class Killer(Store):
        chances = 0

        def _maybe(self) -> None:
            Killer.chances += 1
            if uniform(seed, 1000 * life + Killer.chances, "kill") < SHARE:
                runs.kill_myself()

        def write_trial(self, study: StudyResource, resource: TrialResource) -> dict[str, Any]:
            self._maybe()
            written = super().write_trial(study, resource)
            self._maybe()
            return written

        def write_study(self, study: Mapping[str, Any], elapsed: float) -> None:
            self._maybe()
            super().write_study(study, elapsed)

    return Killer


def outlived(folder: Path, body: dict[str, Any], seed: int) -> int:
    """Runs the study to its end, however often it is killed; how often that was."""
    for life in range(100):
        work = partial(runs.finish, folder, body, store=killer(seed, life))
        code = runs.in_a_process(work)
        if code == 0:
            return life
        assert code == -signal.SIGKILL
    raise AssertionError("it never came to its end")


async def started(folder: Path, count: int) -> None:
    """Waits until so many trainings have been started."""
    while not (folder / "started").exists() or len(runs.started(folder)) < count:
        await asyncio.sleep(0.01)


def what_counts(folder: Path) -> list[Any]:
    """Of the records: all but what tells how many attempts it has taken."""
    return [
        (each.trial.suggestion, each.trial.state, each.trial.target, each.trial.rungs)
        for each in runs.trials(folder)
    ]


@pytest.mark.parametrize("mode", ["Promotion", "Stopping", "Synchronous"])
def test_a_killed_run_comes_to_the_same_records(tmp_path: Path, mode: str) -> None:
    body = runs.study(parallelism=1, hyperband={"eta": 3, "mode": mode}, maxTrials=5)
    runs.finish(tmp_path / "whole", body)
    kills = outlived(tmp_path / "killed", body, seed=3)
    assert kills >= 1
    runs.assert_sound(tmp_path / "killed")
    assert what_counts(tmp_path / "killed") == what_counts(tmp_path / "whole")
    assert all(each.trial.failures == 0 for each in runs.trials(tmp_path / "killed"))


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_run_is_sound(tmp_path: Path, seed: int) -> None:
    assert outlived(tmp_path, runs.study(parallelism=3, maxTrials=8), seed) >= 1
    runs.assert_sound(tmp_path)
    assert len(runs.trials(tmp_path)) == 8
    assert runs.status(tmp_path)["trials"]["failed"] == 0


def test_what_runs_ends_with_its_runner_and_is_repeated(tmp_path: Path) -> None:
    body = runs.study(WAITING, maxTrials=2, hyperband={"mode": "None"})

    def die() -> None:
        with runs.runner(tmp_path, body) as (made, _):

            async def work() -> None:
                running = asyncio.ensure_future(made.run())
                await started(tmp_path, 2)
                assert not running.done()
                runs.kill_myself()

            asyncio.run(work())

    assert runs.in_a_process(die) == -signal.SIGKILL
    runs.wait_for(lambda: not runs.processes())  # before anybody resumes
    (tmp_path / "go").touch()
    assert runs.finish(tmp_path, body).reason == "Exhausted"
    runs.assert_sound(tmp_path)
    for each in runs.trials(tmp_path):
        assert each.trial.disruptions == 1
        assert [a.outcome for a in each.attempts] == [Outcome.DISRUPTED, Outcome.SUCCEEDED]
        assert each.attempts[0].reason == "hyperband run was killed"


def test_a_killed_keeper_leaves_nothing_behind(tmp_path: Path) -> None:
    body = runs.study(WAITING, maxTrials=1, hyperband={"mode": "None"})
    with runs.runner(tmp_path, body) as (made, _):

        async def work() -> None:
            running = asyncio.ensure_future(made.run())
            await started(tmp_path, 1)
            begun = attempts.read_json(tmp_path / "trials/0/attempt-0" / keeper.STARTED)
            assert begun is not None
            os.kill(int(begun["keeper"]), signal.SIGKILL)
            await started(tmp_path, 2)
            (tmp_path / "go").touch()
            await asyncio.wait_for(running, 30)

        asyncio.run(work())
    [only] = runs.trials(tmp_path)
    assert (only.trial.disruptions, only.trial.failures) == (1, 0)
    assert "its process is gone" in only.attempts[0].reason
    runs.assert_sound(tmp_path)


LOSING = """
echo "$HYPERBAND_TRIAL" >> "$NOTES/started"
rm -r "$(dirname "$HYPERBAND_REPORT_FILE")"
"""


def test_a_run_ends_where_its_files_cannot_be_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Else what has been lost would be repeated for ever."""
    body = runs.study(LOSING, maxTrials=1)
    with pytest.raises(OSError, match=r"attempt-0 cannot be written, .* go on with --resume"):
        runs.finish(tmp_path, body)
    assert sum(runs.started(tmp_path).values()) == 1
    assert capfd.readouterr() == ("", "")


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    body = runs.study(WAITING, maxTrials=2, hyperband={"mode": "None"})
    with runs.runner(tmp_path, body) as (made, _):

        async def work() -> None:
            running = asyncio.ensure_future(made.run())
            await started(tmp_path, 2)
            made.interrupt("the run was interrupted")
            assert await asyncio.wait_for(running, 20) is None

        asyncio.run(work())
    assert runs.processes() == []
    assert {each.trial.reason for each in runs.trials(tmp_path)} == {Reason.SUSPENDED}
    rows = {row["type"]: row["status"] for row in runs.status(tmp_path)["conditions"]}
    assert (rows["Suspended"], rows["Finished"]) == ("True", "False")
    (tmp_path / "go").touch()
    assert runs.finish(tmp_path, body).reason == "Exhausted"
    runs.assert_sound(tmp_path)
    assert {each.trial.disruptions for each in runs.trials(tmp_path)} == {0}


def test_a_second_interruption_waits_for_no_grace_period(tmp_path: Path) -> None:
    body = runs.study("trap '' TERM\n" + WAITING, maxTrials=1, hyperband={"mode": "None"})
    body["spec"]["trialTemplate"]["spec"]["terminationGracePeriodSeconds"] = 3600
    with runs.runner(tmp_path, body) as (made, _):

        async def work() -> None:
            running = asyncio.ensure_future(made.run())
            await started(tmp_path, 1)
            made.interrupt("the run was interrupted")
            _, waiting = await asyncio.wait([running], timeout=0.5)
            assert waiting
            made.interrupt("the run was interrupted")
            assert await asyncio.wait_for(running, 20) is None

        asyncio.run(work())
    assert runs.processes() == []
    [only] = runs.trials(tmp_path)
    assert [each.outcome for each in only.attempts] == [Outcome.ENDED]


def test_a_run_whose_maker_was_killed_is_begun_again(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / FILE).close()
    (tmp_path / FILE).touch()
    assert not is_begun(tmp_path)
    assert runs.finish(tmp_path, runs.study(maxTrials=1)).reason == "Exhausted"
    assert is_begun(tmp_path)
