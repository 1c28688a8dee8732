"""Regret, its area, and comparisons on incumbents made by hand."""

import numpy as np
import pytest

from benchmarks.search_quality import tables
from benchmarks.search_quality.comparison import Cell, Column, comparisons
from benchmarks.search_quality.scores import TIMES, Regret, Score, normalized_regret, regret
from hyperband.core.records import Goal, Objective
from tests.benchmarks import fakes

COSTS = {"count": 1, "seconds": 0.5, "p50": 0.5, "p99": 0.5}


def test_regret_is_0_at_the_best_and_1_at_the_median() -> None:
    high, low = Objective("v", Goal.MAXIMIZE), Objective("v", Goal.MINIMIZE)
    values = [0.5, 0.75, 1.0, 0.2, 1.1]
    assert normalized_regret(values, high, 1.0, 0.5).tolist() == [1.0, 0.5, 0.0, 1.0, 0.0]
    assert normalized_regret([3.0, 2.0, 1.0], low, 1.0, 3.0).tolist() == [1.0, 0.5, 0.0]


def test_regret_over_time_is_a_step_function() -> None:
    steps = regret([[2.0, 0.5], [4.0, 0.75], [9.0, 1.0]], fakes.problem(), budget=10.0)
    times = np.array([0.0, 0.2, 0.39, 0.4, 0.89, 0.9, 1.0])
    assert steps.at(times).tolist() == [1.0, 1.0, 1.0, 0.5, 0.5, 0.0, 0.0]
    assert steps.area == pytest.approx(0.4 * 1.0 + 0.5 * 0.5 + 0.1 * 0.0)


def test_what_comes_after_the_budget_does_not_count() -> None:
    steps = regret([[5.0, 0.75], [12.0, 1.0]], fakes.problem(), budget=10.0)
    assert steps.at(np.array([1.0])).tolist() == [0.5]
    assert steps.area == pytest.approx(0.5 * 1.0 + 0.5 * 0.5)


def test_without_a_report_regret_is_1() -> None:
    steps = regret([], fakes.problem(), budget=10.0)
    assert steps.at(TIMES).tolist() == [1.0] * len(TIMES)
    assert steps.area == 1.0


def score(final: float, reached: float = 0.5) -> Score:
    """Regret 1, and from `reached` on the final one."""
    steps = Regret(np.array([reached]), np.array([final]))
    return Score(steps.at(TIMES), steps.area, 9, 90.0, 0.3, 0.8, COSTS, COSTS, cut=False)


def cells(finals: dict[str, list[float]]) -> dict[Cell, Score]:
    return {(task, s): score(x) for task, row in finals.items() for s, x in enumerate(row)}


ASHA, MODEL, SLOW = Column("asha-stopping", 4), Column("a-bohb-stopping", 4), Column("peer-bo", 4)


def test_like_is_compared_with_like() -> None:
    scores = {
        ASHA: cells({"a": [0.4, 0.6], "b": [0.2, 0.4]}),
        MODEL: cells({"a": [0.2, 0.2], "b": [0.4, 0.4]}),
        SLOW: cells({"a": [0.1]}),
        Column("peer-random", 4): {},
    }
    whole, part = comparisons(scores, scores[ASHA])
    assert whole.columns == [ASHA, MODEL]
    assert part.columns == [ASHA, MODEL, SLOW]
    assert (whole.final(ASHA), whole.final(MODEL)) == (pytest.approx(0.4), pytest.approx(0.3))
    assert part.final(ASHA) == pytest.approx(0.4)  # task a, seed 0
    assert whole.ranks() == {ASHA: 1.5, MODEL: 1.5}
    assert part.ranks() == {ASHA: 3.0, MODEL: 2.0, SLOW: 1.0}
    assert whole.area(MODEL) == pytest.approx(0.5 + 0.5 * 0.3)


def test_the_error_is_that_of_the_seeds_alone() -> None:
    scores = {ASHA: cells({"a": [0.4, 0.6], "b": [0.0, 0.0]})}
    (given,) = comparisons(scores, scores[ASHA])
    mean, error = given.curve(ASHA)
    assert mean[-1] == pytest.approx(0.25)
    assert error[-1] == pytest.approx(np.std([0.4, 0.6], ddof=1) / np.sqrt(2) / 2)


def test_time_to_ashas_final_regret() -> None:
    fast = {cell: score(0.3, reached=0.25) for cell in (("a", 0), ("a", 1))}
    slow = {cell: score(0.9) for cell in fast}
    scores = {ASHA: cells({"a": [0.4, 0.4]}), MODEL: fast, SLOW: slow}
    (given,) = comparisons(scores, scores[ASHA])
    assert given.reference(4) == ASHA
    assert given.reference(2) is None
    assert given.time_to(MODEL, given.final(ASHA)) == 0.25
    assert given.time_to(SLOW, given.final(ASHA)) is None
    rows = tables.summary(given).splitlines()
    values = "0.3000 | 0.3000 | 0.3000 | 0.0000 | 0.4750 | 1.0 | 0.25"
    assert rows[2] == f"| a-bohb-stopping (4) | {values} |"
    assert rows[4].endswith("| 3.0 | never |")


def test_tables_name_the_worst_tasks() -> None:
    scores = {ASHA: cells({"a": [0.4], "b": [0.1]}), MODEL: cells({"a": [0.3], "b": [0.6]})}
    (given,) = comparisons(scores, scores[ASHA])
    assert "| a-bohb-stopping (4) | b +0.500 | a +0.000 |" in tables.worst(given)
    assert "| a | 0.400 | **0.300** |" in tables.per_task(given)
    assert "| asha-stopping (4) | 9 | 90 | 30% | 80.0% | 500.00 |" in tables.costs(given)
