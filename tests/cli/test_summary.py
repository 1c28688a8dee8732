"""What `hyperband watch` says of a study."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from hyperband.cli.summary import estimate_cost, summarize
from hyperband.cli.watch import one_line, view
from tests.studies import good_study

BEST = {"trial": "digits-1", "value": 0.25, "text": "0.25", "resource": 9, "parameters": {"x": 1}}
STATUS = {
    "best": BEST,
    "trials": {"total": 1, "completed": 1},
    "promotions": 2,
    "resourceUnits": 9,
    "conditions": [{"type": "Finished", "status": "True", "reason": "Exhausted", "message": ""}],
}
STUDY = {**good_study(), "status": STATUS}


def trial(index: int, origin: str) -> dict[str, Any]:
    return {
        "metadata": {"name": f"digits-{index}"},
        "spec": {"index": index, "suggestion": {"origin": origin}},
        "status": {"state": "Completed"},
    }


def printed(trials: list[dict[str, Any]]) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(summarize(STUDY, trials))
    return capture.get()


def test_the_best_configuration_s_origin_is_shown() -> None:
    trials = [trial(0, "Random"), trial(1, "Initial")]
    assert "best val_loss 0.25 by digits-1 (Initial)" in one_line(STUDY, trials)
    assert "Best: val_loss 0.25 at epochs 9, trial digits-1 (Initial)\n" in printed(trials)


def test_a_best_trial_that_was_deleted_is_named_alone() -> None:
    assert one_line(STUDY, [trial(0, "Random")]).endswith("best val_loss 0.25 by digits-1")
    assert "trial digits-1\n" in printed([trial(0, "Random")])


def test_a_trial_that_has_not_run_yet_says_where_it_comes_from() -> None:
    new = {**trial(0, "Evolution"), "status": {}}
    console = Console(width=200)
    with console.capture() as capture:
        console.print(view(STUDY, [new]))
    assert "a new configuration (Evolution)" in capture.get()


@pytest.mark.parametrize(
    ("resume", "seconds"), [(True, [3.0, 4.0, 8.0]), (False, [3.0, 5.0, 11.0])]
)
def test_what_training_in_full_would_have_cost(resume: bool, seconds: list[float]) -> None:
    """A pod takes 2 s to start and 1 s an epoch; rungs are at 1, 3 and 9 epochs."""
    attempts = [
        {"number": i, "resource": resource, "gpuSeconds": spent}
        for i, (resource, spent) in enumerate(zip((1, 3, 9), seconds, strict=True))
    ]
    body = {"spec": {**STUDY["spec"], "resource": {"name": "epochs", "max": 9}, "resume": resume}}
    status = {"attempts": attempts, "gpuSeconds": sum(seconds)}
    cost = estimate_cost(body, [{**trial(0, "Random"), "status": status}])
    assert cost is not None
    assert cost.used == sum(seconds)
    assert (cost.start, cost.full) == (pytest.approx(2.0), pytest.approx(11.0))


def test_gpu_use_and_the_last_decisions_are_shown() -> None:
    spec = json.loads(json.dumps(STUDY["spec"]))
    container = spec["trialTemplate"]["spec"]["containers"][0]
    container["resources"] = {"limits": {"nvidia.com/gpu": 2}}
    spec |= {"parallelism": 4, "budget": {"gpuHours": 8}}
    body = {**STUDY, "spec": spec, "status": {**STATUS, "gpuSeconds": 5400.0}}
    runs = (0, 1, 8)
    trials = [
        decided(i, "Running" if i in runs else "Paused", f"2026-01-01T10:00:{i:02}Z")
        for i in range(9)
    ]
    console = Console(width=200)
    with console.capture() as capture:
        console.print(view(body, trials, datetime(2026, 1, 1, 10, 1, tzinfo=UTC)))
    text = capture.get()
    assert "6 of 8 GPUs in use, 1.5 of 8 GPU-hours, " in text
    last = text.partition("last decisions")[2].splitlines()[1:]
    assert [line.split()[:3] for line in last[1:]] == [
        [f"{60 - i}s", f"digits-{i}", "Paused"] for i in (7, 6, 5, 4, 3)
    ]
    assert last[1].endswith("paused at epochs 3: rank 2 of 8")
    with console.capture() as capture:
        console.print(view(body, trials, local=True))
    assert "in use" not in capture.get()


def decided(index: int, state: str, moment: str) -> dict[str, Any]:
    """A trial of which something was decided at a moment."""
    said = "paused at epochs 3: rank 2 of 8"
    return {
        **trial(index, "Random"),
        "status": {"state": state, "message": said, "transitionTime": moment},
    }


def test_the_first_failure_is_told_until_there_is_a_value() -> None:
    failed = [
        {**trial(i, "Random"), "status": {"state": "Failed", "message": f"exit code {i}"}}
        for i in (3, 5)
    ]
    none_yet = {**good_study(), "status": {**STATUS, "best": None}}
    trials = [trial(0, "Random"), *failed]
    assert one_line(none_yet, trials).endswith("no result yet\ndigits-3: exit code 3")
    assert "exit code" not in one_line(STUDY, trials)
