"""Whatever a training passes as a number: an error that names it, or what the operator can read."""

import json
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from hyperband.api.metrics import parse_metrics
from hyperband.report import report
from hyperband.report._environment import MAX_INTERVAL, MAX_METRICS_BYTES, interval
from hyperband.report._history import History
from hyperband.report.testing import capture


class Broken:
    """Claims to be a number, or an array, and is neither."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error

    def __float__(self) -> float:
        raise self.error("no number")

    def __repr__(self) -> str:
        raise self.error("no text")


class BrokenArray(Broken):
    def item(self) -> float:
        raise self.error("no item")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (10**400, math.inf),
        (-(10**400), -math.inf),
        pytest.param(10**5000, math.inf, id="5001 digits"),
        (2**53, 2**53),
        (2**53 + 1, 2.0**53),
        (Fraction(10**400, 3), math.inf),
        (Fraction(-(10**400), 3), -math.inf),
        (Decimal("1e999"), math.inf),
        (Decimal("0.25"), 0.25),
    ],
)
def test_what_no_float_can_hold_is_infinite(value: Any, read: float) -> None:
    history = History("epochs", "val_loss", (1,))
    with capture() as reports:
        report(epochs=1, val_loss=value)
    history.add(reports[0])
    (seen,) = parse_metrics(history.text(), "val_loss", "epochs").reports
    assert seen.value == read


@pytest.mark.parametrize("error", [ValueError, OverflowError, RuntimeError, ZeroDivisionError])
@pytest.mark.parametrize("kind", [Broken, BrokenArray])
def test_what_fails_to_be_a_number_is_named(kind: type[Broken], error: type[Exception]) -> None:
    with capture() as reports, pytest.raises(TypeError):
        report(epochs=1, val_loss=kind(error))  # type: ignore[arg-type]
    assert not reports


@pytest.mark.parametrize("value", [Decimal("sNaN"), int, [[[[1] * 1000] * 1000]]])
def test_what_is_no_number_is_shown_in_short(value: Any) -> None:
    with capture(), pytest.raises(TypeError, match="as val_loss: give a number") as caught:
        report(epochs=1, val_loss=value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("spent", [10**400, Fraction(10**400), Decimal("Infinity")])
def test_a_resource_that_no_float_can_hold_is_refused(
    spent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERBAND_RESOURCE_NAME", "epochs")
    with capture() as reports, pytest.raises(ValueError, match="a finite number from 0 up"):
        report(epochs=spent, val_loss=0.5)
    assert not reports


def test_long_names_and_many_levels_fit_all_the_same() -> None:
    """Each report has 3 KiB, as other characters than ASCII are written as \\uXXXX."""
    resource, metric = "参" * 253, "é" * 253
    levels = tuple(range(1, 101))
    history = History(resource, metric, levels)
    for level in levels:
        assert history.add({resource: level, metric: level / 2})
        text = history.text()
        assert len(text) <= MAX_METRICS_BYTES
        found = parse_metrics(text, metric, resource)
        assert found.error is None
        assert (found.reports[-1].resource, found.reports[-1].value) == (level, level / 2)
    assert not history.complete and len(found.reports) > 15


def test_names_of_any_characters_are_read_back() -> None:
    history = History("epochs", "val_loss", ())
    history.add({"epochs": 1, "val_loss": 0.5, "\ud800\0\u2028": 1.0})
    assert json.loads(history.text())[0]["\ud800\0\u2028"] == 1.0
    (seen,) = parse_metrics(history.text(), "val_loss", "epochs").reports
    assert seen.metrics == {"\ud800\0\u2028": 1.0}


@pytest.mark.parametrize(
    ("given", "seconds"), [("inf", MAX_INTERVAL), ("1e300", MAX_INTERVAL), ("2", 2)]
)
def test_the_interval_is_one_that_a_thread_can_wait_for(
    given: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERBAND_REPORT_INTERVAL", given)
    assert interval() == seconds
