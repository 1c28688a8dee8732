"""The annotation's text: what is kept when it would become too long."""

import json
import math
from itertools import pairwise
from typing import Any

import pytest

from hyperband.api.metrics import parse_metrics
from hyperband.report._environment import MAX_METRICS_BYTES
from hyperband.report._history import History

LEVELS = (1, 3, 9, 27)


def read(history: History) -> list[dict[str, Any]]:
    assert len(history.text().encode()) == history.length <= MAX_METRICS_BYTES
    reports: list[dict[str, Any]] = json.loads(history.text())
    return reports


def test_short_histories_are_kept_whole() -> None:
    history = History("epochs", "val_loss", LEVELS)
    for epoch in range(1, 28):
        history.add({"epochs": epoch, "val_loss": 1 / epoch})
    assert [each["epochs"] for each in read(history)] == list(range(1, 28))


def test_what_decides_is_told_from_what_does_not() -> None:
    history = History("epochs", "val_loss", LEVELS)
    spent = (0.5, 1, 1, 2, 10, 11, 20, 30, 31)
    decides = [history.add({"epochs": each, "val_loss": 0.1}) for each in spent]
    assert decides == [True, True, False, False, True, False, False, True, False]
    assert history.add({"epochs": 31, "val_loss": math.nan})
    assert not history.add({"epochs": 32, "val_loss": math.nan})


def test_thinning_keeps_levels_the_first_and_the_newest() -> None:
    history = History("epochs", "val_loss", LEVELS)
    steps = 20_000
    firsts = {next(i for i in range(steps) if 30 * i / steps >= level) for level in LEVELS}
    for i in range(steps):
        history.add({"epochs": 30 * i / steps, "val_loss": 1 / (i + 1), "step": i})
        if i % 997 == 0:
            assert read(history)[-1]["step"] == i
    kept = [each["step"] for each in read(history)]
    assert kept == sorted(kept)
    assert {0, steps - 1} | firsts <= set(kept)
    gaps = [b - a for a, b in pairwise(kept)]
    assert len(kept) > 500 and max(gaps) <= gaps[len(gaps) // 2]  # evenly spaced


def test_the_operator_reads_each_level_as_if_nothing_were_thinned() -> None:
    history = History("epochs", "val_loss", LEVELS)
    values: dict[int, float] = {}
    for i in range(5000):
        spent, loss = 27 * i / 4999, 1 / (i + 1)
        history.add({"epochs": spent, "val_loss": loss, "accuracy": 0.123456789})
        for level in LEVELS:
            if spent >= level:
                values.setdefault(level, loss)
    reports = parse_metrics(history.text(), "val_loss", "epochs")
    assert reports.error is None
    for level, value in values.items():
        assert next(r.value for r in reports.reports if r.resource >= level) == value


def test_reports_with_far_too_many_metrics_keep_their_objective() -> None:
    history = History("epochs", "val_loss", LEVELS)
    many = {f"metric{i}": 0.123456789 for i in range(1000)}  # 24 KiB each
    for level in LEVELS:
        history.add({"epochs": level, "val_loss": 0.5, **many})
    reports = read(history)
    assert [(each["epochs"], each["val_loss"]) for each in reports] == [(x, 0.5) for x in LEVELS]
    assert history.shortened and len(reports[-1]) == 1002 and len(reports[0]) == 2


def test_what_is_no_report_counts_as_well() -> None:
    history = History("epochs", "val_loss", LEVELS, 1_000)
    assert history.length == len(history.text())
    history.complain('"' + "x" * 100 + '"')
    assert history.length == len(history.text())
    for i in range(100):
        history.add({"epochs": i, "val_loss": 0.5})
        assert history.length == len(history.text()) <= 1_000


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_reach_the_operator(value: float) -> None:
    history = History("epochs", "val_loss", LEVELS)
    history.add({"epochs": 1, "val_loss": value})
    (report,) = parse_metrics(history.text(), "val_loss", "epochs").reports
    assert report.value == value or (math.isnan(value) and math.isnan(report.value))
