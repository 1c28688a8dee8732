"""Whole studies with real processes: each mode, each way to end, each thing a training may do."""

import math
from pathlib import Path
from typing import Any

import pytest

from hyperband.backends.local.records import Clock
from hyperband.core.decisions import Outcome, Reason
from hyperband.core.records import TrialState
from tests.local import runs

FAILING = 'echo "$HYPERBAND_TRIAL $HYPERBAND_ATTEMPT" >> "$NOTES/started"; echo no data >&2; exit 3'
SILENT = 'echo "$HYPERBAND_TRIAL $HYPERBAND_ATTEMPT" >> "$NOTES/started"'


@pytest.mark.parametrize("mode", ["Promotion", "Stopping", "Synchronous", "None"])
def test_a_study_runs_to_its_end_in_each_mode(tmp_path: Path, mode: str) -> None:
    body = runs.study(hyperband={"eta": 3, "mode": mode})
    found = runs.finish(tmp_path, body)
    assert (found.succeeded, found.reason) == (True, "Exhausted")
    runs.assert_sound(tmp_path)
    trials = runs.trials(tmp_path)
    assert len(trials) == 9
    best = runs.status(tmp_path)["best"]
    assert best["value"] == min(each.trial.parameters["x"] for each in trials)
    assert best["resource"] == 9
    full = sum(each.trial.state is TrialState.COMPLETED for each in trials)
    assert full == 9 if mode == "None" else 1 <= full < 9


@pytest.mark.parametrize("searcher", ["GaussianProcess", "KernelDensity", "Evolution"])
def test_searchers_suggest_from_what_is_recorded(tmp_path: Path, searcher: str) -> None:
    found = runs.finish(tmp_path, runs.study(searcher={"type": searcher, "seed": 0}))
    assert found.reason == "Exhausted"
    runs.assert_sound(tmp_path)
    origins = {each.trial.suggestion.origin for each in runs.trials(tmp_path)}
    assert searcher != "GaussianProcess" or "GaussianProcess" in origins


def test_promoted_trials_go_on_from_their_checkpoint(tmp_path: Path) -> None:
    runs.finish(tmp_path, runs.study(parallelism=1))
    best = max(runs.trials(tmp_path), key=lambda each: len(each.attempts))
    numbers = [attempt.number for attempt in best.attempts]
    assert len(numbers) > 1
    folder = tmp_path / "trials" / str(best.trial.index)
    first = (folder / f"attempt-{numbers[1]}" / "metrics.jsonl").read_text().splitlines()[0]
    assert '"epochs": 2,' in first


def test_without_resume_promoted_trials_begin_anew(tmp_path: Path) -> None:
    runs.finish(tmp_path, runs.study(parallelism=1, resume=False))
    promoted = [each for each in runs.trials(tmp_path) if len(each.attempts) > 1]
    assert promoted
    for each in promoted:
        folder = tmp_path / "trials" / str(each.trial.index)
        first = (folder / "attempt-1" / "metrics.jsonl").read_text().splitlines()[0]
        assert '"epochs": 1,' in first


def test_failures_use_retries_and_name_the_last_words(tmp_path: Path) -> None:
    policy = {"retries": 1, "maxFailedTrials": 0}
    found = runs.finish(tmp_path, runs.study(FAILING, failurePolicy=policy, parallelism=1))
    assert (found.succeeded, found.reason) == (False, "TooManyFailedTrials")
    runs.assert_sound(tmp_path)
    [first, *_] = runs.trials(tmp_path)
    assert first.trial.reason == Reason.RETRIES_EXHAUSTED
    assert "exit code 3: no data" in first.trial.message
    assert [attempt.outcome for attempt in first.attempts] == [Outcome.FAILED] * 2


def test_an_exit_without_the_report_is_a_failure(tmp_path: Path) -> None:
    policy = {"retries": 0, "maxFailedTrials": 0}
    runs.finish(tmp_path, runs.study(SILENT, failurePolicy=policy, parallelism=1))
    assert "without reporting loss at epochs 1" in runs.trials(tmp_path)[0].trial.message


def test_a_diverged_training_is_not_repeated(tmp_path: Path) -> None:
    script = (
        SILENT
        + """
echo '{"epochs": 1, "loss": NaN}' >> "$HYPERBAND_REPORT_FILE"
while :; do sleep 0.05; done"""
    )
    found = runs.finish(tmp_path, runs.study(script, maxTrials=2))
    assert found.reason == "NoResult"
    runs.assert_sound(tmp_path)
    assert {each.trial.reason for each in runs.trials(tmp_path)} == {Reason.DIVERGED}
    assert all(math.isnan(each.latest.value) for each in runs.trials(tmp_path) if each.latest)


def test_what_is_no_report_is_told(tmp_path: Path) -> None:
    script = 'echo "epoch one" >> "$HYPERBAND_REPORT_FILE"\n' + runs.TRAINING
    runs.finish(tmp_path, runs.study(script, maxTrials=1))
    assert "epoch one" in (runs.trials(tmp_path)[0].report_error or "")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"budget": {"resourceUnits": 6}}, "BudgetReached"),
        ({"budget": {"resourceUnits": 6}, "onBudget": "Stop"}, "BudgetReached"),
        ({"earlyStopping": [{"metric": "loss", "goal": "Minimize", "value": 1}]}, "TargetReached"),
    ],
)
def test_a_study_may_end_early(tmp_path: Path, spec: dict[str, Any], reason: str) -> None:
    found = runs.finish(tmp_path, runs.study(**spec))
    assert (found.succeeded, found.reason) == (True, reason)
    runs.assert_sound(tmp_path)
    assert len(runs.trials(tmp_path)) < 9
    assert ("budgetReached" in runs.status(tmp_path)) == (reason == "BudgetReached")


def test_stopped_trials_are_ended_within_the_grace_period(tmp_path: Path) -> None:
    """They ignore SIGTERM; one with a better value goes on."""
    script = (
        SILENT
        + """
trap '' TERM
echo "{\\"epochs\\": 1, \\"loss\\": $HYPERBAND_PARAM_X}" >> "$HYPERBAND_REPORT_FILE"
while [ "$HYPERBAND_TRIAL" != toy-0 ] || [ ! -e "$NOTES/ended" ]; do sleep 0.02; done
echo "{\\"epochs\\": 3, \\"loss\\": $HYPERBAND_PARAM_X}" >> "$HYPERBAND_REPORT_FILE"
"""
    )
    body = runs.study(
        script,
        hyperband={"eta": 3, "mode": "Stopping"},
        resource={"name": "epochs", "min": 1, "max": 3},
        initialParameters=[{"x": 0.1}, {"x": 0.9}],
        maxTrials=2,
        parallelism=1,
    )
    # One after the other: the second finds the first one's value. The first ends by itself.
    (tmp_path / "ended").touch()
    runs.finish(tmp_path, body)
    runs.assert_sound(tmp_path)
    stopped = runs.trials(tmp_path)[1]
    assert (stopped.trial.state, stopped.trial.reason) == ("Stopped", Reason.NOT_GOOD_ENOUGH)
    assert stopped.attempts[-1].outcome == Outcome.ENDED
    told = (tmp_path / "trials/1/attempt-0/ended.json").read_text()
    assert '"code": -9' in told


def test_what_a_training_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    script = 'setsid sh -c "trap : TERM; while :; do sleep 0.05; done" &\n' + runs.TRAINING
    runs.finish(tmp_path, runs.study(script, maxTrials=2))
    runs.assert_sound(tmp_path)  # no process is left


def test_a_training_that_goes_on_after_its_part_is_ended(tmp_path: Path) -> None:
    """After 30 s, by a clock that runs a hundred times as fast."""
    clock = Clock(runs.CLOCK.now, lambda: 100 * runs.CLOCK.monotonic())
    script = runs.TRAINING + "while :; do sleep 0.02; done"
    body = runs.study(script, maxTrials=2, hyperband={"mode": "None"})
    assert runs.finish(tmp_path, body, clock=clock).reason == "Exhausted"
    runs.assert_sound(tmp_path)
    for each in runs.trials(tmp_path):
        assert each.trial.state is TrialState.COMPLETED
        assert [attempt.outcome for attempt in each.attempts] == [Outcome.ENDED]


def test_an_attempt_may_take_as_long_as_its_template_says(tmp_path: Path) -> None:
    body = runs.study(
        SILENT + "\nwhile :; do sleep 0.02; done",
        failurePolicy={"retries": 0, "maxFailedTrials": 0},
        maxTrials=1,
    )
    body["spec"]["trialTemplate"]["spec"]["activeDeadlineSeconds"] = 1
    runs.finish(tmp_path, body)
    assert "DeadlineExceeded" in runs.trials(tmp_path)[0].trial.message
    runs.assert_sound(tmp_path)


def test_trials_share_no_gpu(tmp_path: Path) -> None:
    script = 'echo "$CUDA_VISIBLE_DEVICES" >> "$NOTES/devices"\n' + runs.TRAINING
    body = runs.study(script, parallelism=8)
    container = body["spec"]["trialTemplate"]["spec"]["containers"][0]
    container["resources"] = {"limits": {"nvidia.com/gpu": 2}}
    runs.finish(tmp_path, body, devices=("0", "1", "2", "5"))
    runs.assert_sound(tmp_path)
    used = set((tmp_path / "devices").read_text().split())
    assert "0,1" in used and used <= {"0,1", "2,5", "0,2", "0,5", "1,2", "1,5"}
    assert runs.status(tmp_path)["gpuSeconds"] >= 0
    assert all(each.gpu_seconds > 0 for each in runs.trials(tmp_path))
