"""What the modules for libraries share: where an attempt begins and ends."""

from pathlib import Path

import pytest

from hyperband.report import checkpoint
from hyperband.report._span import Span
from hyperband.report.testing import capture


def save(done: float) -> None:
    with checkpoint(done) as path:
        path.touch()


def in_trial(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    monkeypatch.setenv("HYPERBAND_RESOURCE_NAME", "passes")
    monkeypatch.setenv("HYPERBAND_METRIC", "loss")
    monkeypatch.setenv("HYPERBAND_RESOURCE_TO", target)
    monkeypatch.setenv("HYPERBAND_RUNGS", "[2, 6, 18]")


def test_a_promoted_trial_goes_on_to_its_target(monkeypatch: pytest.MonkeyPatch) -> None:
    in_trial(monkeypatch, "6")
    save(2)
    span = Span(100, "epochs", 4)
    assert (span.total, span.target, span.done, span.left) == (18, 6, 2, 4)
    assert [done for done in range(1, 7) if span.saves(done)] == [2, 4, 6]
    assert [done for done in range(1, 7) if span.ends(done)] == [6]
    with capture() as reports:
        span.report(3, {"loss": 0.5, "passes": 77})
    assert reports == [{"loss": 0.5, "passes": 3}]


def test_a_resource_between_two_epochs_ends_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    in_trial(monkeypatch, "6.5")
    assert Span(100, "epochs", 1).target == 7


def test_by_hand_it_trains_what_the_script_says() -> None:
    span = Span(5, "epochs", 1)
    assert (span.total, span.target, span.done, span.resumed) == (5, 5, 0, None)
    with capture() as reports:
        span.report(1, {"loss": 2})
    assert reports == [{"loss": 2, "epochs": 1}]


def test_by_hand_with_all_done_it_says_how_to_begin_anew(tmp_path: Path) -> None:
    save(5)
    with pytest.raises(RuntimeError, match=f"delete {tmp_path}/checkpoints to begin anew"):
        _ = Span(5, "epochs", 1).left


@pytest.mark.parametrize(("total", "every"), [(0, 1), (3, 0)])
def test_a_training_of_nothing_is_refused(total: int, every: int) -> None:
    with pytest.raises(ValueError, match="give 1 or more"):
        Span(total, "epochs", every)
