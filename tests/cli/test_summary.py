"""What `hyperband watch` says of a study."""

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
